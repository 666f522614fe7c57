"""What a PostgreSQL server left in its data folder: the file `postmaster.pid`, and perhaps itself."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PidFile:
    """The lines of `postmaster.pid` that matter here; a server that is just starting has not written them all."""

    pid: int
    port: int | None
    ready: bool


def read_pid_file(cluster: Path) -> PidFile | None:
    """None if there is no such file, or nothing to be read in it yet."""
    try:
        lines = (cluster / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
        pid = abs(int(lines[0]))
        port = int(lines[3]) if len(lines) > 3 else None
    except (FileNotFoundError, NotADirectoryError, IndexError, ValueError):
        return None
    return PidFile(pid, port, ready=len(lines) > 7 and lines[7].strip() == "ready")


def end_leftover(cluster: Path) -> None:
    """See that no server of an earlier supervisor is on this data folder any more, and that no stale file stops ours.

    An earlier server was told to end when its supervisor died; it may still be writing. Waits for it, up to about 40
    seconds, with stronger and stronger signals. The caller holds the folder's lock: the server is nobody else's.
    """
    noted = read_pid_file(cluster)
    # A file whose process is gone is PostgreSQL's own business: it looks for processes that still hold the memory.
    if noted is None or noted.pid == os.getpid() or not _alive(noted.pid):
        return
    if not _works_on(noted.pid, cluster):
        # The number belongs to somebody else by now, as after a restart of a container; PostgreSQL would refuse.
        (cluster / "postmaster.pid").unlink(missing_ok=True)
        return
    for number, seconds in ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
        log.info("an earlier PostgreSQL is still there", pid=noted.pid, signal=number.name)
        with suppress(ProcessLookupError):
            os.kill(noted.pid, number)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not _alive(noted.pid):
                return
            time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # A dead process whose parent has not looked yet is as good as gone.
    with suppress(OSError):
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return True


def _works_on(pid: int, cluster: Path) -> bool:
    """Whether this process's command line names the data folder."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        shown = subprocess.run(
            ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, errors="replace", check=False
        )
        return "postgres" in shown.stdout and str(cluster) in shown.stdout
    return str(cluster) in words

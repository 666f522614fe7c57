"""A whole private system with the load desk, in a folder that is gone at the end."""

import os
import signal
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import chdir, contextmanager, suppress
from pathlib import Path

from cli.desks.reading import read_desk
from cli.desks.writing import carry_out, plan_desk
from cli.load.desk_files import write_desk
from cli.up import RunningMachine, running_machine
from config.settings import load_settings
from crm_store.database import DatabaseOptions, Session
from crm_store.secrets import SecretBox
from loadgen.driving.api import DeskApi, LoadError
from loadgen.measuring.timeline import Usage
from loadgen.streams.desk import LoadDesk
from loadgen.trial import Target
from runtime.child import ChildState
from runtime.usage import cpu_seconds, resident_bytes, wait_until_at_rest

READY_SECONDS = 20.0
SETTLED_WITHIN = 5.0
KEPT = "OPENCHANNEL_WORKER__"
"""Settings of the environment that hold for a private system too: how many workers run."""

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def embedded(desk: LoadDesk) -> Iterator[Target]:
    """Start it, as `openchannel up` does, with its own servers whatever the environment says."""
    # PostgreSQL refuses root and then runs as somebody else, who has to reach its folder.
    with tempfile.TemporaryDirectory(prefix="openchannel-load-") as name, _apart(Path(name)):
        folder = Path(name)
        folder.chmod(0o711)
        with running_machine(load_settings(data_dir=folder / "data", web={"port": 0})) as machine:
            _apply(machine, desk, folder / "desk")
            system = _System(machine)
            target = Target(machine.web_url, machine.api_token, desk, system.wait, system.usage, system.hold)
            _wait_for_desk(target)
            wait_until_at_rest(system.pids, system.wait, SETTLED_WITHIN)
            yield target


class _System:
    """The processes of a running machine."""

    def __init__(self, machine: RunningMachine) -> None:
        self._supervisor = machine.supervisor

    def wait(self, seconds: float) -> None:
        """Raises KeyboardInterrupt if the end is asked for, LoadError if a process has ended."""
        self._supervisor.wait(seconds)
        if self._supervisor.stop_requested:
            raise KeyboardInterrupt
        ended = [s.name for s in self._supervisor.status() if s.restarts or s.state is not ChildState.READY]
        if ended:
            raise LoadError(f"{', '.join(ended)} ended during the test; its log says why")

    def usage(self) -> Usage:
        """Of the processes, by kind."""
        kinds = self.pids()
        return Usage(cpu_seconds(kinds), resident_bytes(kinds))

    def hold(self, held: bool) -> None:
        """Stop the workers where they are, or let them go on."""
        for pid in self.pids().get("worker", ()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP if held else signal.SIGCONT)

    def pids(self) -> dict[str, list[int]]:
        """Process ids by kind: `worker-1` and `worker-2` are of one."""
        found: dict[str, list[int]] = defaultdict(list)
        for status in self._supervisor.status():
            if status.pid is not None:
                found[status.name.partition("-")[0]].append(status.pid)
        return found


@contextmanager
def _apart(folder: Path) -> Iterator[None]:
    """Settings of this machine's own desk, in its environment and in `.env`, are not those of the test."""
    kept = dict(os.environ)
    for name in kept:
        if name.upper().startswith("OPENCHANNEL_") and not name.upper().startswith(KEPT):
            del os.environ[name]
    # The processes of the system are found by the folder that this program was started in, too.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), kept.get("PYTHONPATH")]))
    try:
        with chdir(folder):
            yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


def _apply(machine: RunningMachine, desk: LoadDesk, folder: Path) -> None:
    file = write_desk(desk, folder)
    wish, box = read_desk(file, {}), SecretBox(machine.secret_key)
    session = Session(DatabaseOptions(machine.database_url, "openchannel load"))
    try:
        with session.transaction() as connection:
            plan, known = plan_desk(connection, str(file), wish, lambda: box)
            carry_out(connection, plan, known)
    finally:
        session.close()


def _wait_for_desk(target: Target) -> None:
    deadline = time.monotonic() + READY_SECONDS
    with DeskApi(target.url, target.token) as api:
        while not api.knows(target.desk):
            if time.monotonic() > deadline:
                raise LoadError("the web process does not come to know the load desk; see its log")
            target.wait(0.2)

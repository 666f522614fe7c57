"""The proof by chaos: a small round of it, and that it leaves nothing behind."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes import alive, wait_for

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0

SMALL = (
    *("--seed", "11", "--processes", "2,2,1,1", "--rate", "30", "--poison", "1,1,2", "--trace", "3", "--pairs", "5"),
    *("--seconds", "6", "--kills", "12", "--longest", "90"),
    *("--faults", "kill-web,kill-worker,kill-clock,kill-valkey,kill-postgres,flushall,cut-postgres"),
)


def test_a_small_round_balances(tmp_path: Path) -> None:
    """A dozen kills, crashes between side effects, Valkey wiped, PostgreSQL cut off: nothing lost, nothing twice."""
    with chaos(tmp_path, *SMALL) as run:
        said, _ = run.communicate(timeout=350)
    assert run.returncode == 0, said
    assert "balanced" in said
    assert list(tmp_path.iterdir()) == [], "a round that balances leaves nothing"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_whatever_ends_it_no_process_is_left(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C in mid-storm, or its own death: servers and processes end, stopped ones too, and the logs are kept."""
    few = ("--processes", "1,1,1,1", "--trace", "0", "--poison", "0,0,0")
    with chaos(tmp_path, *few, "--faults", "stop-worker") as run:
        assert run.stdout is not None
        for line in run.stdout:
            if "processes are up" in line:
                break
        (folder,) = tmp_path.iterdir()
        running = processes_in(folder)
        assert len(running) >= 6
        assert wait_for(lambda: any(is_stopped(pid) for pid in running), PATIENCE)
        run.send_signal(number)
        drained = threading.Thread(target=run.stdout.read)
        drained.start()
        assert run.wait(PATIENCE) == (1 if number is signal.SIGINT else -number)
        drained.join(PATIENCE)
        assert wait_for(lambda: not any(map(alive, running)), PATIENCE), [pid for pid in running if alive(pid)]
        assert (folder / "logs" / "worker-1.log").exists()


@contextmanager
def chaos(folder: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """`python -m chaos`, with its temporary files in a folder."""
    run = subprocess.Popen(
        [sys.executable, "-m", "chaos", *arguments],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield run
    finally:
        run.kill()
        run.wait()
        if run.stdout is not None:
            run.stdout.close()


def processes_in(folder: Path) -> list[int]:
    """Processes that work in a folder or below it."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if place.readlink().is_relative_to(folder):
                found.append(int(place.parent.name))
        except OSError:  # it has ended, or is not ours
            continue
    return found


def is_stopped(pid: int) -> bool:
    """Whether SIGSTOP holds a process."""
    try:
        return ") T " in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False

"""The supervisor on real processes: ready, restart, stop, and what it says when something is wrong."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime import supervisor as supervisor_module
from runtime.child import Child, ChildState, ChildStatus
from runtime.errors import ChildFailedError, StopRequestedError
from runtime.output import Lines, LogFiles
from runtime.supervisor import Supervisor

pytestmark = pytest.mark.integration


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """With log files in the test's folder."""
    made = Supervisor(LogFiles(tmp_path / "logs"))
    yield made
    made.stop_all()


def script(name: str, code: str, **options: object) -> Child:
    """A child that runs Python code."""
    return Child(name, [sys.executable, "-u", "-c", code], **options)  # type: ignore[arg-type]


def shell(name: str, code: str, **options: object) -> Child:
    """A child that runs shell code."""
    return Child(name, ["/bin/sh", "-c", code], **options)  # type: ignore[arg-type]


def wait_for(supervisor: Supervisor, condition: Callable[[], bool], seconds: float = 10) -> None:
    """Let the supervisor work until the condition holds."""
    deadline = time.monotonic() + seconds
    supervisor.run(until=lambda: condition() or time.monotonic() > deadline)
    assert condition(), supervisor.status()


def only(supervisor: Supervisor) -> ChildStatus:
    """The status of the only child."""
    (status,) = supervisor.status()
    return status


def alive(pid: int | None) -> bool:
    """Whether a process with this number exists."""
    assert pid is not None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_start_waits_until_ready(supervisor: Supervisor, tmp_path: Path) -> None:
    """The next child may rely on the one before."""
    mark = tmp_path / "ready"
    supervisor.start(shell("slow", f"sleep 0.3; touch {mark}; sleep 60", ready=mark.exists))
    assert mark.exists()
    assert only(supervisor).state is ChildState.READY


def test_a_child_that_never_gets_ready_is_named_with_its_last_lines(supervisor: Supervisor) -> None:
    """And it is gone afterwards, while those started before stay."""
    supervisor.start(shell("good", "sleep 60"))
    with pytest.raises(ChildFailedError, match=r"bad did not get ready in 0\.5 s(.|\n)*I cannot find my hat"):
        supervisor.start(shell("bad", "echo I cannot find my hat; sleep 60", ready=lambda: False, ready_timeout=0.5))
    assert [status.name for status in supervisor.status()] == ["good"]


def test_a_child_that_ends_before_it_is_ready_fails_at_once(supervisor: Supervisor) -> None:
    """Nobody waits out the timeout for a child that is dead."""
    began = time.monotonic()
    with pytest.raises(ChildFailedError, match=r"bad ended with exit code 7(.|\n)*no such option"):
        supervisor.start(shell("bad", "echo no such option >&2; exit 7", ready=lambda: False, ready_timeout=30))
    assert time.monotonic() - began < 5


def test_a_passing_trouble_of_the_first_start_is_tried_again(supervisor: Supervisor, tmp_path: Path) -> None:
    """Like a port that was taken since it was chosen; `before_start` runs each time."""
    tries: list[int] = []
    code = f"[ $(wc -l < {tmp_path / 'tries'}) -ge 3 ] && exec sleep 60; echo address in use; exit 1"

    def note_try() -> None:
        tries.append(1)
        (tmp_path / "tries").write_text("x\n" * len(tries))

    supervisor.start(
        shell("third", code, before_start=note_try, passing_troubles="in use", ready=lambda: len(tries) == 3)
    )
    assert len(tries) == 3


def test_a_killed_child_is_started_again(supervisor: Supervisor) -> None:
    """With a pause, and counted."""
    supervisor.start(shell("worker", "exec sleep 60"))
    before = only(supervisor)
    assert before.pid is not None
    os.kill(before.pid, signal.SIGKILL)
    wait_for(supervisor, lambda: only(supervisor).state is ChildState.WAITING)
    assert only(supervisor).last_exit == -signal.SIGKILL
    wait_for(supervisor, lambda: only(supervisor).state is ChildState.READY)
    after = only(supervisor)
    assert after.restarts == 1
    assert after.pid != before.pid
    assert after.since > before.since


def test_pauses_between_restarts_grow(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that cannot run does not take the machine; half a second would give eight restarts in four."""
    monkeypatch.setattr(supervisor_module, "STEADY_AFTER_SECONDS", 1000.0)
    supervisor.start(shell("crashing", "exit 3"))
    supervisor.wait(4)
    assert 2 <= only(supervisor).restarts <= 3


def test_the_pause_starts_anew_after_a_steady_run(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash a day does not add up."""
    monkeypatch.setattr(supervisor_module, "STEADY_AFTER_SECONDS", 0.0)
    supervisor.start(shell("crashing", "exit 3"))
    supervisor.wait(4)
    assert only(supervisor).restarts >= 4


def test_a_restart_that_cannot_be_prepared_is_tried_again(supervisor: Supervisor) -> None:
    """The supervisor itself survives."""
    calls: list[int] = []

    def prepare() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise OSError("disk full")

    supervisor.start(shell("worker", "exec sleep 60", before_start=prepare))
    pid = only(supervisor).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(supervisor, lambda: only(supervisor).state is ChildState.READY and only(supervisor).restarts == 2)
    assert len(calls) == 3


def test_what_a_crashed_child_left_running_is_ended(supervisor: Supervisor, tmp_path: Path) -> None:
    """A pool's processes whose parent died would work on beside their successors."""
    note = tmp_path / "grandchild"
    supervisor.start(shell("pool", f"sleep 60 & echo $! > {note}.new; mv {note}.new {note}; wait", ready=note.exists))
    grandchild = int(note.read_text())
    leader = only(supervisor).pid
    assert leader is not None
    os.kill(leader, signal.SIGKILL)
    wait_for(supervisor, lambda: only(supervisor).state is ChildState.WAITING)
    wait_for(supervisor, lambda: not alive(grandchild))


def test_all_stop_in_reverse_order_with_their_signals(supervisor: Supervisor, tmp_path: Path) -> None:
    """Each one is gone before the next is asked."""
    code = """
import signal, sys, time
def end(number, frame):
    open({note!r}, "a").write(f"{name} {{number}}\\n")
    time.sleep(0.2)
    open({note!r}, "a").write("{name} gone\\n")
    sys.exit()
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGINT, end)
open({note!r} + "-{name}", "w")
while True: time.sleep(1)
"""
    note = str(tmp_path / "note")
    for name, number in (("database", signal.SIGINT), ("worker", signal.SIGTERM)):
        ready = Path(f"{note}-{name}").exists
        supervisor.start(script(name, code.format(note=note, name=name), stop_signal=number, ready=ready))
    supervisor.stop_all()
    assert Path(note).read_text().split("\n")[:4] == ["worker 15", "worker gone", "database 2", "database gone"]
    assert supervisor.status() == []


def test_a_deaf_child_is_killed_after_its_time(supervisor: Supervisor, tmp_path: Path) -> None:
    """Stopping always comes to an end."""
    mark = tmp_path / "deaf"
    code = f"trap '' TERM QUIT; touch {mark}; while true; do sleep 0.1; done"
    supervisor.start(shell("deaf", code, stop_timeout=0.3, ready=mark.exists))
    pid = only(supervisor).pid
    began = time.monotonic()
    supervisor.stop("deaf")
    assert time.monotonic() - began < 3
    assert not alive(pid)


def test_a_second_request_to_stop_shortens_the_wait(supervisor: Supervisor, tmp_path: Path) -> None:
    """Whoever presses Ctrl-C again means it."""
    mark = tmp_path / "deaf"
    supervisor.start(shell("deaf", f"trap '' TERM; touch {mark}; while true; do sleep 0.1; done", ready=mark.exists))
    supervisor.request_stop()
    supervisor.request_stop()
    began = time.monotonic()
    supervisor.stop_all()
    assert time.monotonic() - began < 5


def test_signals_end_waiting_calls(supervisor: Supervisor) -> None:
    """A SIGTERM in the middle of a start ends that start, and `run` afterwards returns at once."""
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
    with supervisor.handling_signals():
        with pytest.raises(StopRequestedError):
            supervisor.start(shell("slow", "exec sleep 60", ready=lambda: False))
        supervisor.run()
    assert supervisor.status() == []
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_children_are_not_in_the_terminals_group(supervisor: Supervisor) -> None:
    """A Ctrl-C goes to the supervisor alone."""
    supervisor.start(shell("worker", "exec sleep 60"))
    pid = only(supervisor).pid
    assert pid is not None
    assert os.getsid(pid) == pid


def test_only_the_owning_thread_may_start_children(supervisor: Supervisor) -> None:
    """The kernel would end the child with the thread that forked it."""
    caught: list[Exception] = []

    def start() -> None:
        try:
            supervisor.start(shell("worker", "sleep 60"))
        except RuntimeError as error:
            caught.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert caught
    assert supervisor.status() == []


def test_environment_is_added_and_lines_are_handed_over() -> None:
    """Lines arrive with the child's name; the last line without a newline too."""
    lines: list[tuple[str, str]] = []
    supervisor = Supervisor(Lines(lambda name, line: lines.append((name, line))))
    try:
        child = shell(
            "speaker", 'echo "$GREETING"; printf "and on"; exec >&- 2>&-; sleep 60', env={"GREETING": "good day"}
        )
        supervisor.start(child)
        wait_for(supervisor, lambda: len(lines) == 2)
    finally:
        supervisor.stop_all()
    assert lines == [("speaker", "good day"), ("speaker", "and on")]


def test_log_files_are_appended_and_set_aside_when_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tail is of the latest run alone."""
    output = LogFiles(tmp_path)
    for word in ("first", "second"):
        with output.sink("web") as sink:
            os.write(sink, f"{word}\n".encode())
    assert (tmp_path / "web.log").read_text() == "first\nsecond\n"
    assert output.tail("web") == ["second"]
    monkeypatch.setattr("runtime.output.ROTATE_AT_BYTES", 5)
    with output.sink("web"):
        pass
    assert (tmp_path / "web.log").read_text() == ""
    assert (tmp_path / "web.log.1").read_text() == "first\nsecond\n"

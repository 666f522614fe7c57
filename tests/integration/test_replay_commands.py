"""`openchannel dead-letters replay|stop|resume|replays`: in a terminal, with a clock and without one."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cli.dead_letters import replay_watch
from config.topology import INBOX_STEPS, Step
from crm_store import clocks
from tests.commands import CommandLine, command
from tests.pipeline import Desk, text_message
from tests.replays import Broken, Engine, die, replay_row, unreadable

pytestmark = pytest.mark.integration

__all__ = ["command"]

STEP = Step.BIND_CHAT


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """An open channel with somebody to serve it."""
    with Desk(database_url) as made:
        made.open_channel("desk", ["telegram"], [made.operator("Ann")])
        yield made


@contextmanager
def clock(desk: Desk, broken: Broken) -> Iterator[None]:
    """A clock and a worker, for as long as a command runs."""
    with desk.session.transaction() as connection:
        clocks.sign(connection, "clock")
    engine, stop = Engine(desk), threading.Event()
    worker = broken.worker(desk)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            while not stop.wait(0.01):
                engine.look()
                for step in INBOX_STEPS:
                    worker.run(step)
        except BaseException as error:
            failed.append(error)
            raise

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)
        engine.close()
    assert failed == []


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever watches looks often."""
    monkeypatch.setattr(replay_watch, "INTERVAL", 0.02)


def test_a_replay_is_watched_to_its_end(desk: Desk, command: CommandLine) -> None:
    """What was done, and by whom; `--json` as the API answers; the history tells it afterwards."""
    broken = Broken(STEP)
    die(desk, broken, 1, 2, 3)
    broken.mended = True
    with clock(desk, broken):
        ran = command("dead-letters", "replay", "--step", "bind_chat", "--rate", "6000/m", "--canary", "1", "--json")
    assert ran.code == 0, ran
    told = json.loads(ran.output[ran.output.index("{\n") :])  # behind what the worker has logged
    assert (told["state"], told["done"], told["rate"], told["canary"]) == ("done", 3, 100.0, 1)
    assert told["actor"].startswith("cli:")
    assert told["selection"] == {"step": "bind_chat"}
    assert "replay 1: running: of 3 letters" in ran.errors, "how far it is, on the other stream"
    shown = command.done("dead-letters", "replays", "show", "1")
    assert "replay 1: done: of 3 letters 3 done, 0 failed, 0 skipped" in shown
    assert "100 letters a second, the first 1 alone; it brakes above 20% of failures" in shown
    assert "3 done: went through" in shown
    assert "step bind_chat" in command.done("dead-letters", "replays")
    letters = json.loads(command.done("dead-letters", "replays", "show", "1", "--letters", "--json"))
    assert [(one["letter_id"], one["state"]) for one in letters] == [(1, "done"), (2, "done"), (3, "done")]


def test_what_brakes_says_why_and_how_to_go_on(desk: Desk, command: CommandLine) -> None:
    """Exit 1; the same replay goes on once the cause is mended."""
    broken = Broken(STEP)
    die(desk, broken, 1, 2)
    with clock(desk, broken):
        ran = command("dead-letters", "replay", "--all", "--canary", "1")
        assert ran.code == 1
        assert "braked (a letter of the canary is dead again)" in ran.output
        assert "to go on with the 1 that wait: openchannel dead-letters resume 1" in ran.output
        broken.mended = True
        ran = command("dead-letters", "resume", "1")
    assert (ran.code, replay_row(desk, 1)["done"]) == (1, 1), "one of its letters is dead again"
    assert "what failed: openchannel dead-letters replays show 1 --letters --state failed" in ran.output
    assert "key" in command.done("dead-letters", "replays", "show", "1", "--letters", "--state", "failed")


def test_ctrl_c_stops_it_cleanly(desk: Desk, command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is under way ends, the rest waits, and it says how to go on; nothing is half-done."""
    broken = Broken(STEP)
    die(desk, broken, *range(5))
    broken.mended = True
    real, presses = replay_watch._read, [KeyboardInterrupt()]

    def read(needs, replay_id):
        found = real(needs, replay_id)
        if found.done >= 1 and presses:
            raise presses.pop()
        return found

    monkeypatch.setattr(replay_watch, "_read", read)
    with clock(desk, broken):
        ran = command("dead-letters", "replay", "--all", "--rate", "1/s")
        assert ran.code == 130
        assert "stopped (it was asked to)" in ran.output
        row = replay_row(desk, 1)
        assert (row["state"], row["under_way"]) == ("stopped", 0)
        assert 1 <= row["done"] < 5
        desk.execute("UPDATE replays SET rate = NULL")
        assert command("dead-letters", "resume", "1").code == 0
    assert replay_row(desk, 1)["done"] == 5
    assert desk.value("SELECT count(*) FROM messages") == 5


def test_without_a_clock_it_is_said_at_once(desk: Desk, command: CommandLine) -> None:
    """Nobody waits for what cannot come; the replay begins when a clock does."""
    die(desk, Broken(STEP), 1)
    ran = command("dead-letters", "replay", "--all")
    assert ran.code == 1
    assert "no clock runs, so nothing is replayed: start `openchannel clock`; replay 1 waits for it" in ran.errors
    assert replay_row(desk, 1)["state"] == "running"


def test_nobody_has_to_wait(desk: Desk, command: CommandLine) -> None:
    """`--detach`; and `stop` from elsewhere."""
    die(desk, Broken(STEP), 1)
    with desk.session.transaction() as connection:
        clocks.sign(connection, "clock")
    assert "replay 1: running: of 1 letters" in command.done("dead-letters", "replay", "1", "--detach")
    assert "openchannel dead-letters resume 1" in command.done("dead-letters", "stop", "1")
    assert command("dead-letters", "stop", "1").errors == "replay 1 is stopped already (not_running)\n"


def test_what_somebody_else_stops_is_not_done(
    desk: Desk, command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for it, a script too, learns that letters wait still."""
    die(desk, Broken(STEP), 1)
    with desk.session.transaction() as connection:
        clocks.sign(connection, "clock")
    stopped = "UPDATE replays SET state = 'stopped', reason = 'asked', changed_by = 'service:Eva'"
    monkeypatch.setattr(time, "sleep", lambda _seconds: desk.execute(stopped))
    ran = command("dead-letters", "replay", "1")
    assert ran.code == 1
    assert "stopped (it was asked to): of 1 letters 0 done, 0 failed, 0 skipped, 1 waiting" in ran.output


def test_a_dry_run_is_told_letter_by_letter(desk: Desk, command: CommandLine) -> None:
    """Card, dialog, operator and rule; what would fail again; and that nothing was changed."""
    die(desk, Broken(STEP), 1)
    desk.run_through(text_message("telegram", 2, "hello"))
    die(desk, Broken(STEP), 2)
    unreadable(desk, b'{"no": "update"}')
    told = command.done("dead-letters", "replay", "--all", "--dry-run")
    assert told.splitlines() == [
        "letter 1 goes through",
        "    a new lead",
        "    a new dialog in “desk”: assigned, Ann (D2)",
        "letter 2 goes through",
        f"    lead {desk.value('SELECT id FROM cards')}",
        "    dialog 1 in “desk”: assigned, Ann (D2)",
        "letter 3 fails again in parse: unparsable",
        "    ParseError: update_id is missing or not a number (cause ParseError@ingest/adapters/telegram.py:normalise)",
        "3 of 3 letters: 2 would go through, 1 would fail again; nothing was changed: this was a dry run",
    ]
    assert "the first 1 of 3 letters" in command.done("dead-letters", "replay", "--all", "--dry-run", "--limit", "1")
    assert command.done("dead-letters", "replays") == "nothing was replayed yet\n"
    found = json.loads(command.done("dead-letters", "replay", "2", "--dry-run", "--json"))
    assert (found["total"], found["letters"][0]["dialog"]["operator"]["name"]) == (1, "Ann")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--all", "--rate", "fast"], "--rate: 'fast' is no rate; write it as 20/s, 600/m or 5000/h"),
        (["--all", "--rate", "0"], "--rate: Input should be greater than 0"),
        (["--all", "--max-failures", "many"], "--max-failures: 'many' is no share; write it as 20% or 0.2"),
        (["--all", "--max-failures", "20"], "--max-failures: Input should be less than or equal to 1"),
        ([], "say which: ids, a group or any other filter; or `all`"),
    ],
)
def test_what_is_written_wrongly_is_named(
    desk: Desk,
    command: CommandLine,
    options: list[str],
    said: str,
) -> None:
    """Exit 2, and what to write instead."""
    ran = command("dead-letters", "replay", *options)
    assert (ran.code, ran.errors.strip()) == (2, said)


def test_a_replay_that_there_is_not(desk: Desk, command: CommandLine) -> None:
    """Exit 1; and with nothing to replay, too."""
    for words in (("replays", "show", "7"), ("stop", "7"), ("resume", "7")):
        ran = command("dead-letters", *words)
        assert (ran.code, ran.errors) == (1, "there is no replay 7 (unknown_replay)\n")
    ran = command("dead-letters", "replay", "--all")
    assert (ran.code, ran.errors) == (1, "no letter that is meant is dead (not_dead)\n")

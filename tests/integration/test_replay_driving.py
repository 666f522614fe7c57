"""How replays are driven: canary, brake, rate, stopping and resuming, by any number of clocks, of which some die."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations

import pytest

from config.topology import Step
from crm_store import dead_letters, replays
from crm_store.errors import DatabaseAwayError
from crm_store.replays import Pace
from tests.pipeline import Desk, RecordingHints, drain
from tests.replays import Broken, Engine, ask, die, outcomes, replay_row, slice_of, time_goes_by, unreadable
from worker.clock import Clock, ClockOptions

pytestmark = pytest.mark.integration

STEP = Step.BIND_CHAT


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """An open channel with one channel, and nobody to serve it."""
    with Desk(database_url) as made:
        made.open_channel("desk", ["telegram"])
        yield made


@pytest.fixture
def engine(desk: Desk) -> Iterator[Engine]:
    """A clock's part in replays."""
    made = Engine(desk)
    yield made
    made.close()


def act(desk: Desk, what: str, replay_id: int) -> None:
    """A person stops or resumes it."""
    with desk.session.transaction() as connection:
        replays.lock(connection, replay_id)
        getattr(replays, what)(connection, replay_id, "cli:test")


# Canary and brake


def test_a_canary_that_fails_again_stops_all_others(desk: Desk, engine: Engine) -> None:
    """`--canary 2`: two go first, each alone; one is dead again, so the other three stay what they were."""
    broken = Broken(STEP)
    die(desk, broken, 1, 2, 3, 4, 5)
    replay_id = ask(desk, Pace(canary=2))
    engine.look()
    assert desk.rows("SELECT inbox_id, batch_limit FROM inbox_state WHERE stage <> 'dead' ORDER BY 1") == [
        (1, 1),
        (2, 1),
    ]
    engine.look()
    assert replay_row(desk, replay_id)["under_way"] == 2, "nothing follows while they are under way"
    engine.finish(broken.worker(desk))
    row = replay_row(desk, replay_id)
    assert (row["state"], row["reason"], row["failed"]) == ("braked", "canary_failed", 2)
    assert outcomes(desk, replay_id)[2:] == [("waiting", "")] * 3
    assert desk.ledger().dead == 5


def test_a_resumed_replay_has_a_canary_of_its_own(desk: Desk, engine: Engine) -> None:
    """The cause is mended: it goes on with what waits, carefully again, and ends."""
    broken = Broken(STEP)
    die(desk, broken, 1, 2, 3, 4, 5)
    replay_id = ask(desk, Pace(canary=1))
    engine.finish(broken.worker(desk))
    assert replay_row(desk, replay_id)["reason"] == "canary_failed"
    broken.mended = True
    act(desk, "resume", replay_id)
    engine.look()
    assert replay_row(desk, replay_id)["under_way"] == 1
    engine.finish(broken.worker(desk))
    row = replay_row(desk, replay_id)
    assert (row["state"], row["reason"], row["run"], row["done"], row["failed"]) == ("done", "", 2, 4, 1)


def test_too_many_failures_brake_it(desk: Desk, engine: Engine) -> None:
    """From twenty finished ones on, more than the share; what is under way then still ends, and is counted."""
    for n in range(30):
        unreadable(desk, b'{"unreadable": %d}' % n)
    ids = [unreadable(desk, slice_of(desk, "telegram", n, "good")) for n in range(3)]
    replay_id = ask(desk, Pace(rate=25.0))
    for _ in range(4):
        time_goes_by(desk, 1.0)
        engine.look()
    row = replay_row(desk, replay_id)
    assert (row["state"], row["reason"]) == ("braked", "too_many_failures")
    assert desk.rows("SELECT kind, details -> 'reason' FROM alerts") == [("replay.braked", "too_many_failures")]
    assert 20 <= row["failed"] < 30
    assert desk.value("SELECT count(*) FROM inbox_state WHERE inbox_id = ANY(%s) AND stage = 'dead'", ids) == 3


def test_failures_within_the_share_brake_nothing(desk: Desk, engine: Engine) -> None:
    """Four of twenty-four are no reason to stop."""
    for n in range(4):
        unreadable(desk, b'{"unreadable": %d}' % n)
    for n in range(20):
        unreadable(desk, slice_of(desk, "telegram", n, "good"))
    replay_id = ask(desk)
    engine.finish(desk.worker())
    row = replay_row(desk, replay_id)
    assert (row["state"], row["done"], row["failed"]) == ("done", 20, 4)


# Stopping


def test_a_stopped_replay_sends_nothing_more_and_goes_on_where_it_was(desk: Desk, engine: Engine) -> None:
    """What is under way ends and is counted; a resume sends the rest, each once."""
    broken = Broken(STEP)
    die(desk, broken, *range(6))
    broken.mended = True
    replay_id = ask(desk, Pace(rate=2.0))
    time_goes_by(desk, 0.9)
    engine.look()
    sent = replay_row(desk, replay_id)["under_way"]
    assert 1 <= sent < 6
    act(desk, "stop", replay_id)
    time_goes_by(desk, 60.0)
    engine.finish(broken.worker(desk))
    row = replay_row(desk, replay_id)
    assert (row["state"], row["reason"], row["done"]) == ("stopped", "asked", sent)
    assert desk.stages() == {"done": sent, "dead": 6 - sent}
    act(desk, "resume", replay_id)
    time_goes_by(desk, -60.0)
    engine.look()
    assert replay_row(desk, replay_id)["done"] == sent, "its rate begins anew"
    desk.execute("UPDATE replays SET rate = NULL")
    engine.finish(broken.worker(desk))
    assert replay_row(desk, replay_id)["done"] == 6
    assert desk.value("SELECT count(*) FROM messages") == 6
    assert desk.value("SELECT count(*) FROM dead_letter_acts") == 6


# Many clocks, and their ends


def test_several_clocks_keep_the_rate_and_send_nothing_twice(desk: Desk) -> None:
    """Four clocks look without a pause at one replay: in no span is more sent than its rate allows."""
    rate, n = 20.0, 30
    for chat in range(n):
        unreadable(desk, slice_of(desk, "telegram", chat, "good"))
    replay_id = ask(desk, Pace(rate=rate))
    all_sent = threading.Event()

    def drive(_: int) -> None:
        engine = Engine(desk)
        try:
            while not all_sent.wait(0.01):
                engine.look()
        finally:
            engine.close()

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(drive, number) for number in range(4)]
        try:
            for _ in range(6000):
                if desk.value("SELECT count(*) FROM replay_items WHERE state = 'waiting'") == 0:
                    break
                assert not any(one.done() for one in running)
                all_sent.wait(0.01)
        finally:
            all_sent.set()
        for one in running:
            one.result(60)
    times = [row[0] for row in desk.rows("SELECT extract(epoch FROM sent_at)::float8 FROM replay_items ORDER BY 1")]
    for (first, begin), (last, end) in combinations(enumerate(times), 2):
        assert last - first + 1 <= rate * (end - begin) + rate + 1.1
    engine = Engine(desk)
    engine.finish(desk.worker())
    engine.close()
    assert replay_row(desk, replay_id)["done"] == n
    assert desk.value("SELECT count(*) FROM messages") == n
    assert desk.value("SELECT count(*) FROM dead_letter_acts") == n
    assert desk.ledger().done == n


class Killed(BaseException):
    """What a kill leaves of a process: nothing of it runs any more."""


class KilledBeforeHints(RecordingHints):
    """The process dies after its commit, before it has hinted anything."""

    def publish(self, step: Step, items: object = (), tries: int = 0) -> bool:
        raise Killed


def test_a_clock_that_is_killed_after_a_commit_loses_nothing(desk: Desk) -> None:
    """What was sent stands in the rows: another clock goes on, and the sweeper makes up for the lost hint."""
    broken = Broken(STEP)
    die(desk, broken, *range(5))
    broken.mended = True
    replay_id = ask(desk, Pace(canary=2))
    dying = Engine(desk, KilledBeforeHints())
    with pytest.raises(Killed):
        dying.look()
    dying.close()
    assert replay_row(desk, replay_id)["under_way"] == 2
    other = Engine(desk)
    other.look()
    assert other.hints.published == [], "what is under way is not sent again"
    desk.execute("UPDATE inbox_state SET due_at = now() - interval '10 seconds' WHERE stage = 'bind_chat'")
    Clock(other.session, other.hints, ClockOptions()).tick()
    assert other.hints.of(STEP) == [[]]
    other.finish(broken.worker(desk))
    other.close()
    assert replay_row(desk, replay_id)["done"] == 5
    assert desk.value("SELECT count(*) FROM messages") == 5


def test_a_clock_that_is_killed_within_a_commit_has_done_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its session ends between the letters and the replay's row: both are as before, and another clock does it."""
    broken = Broken(STEP)
    die(desk, broken, *range(3))
    broken.mended = True
    replay_id = ask(desk)
    dying = Engine(desk)
    real = dead_letters.note_acts

    def killed(connection, *_args, **_named):
        desk.execute("SELECT pg_terminate_backend(%s)", connection.info.backend_pid)
        connection.execute("SELECT 1")

    monkeypatch.setattr(dead_letters, "note_acts", killed)
    with pytest.raises(DatabaseAwayError):
        dying.look()
    monkeypatch.setattr(dead_letters, "note_acts", real)
    dying.close()
    assert (desk.stages(), desk.ledger().dead) == ({"dead": 3}, 3)
    assert replay_row(desk, replay_id)["under_way"] == 0
    other = Engine(desk)
    other.finish(broken.worker(desk))
    other.close()
    assert replay_row(desk, replay_id)["done"] == 3
    assert desk.value("SELECT count(*) FROM messages") == 3


def test_a_row_that_somebody_holds_is_waited_for_without_harm(desk: Desk, engine: Engine) -> None:
    """A letter that an act has locked: the replay comes again, and other replays go on meanwhile."""
    broken = Broken(STEP)
    die(desk, broken, 1, 2)
    broken.mended = True
    held, free = ask(desk, letter_ids=[1]), ask(desk, letter_ids=[2])
    with desk.session.transaction() as connection:
        connection.execute("SELECT FROM inbox_state WHERE inbox_id = 1 FOR UPDATE")
        engine.look()
        assert (replay_row(desk, held)["under_way"], replay_row(desk, free)["under_way"]) == (0, 1)
    engine.finish(broken.worker(desk))
    assert desk.stages() == {"done": 2}


def test_a_defect_brakes_its_replay_and_no_other(desk: Desk, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no letter's fault is not tried again twice a second for ever; a clock goes on with all else."""
    broken = Broken(STEP)
    die(desk, broken, 1, 2)
    broken.mended = True
    defective, good = ask(desk, letter_ids=[1]), ask(desk, letter_ids=[2])
    real = replays.canary_states

    def canary_states(connection, replay):
        if replay.id == defective:
            raise TypeError("a defect of ours")
        return real(connection, replay)

    monkeypatch.setattr(replays, "canary_states", canary_states)
    engine.finish(broken.worker(desk))
    assert (replay_row(desk, defective)["state"], replay_row(desk, defective)["reason"]) == ("braked", "defect")
    assert replay_row(desk, good)["state"] == "done"


def test_a_clock_drives_replays_at_each_look(desk: Desk, engine: Engine) -> None:
    """Whoever asked for it may be gone."""
    broken = Broken(STEP)
    die(desk, broken, 1)
    broken.mended = True
    replay_id = ask(desk)
    clock = Clock(engine.session, engine.hints, ClockOptions(), [engine.replaying.look])
    clock.tick()
    drain(desk, broken.worker(desk))
    clock.tick()
    assert replay_row(desk, replay_id)["state"] == "done"

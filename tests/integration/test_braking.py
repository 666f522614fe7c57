"""The brake of a step: what it loses (nothing), whom it holds up, and how it ends."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from structlog.testing import capture_logs

from config.topology import Step
from crm_store import brakes
from crm_store.database import Connection, Session
from crm_store.inbox import ClaimedItem
from tests.pipeline import Desk, RecordingHints, Worker, drain, text_message
from worker.braking import LONGEST_PAUSE, MOST_PROBED
from worker.clock import Clock, ClockOptions
from worker.handlers import HANDLERS
from worker.messages import read_texts
from worker.policy import MOST_FAILURES_WHILE_PAUSED
from worker.runner import Carried, Limits, Outcome

pytestmark = pytest.mark.integration

STEP = Step.BIND_CHAT
POISON = "poison"


@pytest.fixture
def desk(database_url) -> Iterator[Desk]:
    """An open channel with one channel."""
    with Desk(database_url) as made:
        made.open_channel("desk", ["telegram"])
        yield made


class Failing:
    """bind_chat, which fails with every batch of which `fails` says so; `sizes` are those of all batches."""

    def __init__(self, fails: Callable[[Sequence[str]], bool]) -> None:
        self.fails = fails
        self.sizes: list[int] = []

    def __call__(self, connection: Connection, items: Sequence[ClaimedItem], carried: Carried) -> Outcome:
        self.sizes.append(len(items))
        if self.fails([said.text for said in read_texts(connection, items, {}).values()]):
            raise LookupError("the step is broken")
        return HANDLERS[STEP](connection, items, carried)


def broken() -> Failing:
    return Failing(lambda _: True)


def poisoned() -> Failing:
    return Failing(lambda texts: POISON in texts)


def say(desk: Desk, *texts: str, first_chat: int = 1) -> list[int]:
    """One message each, of as many chats, looked up already."""
    ids = desk.accept(*(text_message("telegram", first_chat + n, text) for n, text in enumerate(texts)))
    drain(desk, desk.worker(), [Step.CRM_LOOKUP])
    return ids


def time_passes(desk: Desk, seconds: float) -> None:
    """All that waits, and all that was noted, was so much earlier."""
    for table, columns in {
        "inbox_state": ("due_at", "first_failed_at"),
        "step_brakes": ("since", "ended_at", "resumes_at"),
    }.items():
        earlier = ", ".join(f"{column} = {column} - {seconds} * interval '1 second'" for column in columns)
        desk.execute(f"UPDATE {table} SET {earlier}")


def paused(desk: Desk) -> list[int]:
    """How many pauses in a row there were, of the brake that is on."""
    return [pauses for (pauses,) in desk.rows("SELECT pauses FROM step_brakes WHERE ended_at IS NULL")]


def put_off(desk: Desk) -> None:
    """The pause lasts for an hour, however slow the test is."""
    desk.execute("UPDATE step_brakes SET resumes_at = now() + interval '1 hour' WHERE ended_at IS NULL")


def alerted(desk: Desk) -> list[str]:
    return [kind for (kind,) in desk.rows("SELECT kind FROM alerts ORDER BY id")]


def hinted(desk: Desk) -> list[Step]:
    """What a clock hints now."""
    hints, session = RecordingHints(), Session(desk.options)
    Clock(session, hints, ClockOptions()).tick()
    session.close()
    return [step for step, _, _ in hints.published]


def braked(desk: Desk, handler: Failing, items: int = 100) -> Worker:
    """A worker whose step has just been paused."""
    ids = say(desk, *[POISON] * items)
    worker = desk.worker({STEP: handler}, Limits(retry_for=60.0))
    worker.run(STEP, ids)
    assert paused(desk) == [1]
    return worker


# Engaging


def test_a_step_of_which_everything_fails_is_paused(desk):
    """After some twenty failures, not after all hundred; told once, and the rest is not touched."""
    braked(desk, broken())
    failed = desk.value("SELECT count(*) FROM inbox_state WHERE attempts > 0")
    assert 20 <= failed <= 20 + MOST_PROBED
    assert desk.stages() == {"bind_chat": 100}
    assert alerted(desk) == ["step.paused"]
    ((reason, fingerprint, worker),) = desk.rows("SELECT reason, fingerprint, worker FROM step_brakes")
    assert reason == "lookup"
    assert fingerprint.startswith("LookupError@")
    assert worker.startswith("worker-")
    details = desk.value("SELECT details || jsonb_build_object('subject', subject) FROM alerts")
    assert (details["step"], details["reason"], details["fingerprint"]) == ("bind_chat", reason, fingerprint)
    assert "bind_chat" in details["subject"]


def test_poison_that_stands_together_is_no_broken_step(desk):
    """Before a step is paused some that have not failed yet are tried: they come through, so all good ones are done."""
    ids = say(desk, *[POISON] * 25, *["good"] * 60)
    desk.worker({STEP: poisoned()}).run(STEP, ids)
    assert desk.stages() == {"bind_chat": 25, "ensure_card": 60}
    assert desk.value("SELECT count(*) FROM step_brakes") == 0
    assert alerted(desk) == []


def test_what_says_nothing_of_the_data_pauses_nothing(desk):
    """PostgreSQL away: the items wait as ever."""
    ids = say(desk, *["good"] * 40)

    def away(connection: Connection, items: Sequence[ClaimedItem], carried: Carried) -> Outcome:
        connection.execute("DO $$ BEGIN RAISE deadlock_detected; END $$")
        raise AssertionError

    worker = desk.worker({STEP: away})
    for _ in range(30):
        worker.run(STEP, ids)
    assert desk.value("SELECT count(*) FROM step_brakes") == 0


def test_many_workers_make_one_brake(desk):
    """All find the same at once; it is told once, and none of them goes on."""
    ids = say(desk, *["good"] * 200)
    workers = [desk.worker({STEP: broken()}, Limits(batch=50)) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for task in [pool.submit(worker.run, STEP, ids[n * 50 : n * 50 + 50]) for n, worker in enumerate(workers)]:
            task.result()
    assert desk.value("SELECT count(*) FROM step_brakes") == 1
    assert alerted(desk) == ["step.paused"]
    assert desk.value("SELECT count(*) FROM inbox_state WHERE attempts = 0") > 50


# While it is on


def test_a_paused_step_is_neither_claimed_nor_hinted(desk):
    """By no worker, whatever is hinted; another step goes on."""
    handler = broken()
    worker = braked(desk, handler)
    put_off(desk)
    ids = say(desk, "more", first_chat=500)
    handler.sizes.clear()
    for other in (worker, desk.worker({STEP: handler})):
        other.hints.published.clear()
        other.run(STEP, ids)
        other.run(STEP)
        assert other.hints.published == []
    assert handler.sizes == []
    assert hinted(desk) == []
    desk.execute("UPDATE inbox_state SET stage = 'ensure_card' WHERE inbox_id = %s", ids[0])
    desk.execute("UPDATE inbox_state SET due_at = now() - interval '5 s' WHERE inbox_id = %s", ids[0])
    assert hinted(desk) == [Step.ENSURE_CARD]


def test_at_its_end_one_worker_tries_some_items(desk):
    """Each alone, of different chats, those first that have not failed yet; then it pauses for longer."""
    handler = broken()
    worker = braked(desk, handler)
    tried = {i for (i,) in desk.rows("SELECT inbox_id FROM inbox_state WHERE attempts > 0")}
    seconds = []
    for pauses in range(1, 9):
        assert paused(desk) == [pauses]
        desk.execute("UPDATE step_brakes SET resumes_at = now()")
        time_passes(desk, LONGEST_PAUSE)
        assert hinted(desk) == [STEP]
        handler.sizes.clear()
        with capture_logs() as logs:
            worker.run(STEP)
        seconds += [line["seconds"] for line in logs if line["event"] == "step_still_paused"]
        put_off(desk)
        desk.worker({STEP: handler}).run(STEP)
        assert handler.sizes == [1] * MOST_PROBED
        now_tried = {i for (i,) in desk.rows("SELECT inbox_id FROM inbox_state WHERE attempts > 0")}
        assert len(now_tried - tried) == MOST_PROBED
        tried = now_tried
    assert seconds == [2, 4, 8, 16, 30, 30, 30, 30]
    assert alerted(desk) == ["step.paused"]


def test_a_probe_whose_worker_died_is_made_by_the_next(desk):
    """When its lease is over, not before."""
    handler = broken()
    worker = braked(desk, handler)
    time_passes(desk, 2)
    with desk.session.transaction() as connection:
        assert brakes.begin_probe(connection, STEP, 600.0) is not None
    handler.sizes.clear()
    worker.run(STEP)
    assert handler.sizes == []
    assert hinted(desk) == []
    time_passes(desk, 600)
    assert hinted(desk) == [STEP]
    worker.run(STEP)
    assert handler.sizes == [1] * MOST_PROBED


# How it ends


def test_a_step_broken_for_long_loses_nothing(desk):
    """Ten minutes, far more than an item is retried for: no dead letter, and mended everything is done, in order."""
    handler = broken()
    worker = braked(desk, handler)
    late = desk.accept(*(text_message("telegram", n, "second") for n in range(1, 101)))
    drain(desk, desk.worker(), [Step.CRM_LOOKUP])
    for _ in range(20):
        time_passes(desk, LONGEST_PAUSE)
        worker.run(STEP)
    assert desk.value("SELECT min(attempts) FROM inbox_state WHERE inbox_id < %s", late[0]) > 0, "each was tried"
    handler.fails = lambda _: False
    time_passes(desk, LONGEST_PAUSE)
    worker.hints.published.clear()
    worker.run(STEP)
    assert paused(desk) == []
    assert (STEP, [], 0) in worker.hints.published, "the rest is hinted at once"
    assert alerted(desk) == ["step.paused", "step.resumed"]
    drain(desk, worker)
    time_passes(desk, LONGEST_PAUSE)
    drain(desk, worker)
    assert desk.stages() == {"done": 200}
    assert desk.value("SELECT count(*) FROM dead_letters") == 0
    assert (
        desk.value(
            "SELECT count(*) FROM (SELECT FROM messages GROUP BY chat_id HAVING array_agg(text ORDER BY seq) "
            "= '{poison,second}') AS in_order"
        )
        == 100
    )
    assert desk.ledger().dead == 0


def test_what_the_pause_took_is_given_back(desk):
    """An item that fails after the pause has as much time left as it had before; without pauses it had none."""
    handler = broken()
    worker = braked(desk, handler, items=20)
    time_passes(desk, 600)
    handler.fails = lambda texts: "first" not in texts
    say(desk, "first", first_chat=500)
    worker.run(STEP)
    assert paused(desk) == []
    handler.fails = lambda texts: POISON in texts
    first_failed = "SELECT inbox_id FROM inbox_state WHERE first_failed_at IS NOT NULL ORDER BY inbox_id LIMIT 1"
    item = desk.value(first_failed)
    desk.execute("UPDATE inbox_state SET due_at = now() + interval '1 day' WHERE inbox_id <> %s", item)
    worker.run(STEP, [item])
    assert desk.rows("SELECT stage::text, attempts FROM inbox_state WHERE inbox_id = %s", item) == [("bind_chat", 2)]
    time_passes(desk, 61)
    desk.execute("UPDATE inbox_state SET due_at = now() WHERE inbox_id = %s", item)
    desk.worker({STEP: handler}).runners[STEP].run([item], {})
    assert desk.value("SELECT stage::text FROM inbox_state WHERE inbox_id = %s", item) == "dead"


def test_mere_poison_still_comes_to_its_end(desk):
    """Twenty-five poison items and nothing else: the brake is on, and they end as dead letters all the same."""
    handler = poisoned()
    worker = braked(desk, handler, items=25)
    rounds = 0
    while desk.stages() != {"dead": 25}:
        time_passes(desk, LONGEST_PAUSE)
        worker.run(STEP)
        rounds += 1
        assert rounds < 25 * MOST_FAILURES_WHILE_PAUSED
    assert desk.rows("SELECT DISTINCT attempts FROM dead_letters") == [(MOST_FAILURES_WHILE_PAUSED,)]
    time_passes(desk, LONGEST_PAUSE)
    worker.run(STEP)
    assert paused(desk) == [], "nothing stands in the step: there is nothing to protect"
    assert desk.ledger().dead == 25


def test_a_good_message_among_poison_is_tried_first(desk):
    """New items go before those that have failed: customers do not wait behind poison."""
    worker = braked(desk, poisoned(), items=25)
    (good,) = say(desk, "good", first_chat=500)
    time_passes(desk, 2)
    worker.run(STEP)
    assert desk.value("SELECT stage::text FROM inbox_state WHERE inbox_id = %s", good) == "ensure_card"
    assert paused(desk) == []


def test_what_stands_behind_a_retried_item_is_not_tried(desk, monkeypatch):
    """It could not run, and the try would say nothing; another chat's is found, at whichever end of a long line."""
    monkeypatch.setattr(brakes, "LOOKED_AT", 2)
    first, _behind = desk.accept(text_message("telegram", 1, "one"), text_message("telegram", 1, "two"))
    drain(desk, desk.worker(), [Step.CRM_LOOKUP])
    (other,) = say(desk, "three", first_chat=2)
    desk.execute("UPDATE inbox_state SET due_at = now() + interval '1 hour', attempts = 1 WHERE inbox_id = %s", first)
    with desk.session.transaction() as connection:
        assert brakes.to_probe(connection, STEP, MOST_PROBED) == [other]
    desk.execute("UPDATE inbox_state SET due_at = now() - interval '1 hour' WHERE inbox_id = %s", first)
    with desk.session.transaction() as connection:
        assert brakes.to_probe(connection, STEP, MOST_PROBED) == [other, first]


def test_a_step_that_fails_again_at_once_backs_off_further(desk):
    """Its pauses are remembered for some minutes; after those it begins anew."""
    for minutes, pauses, seconds in ((1, 3, 4), (10, 1, 1)):
        desk.execute("DELETE FROM inbox_state")
        desk.execute("DELETE FROM step_brakes")
        desk.execute(
            "INSERT INTO step_brakes (step, number, since, ended_at, pauses, resumes_at, reason, fingerprint, worker) "
            "VALUES ('bind_chat', 7, now(), now() - %s * interval '1 minute', 2, now(), '', '', '')",
            minutes,
        )
        say(desk, *["x"] * 30, first_chat=1000 * minutes)
        desk.worker({STEP: broken()}).run(STEP)
        assert desk.rows(
            "SELECT number, pauses, extract(epoch FROM resumes_at - since)::int FROM step_brakes WHERE ended_at IS NULL"
        ) == [(8, pauses, seconds)]


def test_when_nothing_is_due_it_is_looked_again_soon(desk):
    """Items that wait for their own time, or whose chats are in other hands, say nothing of the step."""
    worker = braked(desk, broken(), items=20)
    time_passes(desk, 2)
    desk.execute("UPDATE inbox_state SET due_at = now() + interval '10 s'")
    worker.run(STEP)
    soon = "SELECT pauses FROM step_brakes WHERE ended_at IS NULL AND resumes_at < now() + interval '2 s'"
    assert desk.rows(soon) == [(1,)]
    time_passes(desk, 12)
    holder = Session(desk.options)
    with holder.transaction() as connection:
        connection.execute("SELECT FROM chats FOR NO KEY UPDATE")
        worker.run(STEP)
    holder.close()
    assert desk.rows(soon) == [(1,)]


def test_a_replay_of_what_still_fails_pauses_nothing(desk):
    """What was a dead letter before has its one try, and is one again: nobody else is held up by it."""
    for n in range(4):  # by workers that have seen nothing else
        ids = say(desk, *[POISON] * 10, first_chat=1 + n * 10)
        desk.worker({STEP: poisoned()}, Limits(retry_for=0.0)).run(STEP, ids)
    assert desk.stages() == {"dead": 40}
    desk.execute("UPDATE inbox_state SET stage = 'bind_chat', due_at = now(), finished_at = NULL")
    desk.execute("INSERT INTO ledger (outcome, n) VALUES ('dead', -40)")
    desk.worker({STEP: poisoned()}, Limits(retry_for=0.0)).run(STEP)
    assert desk.stages() == {"dead": 40}
    assert desk.value("SELECT count(*) FROM step_brakes") == 0
    assert desk.rows("SELECT DISTINCT deaths FROM dead_letters") == [(2,)]


def test_without_failures_nothing_is_asked_of_the_brake(desk, monkeypatch):
    """On the good path no statement more than before: the brake is looked at once a second."""
    ids = say(desk, *["good"] * 3)
    worker = desk.worker()
    worker.run(STEP)  # looks
    desk.execute("UPDATE inbox_state SET stage = 'bind_chat' WHERE inbox_id = %s", ids[0])
    desk.execute("DELETE FROM messages")
    worker.runners[STEP]._settled_at = float("inf")
    for name in ("is_on", "on", "begin_probe", "to_probe"):
        monkeypatch.setattr(brakes, name, None)
    worker.run(STEP, ids[:1])
    assert desk.stages() == {"ensure_card": 3}

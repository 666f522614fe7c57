"""How a step is run: what fails is halved and retried, what crashes is suspected, and what is away waits."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from config.masking import MASK
from config.topology import Step
from crm_store import failures
from crm_store.database import Connection, DatabaseOptions, Session
from crm_store.errors import DatabaseAwayError, RowRefusedError
from crm_store.inbox import ClaimedItem
from crm_store.migrations import migrate
from runtime.output import LogFiles
from runtime.postgres import EmbeddedPostgres
from runtime.supervisor import Supervisor
from tests.pipeline import Desk, RecordingHints, Worker, drain, text_message
from tests.processes import wait_for
from worker.handlers import HANDLERS
from worker.messages import read_texts
from worker.policy import half
from worker.runner import MOST_TRIES, Carried, Limits, Outcome

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
    """bind_chat, with an error for every batch that holds a poisoned message, after its effects."""

    def __init__(self, error: Callable[[], Exception]) -> None:
        self.sizes: list[int] = []
        self._error = error

    def __call__(self, connection: Connection, items: Sequence[ClaimedItem], carried: Carried) -> Outcome:
        outcome = HANDLERS[STEP](connection, items, carried)
        if _poisoned(connection, items):
            self.sizes.append(len(items))
            raise self._error()
        return outcome


def _poisoned(connection: Connection, items: Sequence[ClaimedItem]) -> bool:
    return any(POISON in said.text for said in read_texts(connection, items, {}).values())


def say(desk: Desk, *texts: str, chat: int | None = None) -> list[int]:
    """One message each, looked up already; of one chat, or of as many as there are messages."""
    ids = desk.accept(
        *(text_message("telegram", n + 1 if chat is None else chat, text) for n, text in enumerate(texts))
    )
    drain(desk, desk.worker(), [Step.CRM_LOOKUP])
    return ids


def with_culprit(n: int, at: int) -> list[str]:
    return [POISON if number == at else "good" for number in range(n)]


def time_passes(desk: Desk, seconds: float) -> None:
    """All that waits was noted so much earlier."""
    desk.execute(
        "UPDATE inbox_state SET due_at = due_at - %(s)s * interval '1 second', "
        "first_failed_at = first_failed_at - %(s)s * interval '1 second'".replace("%(s)s", str(seconds))
    )


# Errors


@pytest.mark.parametrize("at", [0, 49, 99])
def test_halving_isolates_the_culprit(desk, at):
    """Failures: of a hundred items one fails alone, in seven halvings; the others are done at once, each once."""
    ids = say(desk, *with_culprit(100, at))
    failing = Failing(lambda: ValueError("x"))
    worker = desk.worker({STEP: failing})
    worker.run(STEP, ids)
    assert desk.stages() == {"ensure_card": 99, "bind_chat": 1}
    assert failing.sizes[0] == 100
    assert failing.sizes[-1] == 1
    assert all(after <= half(before) for before, after in pairwise(failing.sizes))
    assert desk.rows("SELECT inbox_id, attempts, batch_limit FROM inbox_state WHERE attempts > 0") == [(ids[at], 1, 1)]
    assert desk.value("SELECT count(*) FROM messages") == 99, "the failed one's effects are rolled back"
    assert desk.value("SELECT count(*) FROM chats WHERE card_id IS NOT NULL") == 99
    assert desk.value("SELECT count(*) FROM batches") == 0
    assert sorted(i for items in worker.hints.of(Step.ENSURE_CARD) for i in items) == sorted({*ids} - {ids[at]})


def test_two_culprits_in_one_batch(desk):
    """Both are found, and nobody else fails with them."""
    ids = say(desk, *(POISON if n in (3, 4) else "good" for n in range(10)))
    desk.worker({STEP: Failing(lambda: ValueError("x"))}).run(STEP, ids)
    assert desk.rows("SELECT inbox_id FROM failures ORDER BY 1") == [(ids[3],), (ids[4],)]
    assert desk.stages() == {"ensure_card": 8, "bind_chat": 2}


def test_a_failed_item_is_retried_with_backoff_and_then_is_a_dead_letter(desk):
    """Failures: columns, not timers; at most `retry_for` in all; recorded with reason, step, attempts, traceback."""
    (inbox_id,) = say(desk, f"{POISON}: my secret wish")
    failing = Failing(lambda: KeyError("my secret wish, call +49 171 2345678"))
    worker = desk.worker({STEP: failing}, Limits(retry_for=60.0))
    waits = []
    for attempt in range(1, 50):
        worker.run(STEP)
        if desk.stages() == {"dead": 1}:
            break
        assert desk.value("SELECT attempts FROM inbox_state") == attempt
        wait = desk.value("SELECT extract(epoch FROM due_at - now())::float8 FROM inbox_state")
        waits.append(round(wait))
        worker.run(STEP)
        assert desk.value("SELECT attempts FROM inbox_state") == attempt, "not before its time"
        time_passes(desk, wait + 0.01)
    assert waits[:5] == [1, 2, 4, 8, 16]
    assert 55 <= sum(waits) <= 61
    assert desk.value("SELECT count(*) FROM failures WHERE inbox_id = %s", inbox_id) == len(waits) + 1
    ((step, reason, fingerprint, attempts, error, trace),) = desk.rows(
        "SELECT step, reason, fingerprint, attempts, error, traceback FROM dead_letters"
    )
    assert (step, reason, attempts) == ("bind_chat", "key", len(waits) + 1)
    assert fingerprint.startswith("KeyError@worker/runner.py")
    assert error == f"KeyError: '{MASK}'"
    assert "Traceback" in trace
    assert "in __call__" in trace
    assert desk.value("SELECT reason FROM inbox_state") == "key"
    for table in ("failures", "dead_letters"):
        assert desk.value(f"SELECT count(*) FROM {table} AS t WHERE t::text ~ 'secret|2345678'") == 0, "masked"
    assert desk.ledger().dead == 1


def test_the_chat_goes_on_behind_a_dead_letter(desk):
    """Failures: in its order; nothing of it overtakes while the culprit is being retried."""
    ids = say(desk, "first", POISON, "third", "fourth", chat=1)
    worker = desk.worker({STEP: Failing(lambda: ValueError("x"))}, Limits(retry_for=0.0))
    retrying = desk.worker({STEP: Failing(lambda: ValueError("x"))}, Limits(retry_for=60.0))
    retrying.run(STEP, ids)
    assert desk.rows("SELECT text FROM messages ORDER BY seq") == [("first",)]
    retrying.run(STEP, ids)
    assert desk.value("SELECT count(*) FROM messages") == 1
    time_passes(desk, 61)
    for _ in range(3):
        worker.run(STEP)
    assert desk.rows("SELECT text FROM messages ORDER BY seq") == [("first",), ("third",), ("fourth",)]
    assert desk.rows("SELECT inbox_id FROM dead_letters") == [(ids[1],)]
    drain(desk, worker)
    assert desk.stages() == {"done": 3, "dead": 1}
    assert desk.ledger().balances


def test_an_item_that_heals_leaves_no_mark(desk):
    """After a failure that went away it is as trusted as the others."""
    say(desk, POISON)
    desk.worker({STEP: Failing(lambda: ValueError("x"))}).run(STEP)
    time_passes(desk, 2)
    desk.worker().run(STEP)
    marks = "SELECT stage::text, attempts, first_failed_at, crashes, batch_limit FROM inbox_state"
    assert desk.rows(marks) == [("ensure_card", 0, None, 0, None)]


def test_what_postgresql_refuses_counts(desk):
    """Class 22 and 23: the same data will be refused again, so it is retried and buried like any error."""
    (inbox_id,) = say(desk, POISON)

    def refuse(connection: Connection, items: Sequence[ClaimedItem], carried: Carried) -> Outcome:
        connection.execute("SELECT 1 / 0")
        raise AssertionError

    desk.worker({STEP: refuse}, Limits(retry_for=0)).run(STEP)
    assert desk.rows("SELECT inbox_id, reason FROM dead_letters") == [(inbox_id, RowRefusedError.reason)]


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("SELECT pg_terminate_backend(pg_backend_pid())", id="57P01 terminated"),
        pytest.param("SET LOCAL statement_timeout = 1; SELECT pg_sleep(10)", id="57014 statement timeout"),
        pytest.param("DO $$ BEGIN RAISE deadlock_detected; END $$", id="40P01 deadlock"),
        pytest.param("DO $$ BEGIN RAISE lock_not_available; END $$", id="55P03 lock timeout"),
        pytest.param("DO $$ BEGIN RAISE out_of_memory; END $$", id="53200 out of memory"),
        pytest.param(
            "SET LOCAL idle_in_transaction_session_timeout = 1; SELECT pg_sleep(0)", id="25P03 idle in transaction"
        ),
    ],
)
def test_what_says_nothing_of_the_data_never_counts(desk, query):
    """Classes 08, 25, 40, 53, 55, 57 wait: no attempt, no suspicion, nothing left behind; and then it is done."""
    ids = say(desk, "a", "b")

    def away(connection: Connection, items: Sequence[ClaimedItem], carried: Carried) -> Outcome:
        for statement in query.split("; ") if query.startswith("SET") else [query]:
            connection.execute(statement)
        if "idle" in query:
            assert wait_for(lambda: connection.info.backend_pid not in _sessions(desk))
            connection.execute("SELECT 1")
        raise AssertionError("it should have failed")

    worker = desk.worker({STEP: away})
    worker.run(STEP, ids)
    worker.run(STEP, ids)
    assert desk.rows("SELECT DISTINCT stage::text, attempts, crashes, batch_limit FROM inbox_state") == [
        ("bind_chat", 0, 0, None)
    ]
    assert desk.value("SELECT count(*) FROM failures") == 0
    assert desk.value("SELECT count(*) FROM batches") == 0
    desk.worker().run(STEP)
    assert desk.stages() == {"ensure_card": 2}


def test_a_failing_claim_blames_nobody(desk, monkeypatch):
    """A defect outside the items' work comes out, to be logged by the task; the items stand where they stood."""
    say(desk, "a")
    worker = desk.worker()

    def fail(*_: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setattr("worker.runner.inbox.claim", fail)
    with pytest.raises(ZeroDivisionError):
        worker.run(STEP)
    assert desk.value("SELECT count(*) FROM failures") == 0
    assert desk.stages() == {"bind_chat": 1}


# Hints


def test_what_is_left_and_what_waits_is_hinted_again(desk):
    """What a step leaves it hints again: chats in other hands by name, more than a batch by an empty hint."""
    ids = say(desk, "a", "b", "c")
    worker = desk.worker(limits=Limits(batch=1))
    holder = Session(desk.options)
    with holder.transaction() as connection:
        connection.execute("SELECT FROM chats WHERE external_id = '1' FOR NO KEY UPDATE")
        worker.run(STEP, ids)
    holder.close()
    assert desk.stages() == {"bind_chat": 2, "ensure_card": 1}
    hinted = [(items, tries) for step, items, tries in worker.hints.published if step is STEP]
    assert ([ids[0]], 1) in hinted
    assert ([], 0) in hinted


def test_hinting_chats_in_other_hands_comes_to_an_end(desk):
    """After some tries it is left to the sweeper."""
    (inbox_id,) = say(desk, "a")
    worker = desk.worker()
    holder = Session(desk.options)
    with holder.transaction() as connection:
        connection.execute("SELECT FROM chats FOR NO KEY UPDATE")
        tries = 0
        while worker.hints.published == [(STEP, [inbox_id], tries)] or tries == 0:
            worker.hints.published.clear()
            worker.runners[STEP].run([inbox_id], {}, tries)
            tries += 1
    holder.close()
    assert tries == MOST_TRIES + 1


def test_the_next_step_is_hinted_after_the_commit(desk):
    """A hint names the items that were moved there, and is sent when others can see them."""
    ids = say(desk, "a", "b")
    seen: list[int] = []

    class Looking(RecordingHints):
        def publish(self, step, items=(), tries=0):
            seen.append(desk.value("SELECT count(*) FROM inbox_state WHERE stage = %s", step.value))
            return super().publish(step, items, tries)

    worker = desk.worker()
    worker.runners[STEP]._hints = Looking()
    worker.run(STEP, ids)
    assert seen == [2]
    assert [sorted(i) for i in worker.runners[STEP]._hints.of(Step.ENSURE_CARD)] == [sorted(ids)]


class Sparing(RecordingHints):
    """Does not hint a step that is queued, as `Hints`."""

    def publish_news(self, step, items):
        return not self.queued.get(step) and self.publish(step, items)


def test_one_queued_task_takes_what_others_were_not_hinted_for(desk):
    """Whatever it names, if anything: so the second of two hints of a step may be left out."""
    first, second = say(desk, "a", "b")
    worker = desk.worker()
    hints = worker.runners[STEP]._hints = Sparing()
    worker.run(STEP, [first])
    worker.run(STEP, [second])
    assert hints.of(Step.ENSURE_CARD) == [[first, second]], "the first task took both along"
    (third,) = say(desk, "c")
    hints.queued[Step.ENSURE_CARD] = 1
    worker.run(STEP, [third])
    assert len(hints.of(Step.ENSURE_CARD)) == 1, "queued already"
    worker.run(Step.ENSURE_CARD, [first])
    assert desk.stages() == {"distribute": 3}


def test_an_item_in_other_hands_is_hinted_again_for_a_while(desk):
    """Every task finds it; five of them say so, then the sweeper does. Each item has tries of its own."""
    first, _ = say(desk, "a", "b")
    worker, holder = desk.worker(), Session(desk.options)
    with holder.transaction() as connection:
        connection.execute("SELECT FROM chats ORDER BY id LIMIT 1 FOR UPDATE")
        for _ in range(MOST_TRIES + 3):
            worker.run(STEP, [])
        assert desk.stages() == {"bind_chat": 1, "ensure_card": 1}, "the other one's chat is free"
        assert worker.hints.of(STEP) == [[first]] * MOST_TRIES
        (third,) = desk.accept(text_message("telegram", 1, "c"))
        desk.execute("UPDATE inbox_state SET stage = 'bind_chat' WHERE inbox_id = %s", third)
        worker.run(STEP, [])
        assert worker.hints.of(STEP)[MOST_TRIES:] == [[third]]
    holder.close()


# Crashes


def _sessions(desk: Desk) -> set[int]:
    return {pid for (pid,) in desk.rows("SELECT pid FROM pg_stat_activity")}


class Deadly:
    """bind_chat, which kills its worker if a poisoned message is in the batch, after half of the effects."""

    def __init__(self, desk: Desk) -> None:
        self.sizes: list[int] = []
        self._desk = desk
        self.worker: Worker | None = None

    def __call__(self, connection: Connection, items: Sequence[ClaimedItem], carried: Carried) -> Outcome:
        outcome = HANDLERS[STEP](connection, items, carried)
        if _poisoned(connection, items):
            self.sizes.append(len(items))
            assert self.worker is not None
            _die(self._desk, self.worker, connection)
        return outcome


def _die(desk: Desk, worker: Worker, connection: Connection) -> None:
    worker.runners[STEP]._strike_out = lambda batch_id: None  # type: ignore[method-assign]
    pid = connection.info.backend_pid
    desk.execute("SELECT pg_terminate_backend(%s)", pid)
    assert wait_for(lambda: pid not in _sessions(desk))
    raise DatabaseAwayError("the process is gone")


def run_with_new_workers(desk: Desk, deadly: Deadly, rounds: int, named: Sequence[int] = ()) -> None:
    """As a supervisor would: each time another worker process."""
    for _ in range(rounds):
        deadly.worker = desk.worker({STEP: deadly})
        deadly.worker.run(STEP, named)
        deadly.worker.close()


def test_a_crash_suspects_the_whole_batch_at_half_its_size(desk):
    """Failures: persisted, so that whoever comes next runs them so; nothing is counted against any of them."""
    ids = say(desk, *with_culprit(11, 0))
    deadly = Deadly(desk)
    run_with_new_workers(desk, deadly, 1, ids)
    assert desk.value("SELECT count(*) FROM batches") == 1
    run_with_new_workers(desk, deadly, 1)
    assert desk.rows("SELECT DISTINCT batch_limit, crashes FROM inbox_state WHERE stage = 'bind_chat'") == [(6, 0)]
    assert deadly.sizes == [11, 6]
    assert desk.value("SELECT count(*) FROM messages") == 0


def test_a_poison_is_the_only_dead_letter(desk):
    """Failures: halved from crash to crash until it runs alone; three crashes alone are a dead letter."""
    ids = say(desk, *with_culprit(100, 37))
    deadly = Deadly(desk)
    run_with_new_workers(desk, deadly, 40)
    assert desk.stages() == {"ensure_card": 99, "dead": 1}
    assert (deadly.sizes[0], deadly.sizes[-3:]) == (100, [1, 1, 1])
    assert deadly.sizes.count(1) == 3
    assert all(after <= half(before) for before, after in pairwise(deadly.sizes))
    ((inbox_id, step, reason, attempts, error),) = desk.rows(
        "SELECT inbox_id, step, reason, attempts, error FROM dead_letters"
    )
    assert (inbox_id, step, reason, attempts) == (ids[37], "bind_chat", "worker_crashed", 3)
    assert "3 times" in error
    assert desk.value("SELECT count(*) FROM messages") == 99
    assert desk.value("SELECT count(*) FROM batches") == 0
    assert desk.ledger().dead == 1


def test_suspects_wait_for_the_trusted_and_are_trusted_again_when_done(desk):
    """New items do not run with suspects; who came through is trusted in the next step."""
    say(desk, *with_culprit(4, 0))
    deadly = Deadly(desk)
    run_with_new_workers(desk, deadly, 1)
    fresh = desk.accept(*(text_message("telegram", 100 + n, "good") for n in range(5)))
    drain(desk, desk.worker(), [Step.CRM_LOOKUP])
    run_with_new_workers(desk, deadly, 1)
    assert {i for (i,) in desk.rows("SELECT inbox_id FROM inbox_state WHERE stage = 'ensure_card'")} == set(fresh)
    run_with_new_workers(desk, deadly, 20)
    assert desk.rows("SELECT DISTINCT batch_limit FROM inbox_state WHERE stage = 'ensure_card'") == [(None,)]
    assert desk.stages() == {"ensure_card": 8, "dead": 1}


def test_suspects_are_not_starved_by_the_trusted(desk):
    """Each task gives them a batch of their own, after the trusted ones."""
    suspects = say(desk, "a", "b", "c")
    desk.execute("UPDATE inbox_state SET batch_limit = 2")
    trusted = desk.accept(*(text_message("telegram", 100 + n, "good") for n in range(3)))
    drain(desk, desk.worker(), [Step.CRM_LOOKUP])
    batches: list[set[int]] = []

    def look(connection: Connection, items: Sequence[ClaimedItem], carried: Carried) -> Outcome:
        batches.append({item.inbox_id for item in items})
        return HANDLERS[STEP](connection, items, carried)

    desk.worker({STEP: look}).run(STEP)
    assert batches[0] == set(trusted)
    assert len(batches[1]) == 2
    assert batches[1] < set(suspects)


def test_a_living_worker_that_lost_its_connection_has_not_crashed(desk):
    """It strikes its batch out on its other session; nobody is suspected."""
    ids = say(desk, "a", "b")

    def cut_off(connection: Connection, items: Sequence[ClaimedItem], carried: Carried) -> Outcome:
        desk.execute("SELECT pg_terminate_backend(%s)", connection.info.backend_pid)
        return HANDLERS[STEP](connection, items, carried)

    desk.worker({STEP: cut_off}).run(STEP, ids)
    assert desk.value("SELECT count(*) FROM batches") == 0
    desk.worker().run(STEP)
    assert desk.stages() == {"ensure_card": 2}
    assert desk.value("SELECT count(*) FROM failures") == 0


def test_a_living_worker_that_lost_both_connections_strikes_out_afterwards(desk):
    """Connected again, it first says that it lives."""
    ids = say(desk, POISON, "b")
    away = [True]

    def cut_off(connection: Connection, items: Sequence[ClaimedItem], carried: Carried) -> Outcome:
        if away.pop():
            worker.witness._options = _nowhere(desk)
            worker.witness.close()
            desk.execute("SELECT pg_terminate_backend(%s)", connection.info.backend_pid)
        return HANDLERS[STEP](connection, items, carried)

    worker = desk.worker({STEP: cut_off})
    worker.run(STEP, ids)
    assert desk.value("SELECT count(*) FROM batches") == 1
    worker.witness._options = desk.options
    away.append(False)
    # Its own task comes before the next look for crashes.
    worker.runners[STEP].run(ids, {})
    assert desk.stages() == {"ensure_card": 2}
    assert desk.value("SELECT count(*) FROM batches") == 0


def _nowhere(desk: Desk) -> DatabaseOptions:
    return replace(desk.options, url="postgresql://nobody@127.0.0.1:1/none")


def test_a_batch_that_is_being_worked_on_is_no_crash(desk):
    """Its session is there: others leave it alone."""
    ids = say(desk, "a")
    others: list[dict[str, int]] = []

    def look(connection: Connection, items: Sequence[ClaimedItem], carried: Carried) -> Outcome:
        desk.worker().run(STEP, ids)
        others.append(desk.stages())
        return HANDLERS[STEP](connection, items, carried)

    desk.worker({STEP: look}).run(STEP, ids)
    assert others == [{"bind_chat": 1}]
    assert desk.rows("SELECT crashes, batch_limit FROM inbox_state") == [(0, None)]


def test_an_unsettled_batch_is_settled_before_its_items_run(desk):
    """A worker that looked for crashes a moment ago still finds the one that concerns its items."""
    ids = say(desk, *with_culprit(2, 1))
    survivor = desk.worker()
    survivor.run(STEP)  # looks for crashes, at nothing: it will not look again so soon
    desk.execute("UPDATE inbox_state SET stage = 'bind_chat'")
    desk.execute("DELETE FROM messages")
    deadly = Deadly(desk)
    run_with_new_workers(desk, deadly, 1, ids)
    survivor.run(STEP, ids)
    assert desk.rows("SELECT DISTINCT batch_limit FROM inbox_state") == [(1,)]
    assert STEP in [step for step, _, _ in survivor.hints.published], "and hints them again"


def test_a_restart_of_postgresql_is_nobodys_crash(tmp_path: Path):
    """Batches from before the server's start are struck out without suspicion."""
    server = EmbeddedPostgres(tmp_path / "postgres", {"fsync": "off"})
    server.prepare()
    supervisor = Supervisor(LogFiles(tmp_path))
    try:
        supervisor.start(server.child())
        migrate(server.url)
        with Desk(server.url) as desk:
            desk.open_channel("desk", ["telegram"])
            ids = say(desk, POISON)
            deadly = Deadly(desk)
            run_with_new_workers(desk, deadly, 1, ids)
            assert desk.value("SELECT count(*) FROM batches") == 1
        supervisor.stop("postgres")
        supervisor.start(server.child())
        with Desk(server.url) as desk:
            assert wait_for(lambda: desk.value("SELECT 1") == 1)
            worker = desk.worker()
            worker.runners[STEP]._settle()
            assert desk.value("SELECT count(*) FROM batches") == 0
            assert desk.rows("SELECT crashes, batch_limit FROM inbox_state") == [(0, None)]
            worker.run(STEP)
            assert desk.stages() == {"ensure_card": 1}
    finally:
        supervisor.stop_all()


def test_settling_is_shared_out(desk):
    """Two workers settle at once: a crash is counted once."""
    (inbox_id,) = say(desk, POISON)
    deadly = Deadly(desk)
    run_with_new_workers(desk, deadly, 1, [inbox_id])
    first, second = Session(desk.options), Session(desk.options)
    with first.transaction() as one, second.transaction() as other:
        assert len(failures.take_crashed(one, STEP)) == 1
        assert failures.take_crashed(other, STEP) == []
    first.close()
    second.close()


def test_crashes_lock_their_chats_in_order(desk):
    """Whoever has the lower chat gets the higher one too: nobody waits for it in the wrong order."""
    lower, higher = say(desk, "a", "b")
    for inbox_id in (higher, lower):
        desk.execute(
            "INSERT INTO batches (step, worker, backend_pid, backend_start, inbox_ids) VALUES (%s, 'w', 0, now(), %s)",
            STEP,
            [inbox_id],
        )
    chats = [chat_id for (chat_id,) in desk.rows("SELECT chat_id FROM inbox_state ORDER BY inbox_id")]
    lock, session = "SELECT id FROM chats WHERE id = %s FOR NO KEY UPDATE", Session(desk.options)
    with ThreadPoolExecutor(1) as pool:
        with session.transaction() as connection:
            connection.execute(lock, [chats[0]])
            settling = pool.submit(desk.worker().runners[STEP]._settle)
            assert wait_for(lambda: desk.blocked_sessions() == 1, 60)
            connection.execute(f"{lock} NOWAIT", [chats[1]])
        settling.result(60)
    session.close()
    assert desk.rows("SELECT crashes FROM inbox_state") == [(1,), (1,)]


def test_costs_are_entered_with_the_effects(desk):
    """Figures: one entry per batch, with its items."""
    ids = say(desk, "a", "b")
    desk.worker().run(STEP, ids)
    assert desk.rows("SELECT batches, items, seconds > 0 FROM step_costs WHERE step = 'bind_chat'") == [(1, 2, True)]

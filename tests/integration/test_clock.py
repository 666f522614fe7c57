"""The clock: hints what does not move, folds the ledger, forgets old keys; any number of them may run."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from config.topology import INBOX_STEPS, Step
from crm_store import chats, costs, inbox, ledger, outbox
from crm_store.chats import OutboundEntry
from crm_store.database import DatabaseOptions, Session
from tests.pipeline import Desk, RecordingHints, drain, text_message
from worker import clock as clock_module
from worker.clock import Clock, ClockOptions

pytestmark = pytest.mark.integration


@pytest.fixture
def desk(database_url) -> Iterator[Desk]:
    """An open channel with two channels and nobody to serve them."""
    with Desk(database_url) as made:
        made.open_channel("desk", ["telegram", "custom"])
        yield made


@pytest.fixture
def session(desk) -> Iterator[Session]:
    """The clock's session."""
    made = Session(desk.options)
    yield made
    made.close()


def swept(session: Session, hints: RecordingHints | None = None, **options: float) -> list[Step]:
    """The steps that one look hints."""
    hints = hints or RecordingHints()
    Clock(session, hints, ClockOptions(**options)).tick()  # type: ignore[arg-type]
    assert all(items == [] for _, items, _ in hints.published)
    return [step for step, _, _ in hints.published]


def waits(desk: Desk, step: Step, seconds: float, chat: int = 1) -> None:
    """An item that has stood in this step for so long."""
    (inbox_id,) = desk.accept(text_message("telegram", chat, "x"))
    desk.execute(
        "UPDATE inbox_state SET stage = %s::text::stage, due_at = now() - %s * interval '1 second' WHERE inbox_id = %s",
        step.value,
        seconds,
        inbox_id,
    )


def test_nothing_to_do_hints_nothing(desk, session):
    """An empty inbox is not hinted about."""
    assert swept(session) == []


@pytest.mark.parametrize("step", INBOX_STEPS)
def test_a_stale_step_with_an_empty_queue_is_hinted_once(desk, session, step):
    """Sweeper: at most one empty hint per step, however many items wait, and for no other step."""
    for chat in range(5):
        waits(desk, step, 3 + chat, chat)
    assert swept(session) == [step]


def test_what_is_fresh_is_left_to_its_task(desk, session):
    """Not older than `stale_after`."""
    waits(desk, Step.BIND_CHAT, 1)
    assert swept(session) == []
    assert swept(session, stale_after=0.5) == [Step.BIND_CHAT]


def test_a_retry_is_stale_only_after_its_time(desk, session):
    """Delays are columns: what is not due yet does not wait."""
    waits(desk, Step.BIND_CHAT, -30)
    assert swept(session) == []


def test_what_is_finished_is_not_hinted(desk, session):
    """Done, ignored, dead."""
    desk.run_through(text_message("telegram", 1, "x"))
    desk.execute("UPDATE inbox_state SET due_at = now() - interval '1 hour'")
    desk.execute("DELETE FROM timers")
    assert swept(session) == []


def test_a_queue_that_holds_tasks_is_left_alone(desk, session):
    """The tasks are there; a hint more would help nobody."""
    waits(desk, Step.BIND_CHAT, 30)
    waits(desk, Step.RESPOND, 30, chat=2)
    hints = RecordingHints()
    hints.queued = {Step.BIND_CHAT: 1}
    assert swept(session, hints) == [Step.RESPOND]


def test_after_the_visibility_timeout_it_is_hinted_all_the_same(desk, session):
    """The few tasks that are queued do not bring it forward; a long queue is only busy."""
    waits(desk, Step.BIND_CHAT, 61)
    for queued, expected in ((1, [Step.BIND_CHAT]), (10_000, [])):
        hints = RecordingHints()
        hints.queued = {Step.BIND_CHAT: queued}
        assert swept(session, hints) == expected


def test_with_the_broker_away_nothing_is_published(desk, session):
    """Unknown depths are no empty queues."""
    waits(desk, Step.BIND_CHAT, 30)

    class Away(RecordingHints):
        def depths(self, steps):
            return {}

    assert swept(session, Away()) == []


def test_a_due_backlog_is_distributes_work(desk, session):
    """D8: its timer is due, so the step is hinted at once, not after `stale_after`."""
    desk.run_through(text_message("telegram", 1, "x"))
    assert swept(session) == []
    desk.execute("UPDATE timers SET due_at = now()")
    assert swept(session) == [Step.DISTRIBUTE]


def test_a_due_delivery_is_hinted(desk, session):
    """Retries of deliveries are columns too."""
    desk.run_through(text_message("custom", 1, "x"))
    with desk.session.transaction() as connection:
        entries = [OutboundEntry(1, 100, "answer", 1)]
        chats.append_outbound(connection, entries)
        outbox.insert(connection, entries, ["custom"])
    assert swept(session) == [Step.DELIVER]
    desk.execute("UPDATE outbox SET due_at = now() + interval '1 minute'")
    assert swept(session) == []


def test_what_waits_behind_a_retry_is_not_hinted(desk, session):
    """S5: in its chat nothing can be sent before it; a hint each half second, for an hour, would find nothing."""
    desk.run_through(text_message("custom", 1, "x"), text_message("custom", 2, "x"))
    with desk.session.transaction() as connection:
        entries = [OutboundEntry(chat, 100 + n, "answer", chat) for chat in (1, 2) for n in range(2)]
        chats.append_outbound(connection, entries)
        outbox.insert(connection, entries, ["custom"])
    desk.execute("UPDATE outbox SET due_at = now() + interval '1 minute' WHERE seq = 100")
    assert swept(session) == []
    desk.execute("UPDATE outbox SET due_at = now() WHERE seq = 100 AND chat_id = 2")
    assert swept(session) == [Step.DELIVER]


def test_the_sweeper_brings_all_forward_without_any_task(desk, session):
    """Redis wiped at every moment: with nothing but the clock's hints everything is done."""
    desk.accept(*(text_message("telegram", chat, "x") for chat in range(30)))
    worker = desk.worker()
    for _ in range(20):
        desk.execute("UPDATE inbox_state SET due_at = now() - interval '3 seconds' WHERE stage < 'done'")
        steps = swept(session)
        if not steps:
            break
        for step in steps:
            if step is not Step.DELIVER:
                worker.run(step)
    assert desk.stages() == {"done": 30}


def test_postgresql_away_stops_no_clock(desk):
    """It waits, and goes on when PostgreSQL is back."""
    waits(desk, Step.BIND_CHAT, 30)
    session, hints = Session(DatabaseOptions("postgresql://nobody@127.0.0.1:1/none", "test")), RecordingHints()
    clock = Clock(session, hints, ClockOptions())
    clock.tick()
    assert hints.published == []
    session._options = desk.options
    clock.tick()
    assert [step for step, _, _ in hints.published] == [Step.BIND_CHAT]
    session.close()


def test_many_clocks_fold_the_ledger_without_loss(desk):
    """Ledger: folded by several clocks at once, while entries are written, it balances at every look."""
    stop = threading.Event()

    def fold(_: int) -> None:
        session = Session(desk.options)
        while not stop.is_set():
            with session.transaction() as connection:
                ledger.fold(connection)
                costs.fold(connection)
        session.close()

    def look() -> None:
        session = Session(desk.options)
        while not stop.is_set():
            with session.transaction() as connection:
                assert ledger.read(connection).balances
        session.close()

    worker = desk.worker()
    with ThreadPoolExecutor(4) as pool:
        running = [*(pool.submit(fold, n) for n in range(3)), pool.submit(look)]
        try:
            for chat in range(40):
                desk.accept(text_message("telegram", chat, "x"))
                drain(desk, worker)
        finally:
            stop.set()
        for run in running:
            run.result(20)
    read = desk.ledger()
    assert (read.accepted, read.done) == (40, 40)
    with desk.session.transaction() as connection:
        ledger.fold(connection)
        costs.fold(connection)
        assert {cost.step: cost.items for cost in costs.read(connection)} == dict.fromkeys(INBOX_STEPS, 40)
    assert desk.value("SELECT count(*) FROM ledger") == 2, "one row per outcome"
    assert desk.ledger() == read


def test_a_clock_folds_now_and_then(desk, session, monkeypatch):
    """Not at each look."""
    desk.run_through(text_message("telegram", 1, "a"))
    desk.run_through(text_message("telegram", 2, "b"))
    monkeypatch.setattr(clock_module, "FOLD_INTERVAL", 0.0)
    before = desk.value("SELECT count(*) FROM ledger")
    Clock(session, RecordingHints(), ClockOptions()).tick()
    assert desk.value("SELECT count(*) FROM ledger") == 2 < before


def test_keys_are_forgotten_after_their_days(desk, session):
    """The unique key is kept 30 days, longer than any provider retries; then the hash goes."""
    message = text_message("telegram", 1, "x")
    desk.accept(message)
    desk.execute("UPDATE inbox_keys SET day = current_date - 30")
    desk.accept(text_message("telegram", 1, "y"))
    swept(session)
    assert desk.value("SELECT count(*) FROM inbox_keys") == 2, "the thirtieth day is kept"
    with desk.session.transaction() as connection:
        assert inbox.accept(connection, [desk.item(message)], desk.value("SELECT current_date")) == [None]
    desk.execute("UPDATE inbox_keys SET day = current_date - 31 WHERE day < current_date")
    swept(session)
    assert desk.value("SELECT count(*) FROM inbox_keys") == 1
    with desk.session.transaction() as connection:
        assert inbox.accept(connection, [desk.item(message)], desk.value("SELECT current_date")) != [None]
    assert desk.ledger().accepted == 3


def test_keys_of_acts_are_forgotten_after_a_day(desk, session):
    """Those of the last 24 hours stay."""
    for hours in (23, 25):
        desk.execute(
            "INSERT INTO idempotency_keys (actor, key, act, fingerprint, at) "
            "VALUES ('service', %s, 'accept', '', now() - %s * interval '1 hour')",
            f"{hours} h",
            hours,
        )
    swept(session)
    assert desk.value("SELECT key FROM idempotency_keys") == "23 h"


def test_a_clock_watches_who_is_there(desk, session):
    """D6: a heartbeat that has stopped is in the log."""
    desk.execute(
        "INSERT INTO operators (name, online, seen_at, logged_availability) "
        "VALUES ('silent', true, now() - interval '61 s', 'available')"
    )
    swept(session)
    logged = "SELECT details ->> 'availability' FROM events WHERE dialog_id IS NULL AND cause = 'presence' LIMIT 1"
    assert desk.value(logged) == "offline"


def test_a_clock_runs_until_it_is_stopped(desk, session):
    """SIGTERM ends it between two looks."""
    waits(desk, Step.BIND_CHAT, 30)
    stop, seen = threading.Event(), threading.Event()

    class Seen(RecordingHints):
        def publish(self, step, items=(), tries=0):
            seen.set()
            return super().publish(step, items, tries)

    clock = Clock(session, Seen(), ClockOptions(interval=0.01))
    thread = threading.Thread(target=clock.run, args=(stop,))
    thread.start()
    assert seen.wait(20)
    stop.set()
    thread.join(20)
    assert not thread.is_alive()

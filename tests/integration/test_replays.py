"""Replays: letters are put back where they died, on condition, in order, and what became of each is known."""

from collections.abc import Iterator

import pytest

from config.topology import INBOX_STEPS, Step
from crm_store import chats, outbox, receipts
from crm_store.chats import OutboundEntry
from crm_store.outbox import FailedTry
from crm_store.receipts import Receipt
from crm_store.replays import Pace
from crm_store.retention import Retention, RetentionOptions
from tests.pipeline import Desk, drain, text_message
from tests.replays import POISON, Broken, Engine, ask, die, hour_ago, outcomes, replay_row
from tracker.deliveries import DeliveryState
from worker import replaying
from worker.putting_back import BATCH_LIMIT

pytestmark = pytest.mark.integration


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """An open channel with channels of several kinds, and somebody to serve them."""
    with Desk(database_url) as made:
        made.open_channel("desk", ["telegram", "whatsapp", "custom", "webform"], [made.operator("ann")])
        yield made


@pytest.fixture
def engine(desk: Desk) -> Iterator[Engine]:
    """A clock's part in replays."""
    made = Engine(desk)
    yield made
    made.close()


# Items that died in a step


@pytest.mark.parametrize("step", INBOX_STEPS)
def test_what_died_in_a_step_goes_through_it_and_all_others(desk: Desk, engine: Engine, step: Step) -> None:
    """An item goes back into its step; history, card and dialog are as if nothing had happened; the ledger balances."""
    if step is Step.RESPOND:  # who has an operator is told nothing
        desk.execute("UPDATE operators SET online = false")
    broken = Broken(step)
    (inbox_id,) = die(desk, broken, 1)
    assert desk.ledger().dead == 1
    broken.mended = True
    replay_id = ask(desk)
    engine.look()
    assert desk.value("SELECT stage::text FROM inbox_state WHERE inbox_id = %s", inbox_id) == step.value
    assert engine.hints.of(step) == [[inbox_id]], "hinted after the commit"
    assert desk.ledger().pending == 1
    engine.finish(broken.worker(desk))
    assert replay_row(desk, replay_id) | {"run": 1} == {
        "state": "done", "reason": "", "run": 1, "total": 1, "under_way": 0, "done": 1, "failed": 0, "skipped": 0,
    }  # fmt: skip
    assert outcomes(desk, replay_id) == [("done", "done")]
    assert (desk.ledger().done, desk.ledger().dead) == (1, 0)
    assert desk.value("SELECT count(*) FROM messages WHERE direction = 'in'") == 1
    assert desk.value("SELECT count(*) FROM dialogs") == 1
    assert desk.value("SELECT state FROM dead_letters_now") == "done"
    assert desk.rows("SELECT act, actor, details ->> 'replay_id' FROM dead_letter_acts") == [
        ("replay", "cli:test", str(replay_id))
    ]


def test_what_fails_again_has_had_one_try_and_is_the_same_letter(desk: Desk, engine: Engine) -> None:
    """It is dead again at once, instead of holding up its chat for a minute; attempts and deaths go on counting."""
    broken = Broken(Step.BIND_CHAT)
    die(desk, broken, 1)
    replay_id = ask(desk)
    engine.finish(broken.worker(desk, retry_for=60.0))
    assert outcomes(desk, replay_id) == [("failed", "key")]
    assert replay_row(desk, replay_id)["state"] == "done"
    assert desk.rows("SELECT deaths, attempts, first_died_at < died_at FROM dead_letters") == [(2, 2, True)]
    assert desk.value("SELECT count(*) FROM failures") == 2
    assert (desk.ledger().dead, desk.ledger().pending) == (1, 0)


def test_a_letter_that_has_crashed_workers_runs_alone_and_one_crash_is_enough(desk: Desk, engine: Engine) -> None:
    """Crashes stay one below death: a replay costs one worker at most, and no neighbour is in its batch."""
    broken = Broken(Step.BIND_CHAT)
    die(desk, broken, 1, 2)
    desk.execute("UPDATE dead_letters SET reason = 'worker_crashed' WHERE id = 1")
    desk.execute("UPDATE inbox_state SET crashes = 3 WHERE inbox_id = 1")
    ask(desk)
    engine.look()
    assert desk.rows("SELECT crashes, batch_limit FROM inbox_state ORDER BY inbox_id") == [(2, 1), (0, BATCH_LIMIT)]


@pytest.mark.parametrize("later", [Step.ENSURE_CARD, Step.DISTRIBUTE])
def test_what_fails_in_a_later_step_has_had_one_try_too(desk: Desk, engine: Engine, later: Step) -> None:
    """It came through the step where it had died: the next one does not hold up its chat for a minute either."""
    die(desk, Broken(Step.BIND_CHAT), 1)
    replay_id = ask(desk)
    engine.look()
    drain(desk, Broken(later).worker(desk, retry_for=60.0))
    engine.look()
    assert outcomes(desk, replay_id) == [("failed", "key")]
    assert desk.rows("SELECT step, deaths FROM dead_letters") == [(later.value, 2)]


def test_replayed_items_run_apart_from_all_others(desk: Desk, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who knows what is in them: no fresh message is in their batch, and they are not a batch of hundreds."""
    monkeypatch.setattr(replaying, "BATCH_LIMIT", 3)
    broken = Broken(Step.CRM_LOOKUP)
    die(desk, broken, *range(7))
    broken.mended, broken.seen = True, []
    desk.accept(*(text_message("telegram", 1000 + n, "fresh") for n in range(5)))
    replay_id = ask(desk)
    engine.look()
    drain(desk, broken.worker(desk))
    assert broken.seen == [5, 3, 3, 1]
    engine.look()
    assert replay_row(desk, replay_id)["done"] == 7


def test_what_is_no_dead_letter_any_more_is_skipped(desk: Desk, engine: Engine) -> None:
    """A person, or another replay, was there first: at its turn it is looked at again under its lock."""
    broken = Broken(Step.BIND_CHAT)
    ids = die(desk, broken, 1, 2, 3)
    broken.mended = True
    first, second = ask(desk), ask(desk)
    desk.execute("UPDATE inbox_state SET stage = 'discarded' WHERE inbox_id = %s", ids[1])
    desk.execute("INSERT INTO ledger VALUES ('dead', -1), ('discarded', 1)")
    engine.finish(broken.worker(desk))
    assert [state for state, _ in outcomes(desk, first)] == ["done", "skipped", "done"]
    assert set(outcomes(desk, second)) == {("skipped", "not_dead")}
    assert (desk.ledger().done, desk.ledger().discarded, desk.ledger().dead) == (2, 1, 0)
    assert desk.value("SELECT count(*) FROM messages") == 2
    assert desk.value("SELECT count(*) FROM dead_letter_acts") == 2, "what was skipped was not replayed"


def test_a_letter_that_is_erased_meanwhile_is_gone(desk: Desk, engine: Engine) -> None:
    """Before its turn and after it: the history of the replay keeps numbers alone."""
    broken = Broken(Step.BIND_CHAT)
    ids = die(desk, broken, 1, 2)
    broken.mended = True
    replay_id = ask(desk, Pace(canary=1))
    engine.look()
    for inbox_id in ids:
        desk.execute("DELETE FROM dead_letters WHERE inbox_id = %s", inbox_id)
        desk.execute("DELETE FROM inbox_state WHERE inbox_id = %s", inbox_id)
    engine.look()
    assert outcomes(desk, replay_id) == [("skipped", "gone"), ("skipped", "not_dead")]
    engine.look()
    assert replay_row(desk, replay_id)["state"] == "done"


# Order


def test_a_chats_letters_end_in_order_and_the_history_is_ordered(desk: Desk, engine: Engine) -> None:
    """Order in a chat: they keep the places that they had, and none overtakes another on its way."""
    broken = Broken(Step.BIND_CHAT)
    texts = [POISON + " 1", "good 2", POISON + " 3", "good 4", POISON + " 5"]
    desk.accept(*(text_message("telegram", 7, text) for text in texts))
    drain(desk, broken.worker(desk, 0.0))
    hour_ago(desk)
    assert [row[0] for row in desk.rows("SELECT text FROM messages ORDER BY seq")] == ["good 2", "good 4"]
    broken.mended = True
    ask(desk, Pace(rate=1000.0))
    engine.finish(broken.worker(desk))
    assert [row[0] for row in desk.rows("SELECT text FROM messages ORDER BY seq")] == texts
    finished = "SELECT inbox_id FROM inbox_state WHERE inbox_id IN (1, 3, 5) ORDER BY bound_at, chat_seq"
    assert desk.rows(finished) == [(1,), (3,), (5,)]


def test_letters_of_different_steps_of_a_chat_do_not_overtake_each_other(desk: Desk, engine: Engine) -> None:
    """One that died in an early step goes before one of a late step that came after it."""
    early, late = Broken(Step.BIND_CHAT), Broken(Step.DISTRIBUTE)
    die(desk, early, 1)
    die(desk, late, 1)
    early.mended = late.mended = True
    ask(desk)
    engine.look()
    worker = desk.worker()
    worker.run(Step.DISTRIBUTE)
    assert desk.stages() == {"bind_chat": 1, "distribute": 1}, "it waits for the earlier one"
    engine.finish(worker)
    times = desk.rows("SELECT distributed_at FROM inbox_state ORDER BY inbox_id")
    assert times == sorted(times)


# Deliveries


def failed_delivery(desk: Desk, reason: str = "timeout") -> int:
    """An answer to a customer that did not go out; returns its outbox id."""
    drain(desk, desk.worker())
    if not desk.value("SELECT count(*) FROM dialogs"):
        desk.run_through(text_message("custom", 1, "hello"))
    with desk.session.transaction() as connection:
        chats.lock(connection, 1)
        seq = chats.take_seqs(connection, {1: 1})[1]
        entry = OutboundEntry(1, seq, "an answer", 1)
        chats.append_outbound(connection, [entry])
        outbox.insert(connection, [entry], ["custom"])
        (leased,) = outbox.lease(connection, 1, 60.0)
        outbox.failed(connection, leased, FailedTry(reason, "late", "worker"))
    return leased.id


def test_a_delivery_is_due_again_under_its_key(desk: Desk, engine: Engine) -> None:
    """A receiver that has it already does nothing. One that its channel reported as failed needs a key of its own."""
    plain = failed_delivery(desk)
    keys = dict(desk.rows("SELECT id, idempotency_key FROM outbox"))
    reported = failed_delivery(desk, "reported_failed")
    keys |= dict(desk.rows("SELECT id, idempotency_key FROM outbox"))
    before = desk.ledger()
    replay_id = ask(desk)
    engine.look()
    now = {row[0]: row[1:] for row in desk.rows("SELECT id, state, idempotency_key, due_at <= now() FROM outbox")}
    assert now[plain] == ("pending", keys[plain], True)
    assert now[reported][0] == "pending"
    assert now[reported][1] != keys[reported]
    assert desk.ledger() == before, "the ledger counts what came in alone"
    desk.execute("UPDATE outbox SET state = 'sent' WHERE id = %s", plain)
    desk.execute("UPDATE outbox SET state = 'failed' WHERE id = %s", reported)
    desk.execute("UPDATE dead_letters SET deaths = deaths + 1, reason = 'refused' WHERE outbox_id = %s", reported)
    engine.look()
    assert outcomes(desk, replay_id) == [("done", "sent"), ("failed", "refused")]


def test_a_try_of_before_the_replay_says_nothing_of_the_next_one(desk: Desk, engine: Engine) -> None:
    """Its channel reports a failure, and it is replayed, while the worker that handed it over was stopped."""
    outbox_id = failed_delivery(desk)
    desk.execute("UPDATE outbox SET state = 'pending', due_at = now()")
    with desk.session.transaction() as connection:
        (leased,) = outbox.lease(connection, 1, 60.0)
        receipts.insert(connection, [Receipt(leased.channel_id, leased.idempotency_key, DeliveryState.FAILED)])
        receipts.apply(connection, 1)
    ask(desk)
    engine.look()
    with desk.session.transaction() as connection:
        outbox.failed(connection, leased, FailedTry("timeout", "late", "worker"))
        outbox.sent(connection, leased)
    assert desk.rows("SELECT id, state FROM outbox") == [(outbox_id, "pending")], "nobody has sent it under its new key"


def test_a_discarded_delivery_stays_where_it_is(desk: Desk, engine: Engine) -> None:
    """It is no dead letter any more."""
    outbox_id = failed_delivery(desk)
    replay_id = ask(desk)
    desk.execute("UPDATE dead_letters SET discarded_at = now()")
    engine.look()
    assert outcomes(desk, replay_id) == [("skipped", "not_dead")]
    assert desk.value("SELECT state FROM outbox WHERE id = %s", outbox_id) == "failed"


# Forgetting


def test_replays_are_forgotten_with_the_audit(desk: Desk, engine: Engine) -> None:
    """Those that ended, with their letters; one that runs stays, however old."""
    broken = Broken(Step.BIND_CHAT)
    die(desk, broken, 1)
    broken.mended = True
    ask(desk)
    engine.finish(broken.worker(desk))
    die(desk, Broken(Step.BIND_CHAT), 2)
    running = ask(desk)
    desk.execute("UPDATE replays SET changed_at = now() - interval '100 days'")
    for days, deleted in ((101, {}), (99, {"replays": 1})):
        retention = Retention(RetentionOptions(raw_days=None, audit_days=days))
        with desk.session.transaction() as connection:
            while retention.part(connection):
                pass
        assert {table: n for table, n in retention.deleted.items() if n} == deleted
    assert desk.rows("SELECT replay_id FROM replay_items") == [(running,)]

"""Claims: the order in a chat, whole chats, and what a lost, doubled or late task changes (nothing)."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from config.topology import INBOX_STEPS, Step
from crm_store import inbox
from crm_store.database import Connection, Session
from crm_store.errors import StaleClaimError
from crm_store.inbox import Claim, Move
from tests.pipeline import Desk, Worker, drain, text_message

pytestmark = pytest.mark.integration

LIMIT = 100


@pytest.fixture
def desk(database_url) -> Iterator[Desk]:
    """An open channel with one channel."""
    with Desk(database_url) as made:
        made.open_channel("desk", ["telegram"])
        yield made


@contextmanager
def claimed(
    desk: Desk,
    step: Step = Step.CRM_LOOKUP,
    named: list[int] | None = None,
    *,
    limit: int = LIMIT,
    waiting: int = LIMIT,
) -> Iterator[tuple[Connection, Claim]]:
    """A claim in a session of its own, held as long as the block lasts."""
    session = Session(desk.options)
    try:
        with session.transaction() as connection:
            yield connection, inbox.claim(connection, step, named or [], limit, waiting)
    finally:
        session.close()


def ids(claim: Claim) -> list[list[int]]:
    return [[item.inbox_id for item in line] for line in claim.lines]


def say(desk: Desk, *chats: int) -> list[int]:
    """One message of each of these chats, in one commit."""
    return desk.accept(*(text_message("telegram", chat, f"{n}") for n, chat in enumerate(chats)))


def retry_in(desk: Desk, inbox_id: int, seconds: float) -> None:
    """The item has failed and is tried again later."""
    desk.execute(
        "UPDATE inbox_state SET attempts = 1, due_at = now() + %s * interval '1 second' WHERE inbox_id = %s",
        seconds,
        inbox_id,
    )


def test_lines_are_the_chats_in_their_order(desk):
    """Order in a chat: as accepted, whatever order the task names them in."""
    a1, b1, a2, b2, a3 = say(desk, 1, 2, 1, 2, 1)
    with claimed(desk, named=[a3, b2, a1, a2, b1]) as (_, claim):
        assert sorted(ids(claim)) == [[a1, a2, a3], [b1, b2]]
        assert (claim.left, claim.full) == ((), False)


def test_a_task_that_names_one_item_takes_what_stands_before_it(desk):
    """Order in a chat: an item enters no step before those that were accepted earlier."""
    first, second, third = say(desk, 1, 1, 1)
    with claimed(desk, named=[third], waiting=0) as (_, claim):
        assert ids(claim) == [[first, second, third]]


def test_a_late_commit_is_still_served_first(desk):
    """Sequences commit out of order: an item with a lower id that appears later goes before what still waits."""
    slow = Session(desk.options)
    transaction = slow.transaction()
    message = text_message("telegram", 1, "early id, late commit")
    say(desk, 1)
    connection = transaction.__enter__()
    (early,) = inbox.accept(connection, [desk.item(message)], datetime.now(UTC).date())
    (late,) = say(desk, 1)
    transaction.__exit__(None, None, None)
    slow.close()
    assert early is not None
    assert early < late
    desk.worker().run(Step.CRM_LOOKUP)
    assert desk.rows("SELECT inbox_id FROM inbox_state ORDER BY chat_seq")[-2:] == [(early,), (late,)]


def test_an_item_that_commits_after_its_successor_was_placed_follows_it(desk):
    """No high-water marks: it gets the next place; its successor keeps the one it has, in all steps."""
    worker = desk.worker()
    slow = Session(desk.options)
    transaction = slow.transaction()
    say(desk, 1)
    connection = transaction.__enter__()
    (early,) = inbox.accept(connection, [desk.item(text_message("telegram", 1, "early id"))], datetime.now(UTC).date())
    (late,) = say(desk, 1)
    worker.run(Step.CRM_LOOKUP)
    transaction.__exit__(None, None, None)
    slow.close()
    with claimed(desk, Step.BIND_CHAT) as (_, claim):
        assert ids(claim)[0][-1] == late, "what is placed need not wait for an unplaced one"
    drain(desk, worker)
    assert desk.rows("SELECT inbox_id FROM messages ORDER BY seq")[-2:] == [(late,), (early,)]
    assert desk.stages() == {"done": 3}


def test_a_retry_holds_back_its_followers_and_no_other_chat(desk):
    """Order in a chat: what stands behind a retried item waits exactly as long; other chats go on."""
    a1, a2, a3, b1 = say(desk, 1, 1, 1, 2)
    retry_in(desk, a2, 30)
    with claimed(desk, named=[a1, a2, a3, b1]) as (_, claim):
        assert sorted(ids(claim)) == [[a1], [b1]]
        assert claim.left == (), "nobody needs to be hinted about what is deferred"
    due = dict(desk.rows("SELECT inbox_id, due_at FROM inbox_state"))
    assert due[a3] == due[a2], "deferred"
    assert due[b1] < due[a2]
    with claimed(desk) as (_, claim):
        assert sorted(ids(claim)) == [[a1], [b1]], "and it is not at the head of the line again"


def test_a_retry_in_an_earlier_step_holds_back_this_one(desk):
    """An item enters a step only if no earlier unfinished item of its chat stands before it."""
    first, second = say(desk, 1, 1)
    desk.worker().run(Step.CRM_LOOKUP)
    desk.execute("UPDATE inbox_state SET stage = 'ensure_card' WHERE inbox_id = %s", second)
    with claimed(desk, Step.ENSURE_CARD, [second]) as (_, claim):
        assert ids(claim) == []
    assert claim.left == ()  # it goes on with the first
    desk.execute("UPDATE inbox_state SET stage = 'ensure_card' WHERE inbox_id = %s", first)
    with claimed(desk, Step.ENSURE_CARD, [second]) as (_, claim):
        assert ids(claim) == [[first, second]]


def test_a_dead_letter_lets_its_chat_go_on(desk):
    """Failures: it is finished, so nothing waits for it."""
    first, second = say(desk, 1, 1)
    desk.execute("UPDATE inbox_state SET stage = 'dead' WHERE inbox_id = %s", first)
    with claimed(desk) as (_, claim):
        assert ids(claim) == [[second]]


def test_two_sessions_never_get_the_same_chat(desk):
    """Whole chats with SKIP LOCKED: what another worker has is left, and said to be left."""
    a1, a2, b1 = say(desk, 1, 1, 2)
    with claimed(desk, named=[a1], waiting=0) as (_, first):
        assert ids(first) == [[a1, a2]]
        with claimed(desk, named=[a2, b1]) as (_, second):
            assert ids(second) == [[b1]]
            assert second.left == (a1, a2)
    with claimed(desk, named=[a2]) as (_, third):
        assert [a1, a2] in ids(third)


def test_what_is_in_another_workers_batch_is_not_left(desk):
    """Whoever works on an item sees to it; what else he has locked by its chat has to be hinted again."""
    (a1,) = say(desk, 1)
    desk.worker().run(Step.CRM_LOOKUP)
    (a2,) = say(desk, 1)
    with claimed(desk, Step.BIND_CHAT), Session(desk.options).connection() as witness:
        with claimed(desk) as (_, claim):
            assert (ids(claim), claim.left) == ([], (a2,)), "locked, but for another step"
        witness.execute(
            "INSERT INTO batches (step, worker, backend_pid, backend_start, inbox_ids)"
            " VALUES ('bind_chat', 'other', 1, now(), %s)",
            [[a1]],
        )
        with claimed(desk, Step.BIND_CHAT) as (_, claim):
            assert (ids(claim), claim.left) == ([], ())


def test_chats_are_shared_out_between_many_sessions(desk):
    """Four claims at once, held until all have one: every chat is in at most one of them."""
    say(desk, *[chat for chat in range(40) for _ in range(3)])
    together = threading.Barrier(4, timeout=20)

    def take(_number: int) -> list[int]:
        with claimed(desk, limit=30, waiting=30) as (_, claim):
            together.wait()
            return [line[0].chat_id for line in claim.lines]

    with ThreadPoolExecutor(4) as pool:
        taken = [chat for chats in pool.map(take, range(4)) for chat in chats]
    assert len(taken) == len(set(taken))
    assert taken


def test_a_claim_looks_behind_the_chats_of_a_stopped_worker(desk):
    """SKIP LOCKED windows: those that have waited longest are locked by somebody who does not move."""
    say(desk, *range(20))
    with claimed(desk, limit=10, waiting=10) as (_, stopped):
        assert len(stopped.lines) == 10
        with claimed(desk, limit=10, waiting=10) as (_, behind):
            assert len(behind.lines) == 10
            assert not {line[0].chat_id for line in behind.lines} & {line[0].chat_id for line in stopped.lines}


def test_a_hot_chat_is_taken_in_portions(desk):
    """Limits: no more items of one chat than the batch takes, and it is said that more wait."""
    hot = say(desk, *[1] * 25)
    with claimed(desk, limit=10, waiting=10) as (_, claim):
        assert ids(claim) == [hot[:10]]
        assert claim.full


def test_a_hot_chat_does_not_hide_the_named_items_of_others(desk):
    """What the task names is looked at, however long the line of a hot chat is."""
    say(desk, *[1] * 50)
    (other,) = say(desk, 2)
    with claimed(desk, named=[other], limit=5, waiting=5) as (_, claim):
        assert [other] in ids(claim)


def test_named_items_are_counted_once(desk):
    """They wait too; but nothing is left where all were looked at."""
    named = say(desk, *range(3))
    with claimed(desk, named=named, limit=5, waiting=5) as (_, claim):
        assert len(claim.lines) == 3
        assert not claim.full


@pytest.mark.parametrize("step", INBOX_STEPS)
def test_a_doubled_or_late_task_changes_nothing(desk, step):
    """Messages are hints: the same task again, before and after all was done, has no further effect."""
    operator = desk.operator("o")
    desk.open_channel("desk", ["telegram"], [operator], mode="deal")
    worker = desk.worker()
    named = say(desk, 1, 2, 1)
    for done in INBOX_STEPS[: INBOX_STEPS.index(step)]:
        worker.run(done, named)
    worker.run(step, named)
    before = _all(desk)
    worker.run(step, named)
    desk.worker().run(step, named)
    assert _all(desk) == before
    drain(desk, worker)
    before = _all(desk)
    for late in INBOX_STEPS:
        worker.run(late, named)
    assert _all(desk) == before
    assert desk.ledger().done == 3


def _all(desk: Desk) -> list[list[tuple[object, ...]]]:
    tables = ["inbox_state", "chats", "cards", "card_identifiers", "messages", "dialogs", "decisions", "events"]
    return [
        *(desk.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables),
        desk.rows("SELECT outcome, sum(n) FROM ledger GROUP BY 1 ORDER BY 1"),
    ]


def test_a_move_is_on_condition_of_the_stage(desk):
    """Exactly once in effect: who comes late moves nothing, and his effects are rolled back with it."""
    named = say(desk, 1, 2)
    desk.worker().run(Step.CRM_LOOKUP, named)

    def come_late() -> None:
        with desk.session.transaction() as connection:
            connection.execute("UPDATE chats SET name = 'effect of the late one'")
            inbox.move(connection, Step.CRM_LOOKUP, [Move(inbox_id, "bind_chat") for inbox_id in named])

    with pytest.raises(StaleClaimError):
        come_late()
    assert desk.stages() == {"bind_chat": 2}
    assert desk.value("SELECT count(*) FROM chats WHERE name <> ''") == 0
    with pytest.raises(StaleClaimError), desk.session.transaction() as connection:
        inbox.move(connection, Step.BIND_CHAT, [Move(named[0], "done"), Move(10**9, "done")])
    assert desk.stages() == {"bind_chat": 2}, "all or nothing"


def test_lost_tasks_are_made_up_for_by_any_later_one(desk):
    """A task without items takes whatever has waited longest."""
    say(desk, *range(30))
    drain(desk, desk.worker())
    assert desk.stages() == {"done": 30}


def test_each_chat_keeps_its_order_with_workers_racing(desk):
    """Three workers at once, tasks named at random, doubled and torn: the history is the order of arrival."""
    named = say(desk, *[chat for _ in range(12) for chat in range(15)])

    def work(seed: int) -> None:
        chance, worker = random.Random(seed), desk.worker()
        while any(desk_stage != "done" for desk_stage in _stages(worker)):
            worker.run(chance.choice(INBOX_STEPS), chance.sample(named, 20))

    def _stages(worker: Worker) -> set[str]:
        with worker.witness.connection() as connection:
            rows = connection.execute("SELECT DISTINCT stage::text FROM inbox_state").fetchall()
        return {stage for (stage,) in rows}

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    histories = desk.rows("SELECT array_agg(inbox_id ORDER BY seq) FROM messages GROUP BY chat_id")
    assert len(histories) == 15
    assert all(history == sorted(history) and len(history) == 12 for (history,) in histories)
    assert desk.rows("SELECT max(seq), last_seq FROM messages JOIN chats ON id = chat_id GROUP BY 2") == [(12, 12)]
    assert desk.value("SELECT count(*) FROM failures") == 0
    assert desk.ledger().done == 180


def test_an_item_that_is_not_due_yet_is_not_taken(desk):
    """Delays are columns: named or not, it waits for its time."""
    (first,) = say(desk, 1)
    retry_in(desk, first, 0.5)
    with claimed(desk, named=[first]) as (_, claim):
        assert ids(claim) == []
        assert claim.left == ()
    due = desk.value("SELECT due_at FROM inbox_state")
    assert due > datetime.now(UTC) - timedelta(seconds=5)


def test_a_flood_in_one_chat_leaves_room(desk):
    """Of one chat a batch takes few items, in the chat's order; what is left of it is hinted, not named."""
    flood = desk.accept(*(text_message("telegram", "flood", f"{n}") for n in range(2 * inbox.MOST_OF_CHAT + 10)))
    (other,) = desk.accept(text_message("telegram", "other", "hello"))
    worker = desk.worker()
    worker.run(Step.CRM_LOOKUP, [other])
    moved = [
        row[0] for row in desk.rows("SELECT inbox_id FROM inbox_state WHERE stage = 'bind_chat' ORDER BY chat_seq")
    ]
    assert set(moved) <= {other, *flood[: inbox.MOST_BESIDES]}
    assert other in moved
    with desk.session.transaction() as connection:
        claims = [inbox.claim(connection, Step.CRM_LOOKUP, named, 500, 500) for named in (flood, ())]
    assert [[len(line) for line in claim.lines] for claim in claims] == [[inbox.MOST_BESIDES], [inbox.MOST_OF_CHAT]]
    assert all(claim.full and claim.left == () for claim in claims)
    drain(desk, worker)
    assert desk.rows(
        "SELECT text FROM messages JOIN chats ON chats.id = chat_id AND chats.external_id = 'flood' ORDER BY seq"
    ) == [(f"{n}",) for n in range(len(flood))]


def test_all_that_stands_behind_a_retried_item_waits(desk, monkeypatch):
    """However much it is: a chat that cannot go on is no candidate again and again."""
    monkeypatch.setattr(inbox, "MOST_DEFERRED", 70)
    items = say(desk, *[1] * (2 * inbox.MOST_OF_CHAT))
    retry_in(desk, items[0], 30)
    for _ in range(2):
        with claimed(desk) as (_, claim):
            assert ids(claim) == []
            assert not claim.full, "there is nothing to be done at once"
    due = dict(desk.rows("SELECT inbox_id, due_at FROM inbox_state"))
    assert set(due.values()) == {due[items[0]]}
    with claimed(desk, named=items) as (_, claim):
        assert (ids(claim), claim.left) == ([], ())

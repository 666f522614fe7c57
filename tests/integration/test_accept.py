"""Accepting: 2xx means that it is in PostgreSQL, once, in order, whatever its neighbours are."""

import asyncio
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest

from crm_store import inbox
from crm_store.database import DatabaseOptions, Session
from crm_store.errors import DatabaseAwayError
from crm_store.inbox import NewItem
from ingest.accept import AcceptOptions, Acceptor, BacklogFullError
from tests.pipeline import Desk, text_message
from tracker.messages import InboundMessage, MessageKind

pytestmark = pytest.mark.integration

TODAY = datetime.now(UTC).date()


@pytest.fixture
def desk(database_url) -> Iterator[Desk]:
    """An open channel with two channels."""
    with Desk(database_url) as made:
        made.open_channel("desk", ["telegram", "custom"])
        yield made


NewAcceptor = Callable[..., tuple[Acceptor, "Committed"]]


class Committed:
    """What an acceptor said that it committed."""

    def __init__(self) -> None:
        self.groups: list[list[tuple[int, str]]] = []

    def __call__(self, pending: list[tuple[int, str]]) -> None:
        self.groups.append(pending)


def _accept(acceptor: Acceptor, requests: Sequence[Sequence[NewItem]]) -> list[list[int | None] | BaseException]:
    """All requests at the same moment, in this order."""

    async def all_at_once() -> list[list[int | None] | BaseException]:
        return await asyncio.gather(*map(acceptor.accept, requests), return_exceptions=True)

    return asyncio.run(all_at_once())


@pytest.fixture
def new_acceptor(desk) -> Iterator[NewAcceptor]:
    """Makes acceptors, not started; they are closed at the end."""
    made: list[Acceptor] = []

    def make(options: AcceptOptions | None = None, session: Session | None = None) -> tuple[Acceptor, Committed]:
        committed = Committed()
        acceptor = Acceptor(session or Session(desk.options), committed, options or AcceptOptions(window=0.02))
        made.append(acceptor)
        return acceptor, committed

    yield make
    for acceptor in made:
        if acceptor._thread.is_alive():
            acceptor.close()


def _messages(n: int, key: str = "telegram") -> list[InboundMessage]:
    return [text_message(key, number % 7, f"{number}") for number in range(n)]


def _insert(desk: Desk, items: Sequence[NewItem]) -> list[int | None]:
    with desk.session.transaction() as connection:
        return inbox.accept(connection, items, TODAY)


def test_ids_follow_the_order_given(desk):
    """Order in a chat: ids are the order of arrival, within a commit and from commit to commit."""
    messages = _messages(300)
    random.Random(1).shuffle(messages)
    ids = desk.accept(*messages[:200]) + desk.accept(*messages[200:])
    assert ids == sorted(ids)
    texts = desk.rows("SELECT message ->> 'text' FROM inbox ORDER BY id")
    assert texts == [(message.text,) for message in messages]
    assert desk.value("SELECT count(*) FROM inbox_state WHERE stage = 'crm_lookup' AND chat_id IS NOT NULL") == 300
    assert desk.value("SELECT count(*) FROM chats") == 7


def test_a_duplicate_in_one_group_and_in_a_later_one_is_none(desk):
    """Never twice: the first has an id, all others None; the same key on another channel is another message."""
    first, second = text_message("telegram", 1, "a", dedup="k"), text_message("telegram", 1, "again", dedup="k")
    elsewhere = text_message("custom", 1, "b", dedup="k")
    items = [desk.item(message) for message in (first, second, elsewhere, first)]
    ids = _insert(desk, items)
    assert [inbox_id is not None for inbox_id in ids] == [True, False, True, False]
    assert _insert(desk, items) == [None] * 4
    assert desk.rows("SELECT message ->> 'text' FROM inbox ORDER BY id") == [("a",), ("b",)]
    assert desk.ledger().accepted == 2


def test_concurrent_deliveries_of_the_same_messages_are_accepted_once(desk):
    """Several web processes get the same 200 messages in different orders: once each, and no deadlock."""
    items = [desk.item(message) for message in _messages(200)]

    def deliver(seed: int) -> list[int]:
        shuffled = random.Random(seed).sample(items, len(items))
        session = Session(desk.options)
        accepted: list[int | None] = []
        try:
            for start in range(0, len(shuffled), 40):
                with session.transaction() as connection:
                    accepted += inbox.accept(connection, shuffled[start : start + 40], TODAY)
        finally:
            session.close()
        return [inbox_id for inbox_id in accepted if inbox_id is not None]

    with ThreadPoolExecutor(6) as pool:
        accepted = list(pool.map(deliver, range(6)))
    assert sum(map(len, accepted)) == 200
    assert desk.value("SELECT count(*) FROM inbox") == 200
    assert desk.ledger().accepted == 200


def test_the_ledger_knows_where_each_item_went(desk):
    """Ledger: accepted = ignored + dead + pending, entered by the accepting commit."""
    dead = replace(
        desk.item(text_message("telegram", 3, "x")), message=None, chat=None, stage=inbox.DEAD, reason="unparsable",
        failed_in="parse", error="no JSON",
    )  # fmt: skip
    ignored = desk.item(text_message("telegram", 1, "x", kind=MessageKind.STATUS))
    ids = _insert(desk, [desk.item(text_message("telegram", 2, "x")), ignored, dead])
    ledger = desk.ledger()
    assert (ledger.accepted, ledger.ignored, ledger.dead, ledger.pending) == (3, 1, 1, 1)
    assert desk.rows("SELECT stage::text, reason FROM inbox_state ORDER BY inbox_id") == [
        ("crm_lookup", None),
        ("ignored", "status"),
        ("dead", "unparsable"),
    ]
    assert desk.rows("SELECT inbox_id, step, reason, attempts, error FROM dead_letters") == [
        (ids[2], "parse", "unparsable", 1, "no JSON")
    ]
    assert desk.value("SELECT count(*) FROM chats") == 1, "C5: what is ignored makes no chat"


def test_requests_that_come_together_are_one_commit(desk, new_acceptor):
    """Group commit: one transaction for all, each request with its own ids, and one hand-over to the publisher."""
    acceptor, committed = new_acceptor(AcceptOptions(window=0.3))
    acceptor.start()
    requests = [[desk.item(message)] for message in _messages(50)]
    requests[10].append(desk.item(text_message("custom", 5, "second of its request")))
    answers = _accept(acceptor, requests)
    acceptor.close()
    assert len(committed.groups) == 1
    assert desk.value("SELECT count(DISTINCT xmin::text) FROM inbox") == 1, "one transaction"
    assert [len(answer) for answer in answers] == [1] * 10 + [2] + [1] * 39  # type: ignore[arg-type]
    flat = [inbox_id or 0 for answer in answers for inbox_id in answer]  # type: ignore[union-attr]
    assert flat == list(range(flat[0], flat[0] + 51))
    assert [inbox_id for inbox_id, _ in committed.groups[0]] == flat
    assert committed.groups[0][0][1] == requests[0][0].message


def test_a_commit_has_a_limit(desk, new_acceptor):
    """No commit takes more requests once it is full."""
    acceptor, committed = new_acceptor(AcceptOptions(window=0.1, limit=20))
    requests = [[desk.item(message)] for message in _messages(50)]
    with ThreadPoolExecutor(1) as pool:
        answers = pool.submit(_accept, acceptor, requests)
        while acceptor._queue.qsize() < 50:
            threading.Event().wait(0.01)
        acceptor.start()
        answers.result()
    acceptor.close()
    assert [len(group) for group in committed.groups] == [20, 20, 10]


def test_duplicates_within_a_group_commit_get_none(desk, new_acceptor):
    """Two deliveries of one message at the same moment: both 2xx, one item, published once."""
    acceptor, committed = new_acceptor()
    acceptor.start()
    message = text_message("telegram", 1, "once")
    answers = _accept(acceptor, [[desk.item(message)] for _ in range(3)])
    acceptor.close()
    assert answers == [[1], [None], [None]]
    assert sum(map(len, committed.groups)) == 1


NUL_IN_JSON = '{"text": "a\\u0000b"}'


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param({"message": NUL_IN_JSON}, id="NUL in the message"),
        pytest.param({"chat": "c" * 9000}, id="chat id beyond the index limit"),
        pytest.param({"name": "N\x00l"}, id="NUL in the name"),
        pytest.param({"chat": "a\x00b"}, id="NUL in the chat's id"),
        pytest.param({"customer_id": "\ud800"}, id="lone surrogate"),
        pytest.param({"message": "no json"}, id="no JSON"),
        pytest.param({"headers": "{"}, id="headers no JSON"),
    ],
)
def test_a_row_that_postgresql_refuses_fails_nobody(desk, new_acceptor, spoilt):
    """A refused row is kept as bytes and dead-lettered; its neighbours, of the same request too, are accepted."""
    if "chat" in spoilt and len(spoilt["chat"]) > 100:  # what compresses well would fit after all
        spoilt["chat"] = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=9000))
    acceptor, committed = new_acceptor()
    acceptor.start()
    good = [desk.item(message) for message in _messages(6)]
    bad = replace(desk.item(text_message("telegram", 99, "bad")), **spoilt)
    answers = _accept(acceptor, [[good[0]], [good[1], bad, good[2]], [good[3]], [good[4], good[5]]])
    acceptor.close()
    assert [len(answer) for answer in answers if isinstance(answer, list)] == [1, 3, 1, 2]
    assert all(inbox_id is not None for answer in answers for inbox_id in answer)  # type: ignore[union-attr]
    ledger = desk.ledger()
    assert (ledger.accepted, ledger.pending, ledger.dead) == (7, 6, 1)
    ((raw, message, step, reason),) = desk.rows(
        "SELECT raw, message, step, reason FROM dead_letters JOIN inbox ON inbox.id = inbox_id"
    )
    assert (bytes(raw), message, step, reason) == (bad.raw, None, "accept", "refused_by_database")
    assert sum(map(len, committed.groups)) == 6, "what is dead is nobody's work"


def test_a_refused_row_is_known_when_it_comes_again(desk, new_acceptor):
    """The provider that sends it again gets 2xx, and there is one dead letter."""
    acceptor, _ = new_acceptor()
    acceptor.start()
    bad = replace(desk.item(text_message("telegram", 99, "bad")), message=NUL_IN_JSON)
    first, again = _accept(acceptor, [[bad]]), _accept(acceptor, [[bad]])
    acceptor.close()
    assert first[0] != [None]
    assert again == [[None]]
    assert desk.value("SELECT count(*) FROM dead_letters") == 1


def test_postgresql_away_is_said_at_once_and_afterwards_it_goes_on(desk, new_acceptor, monkeypatch):
    """503 for all of the group, nothing half-done; with PostgreSQL back the same acceptor accepts."""
    session = Session(desk.options)
    acceptor, committed = new_acceptor(session=session)
    acceptor.start()
    items = [desk.item(message) for message in _messages(4)]
    monkeypatch.setattr(session, "_options", DatabaseOptions("postgresql://nobody@127.0.0.1:1/none", "test"))
    answers = _accept(acceptor, [[items[0]], [items[1], items[2]]])
    assert [type(answer) for answer in answers] == [DatabaseAwayError] * 2
    monkeypatch.setattr(session, "_options", desk.options)
    assert all(isinstance(answer, list) for answer in _accept(acceptor, [[item] for item in items]))
    acceptor.close()
    assert desk.ledger().accepted == 4
    assert sum(map(len, committed.groups)) == 4


def test_a_connection_that_dies_within_the_commit_is_an_unknown_outcome(desk, new_acceptor, monkeypatch):
    """Neither 2xx nor an error of the data: the provider comes again, and a commit that did happen is recognised."""
    acceptor, committed = new_acceptor()
    items = [desk.item(message) for message in _messages(2)]
    real = inbox.accept

    def die(connection, items, day):
        ids = real(connection, items, day)
        desk.execute("SELECT pg_terminate_backend(%s)", connection.info.backend_pid)
        return ids

    monkeypatch.setattr(inbox, "accept", die)
    acceptor.start()
    answers = _accept(acceptor, [[items[0]], [items[1]]])
    assert [type(answer) for answer in answers] == [DatabaseAwayError] * 2
    assert committed.groups == []
    monkeypatch.setattr(inbox, "accept", real)
    assert all(isinstance(answer, list) for answer in _accept(acceptor, [[item] for item in items]))
    acceptor.close()
    assert desk.ledger().accepted == 2


def test_an_answer_lost_after_the_commit_doubles_nothing(desk, new_acceptor, monkeypatch):
    """The commit happened, and its answer did not arrive: 503, and the second delivery is known already."""
    acceptor, committed = new_acceptor()
    item = desk.item(text_message("telegram", 1, "once"))
    real = Session.transaction

    def lost(self):
        with real(self) as connection:
            yield connection
        raise DatabaseAwayError("connection OperationalError: server closed the connection unexpectedly")

    monkeypatch.setattr(Session, "transaction", contextmanager(lost))
    acceptor.start()
    (answer,) = _accept(acceptor, [[item]])
    assert isinstance(answer, DatabaseAwayError)
    monkeypatch.setattr(Session, "transaction", real)
    assert _accept(acceptor, [[item]]) == [[None]]
    acceptor.close()
    assert desk.value("SELECT count(*) FROM inbox") == 1
    assert committed.groups == [], "published by nobody: the sweeper finds it"


def test_a_defect_answers_and_the_thread_goes_on(desk, new_acceptor, monkeypatch):
    """Whatever goes wrong, nobody waits for ever."""
    acceptor, _ = new_acceptor()
    real = inbox.accept

    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(inbox, "accept", fail)
    acceptor.start()
    (answer,) = _accept(acceptor, [[desk.item(text_message("telegram", 1, "x"))]])
    assert isinstance(answer, DatabaseAwayError)
    monkeypatch.setattr(inbox, "accept", real)
    assert _accept(acceptor, [[desk.item(text_message("telegram", 1, "y"))]]) == [[1]]
    acceptor.close()


def test_more_than_the_backlog_is_refused(desk, new_acceptor):
    """503 instead of growing without bounds; a single request that is larger than the backlog passes alone."""
    acceptor, _ = new_acceptor(AcceptOptions(window=0, backlog=3))
    items = [desk.item(message) for message in _messages(9)]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(_accept, acceptor, [[items[0]], [items[1], items[2]], [items[3]], [items[4]]])
        while acceptor._queue.qsize() < 2:
            threading.Event().wait(0.01)
        acceptor.start()
        answers = waiting.result()
    assert [type(answer) for answer in answers] == [list, list, BacklogFullError, BacklogFullError]
    while acceptor._waiting:  # the answers are out before it is counted that nothing waits any more
        threading.Event().wait(0.001)
    assert isinstance(_accept(acceptor, [items[4:]])[0], list)
    acceptor.close()
    assert desk.ledger().accepted == 8


def test_nothing_to_accept_costs_no_commit(desk, new_acceptor):
    """A body without events is answered at once, started or not."""
    acceptor, _ = new_acceptor()
    assert _accept(acceptor, [[]]) == [[]]


def test_close_commits_what_was_handed_over(desk, new_acceptor):
    """SIGTERM: what was handed over is answered."""
    acceptor, _ = new_acceptor(AcceptOptions(window=0.05))
    acceptor.start()
    with ThreadPoolExecutor(1) as pool:
        answers = pool.submit(_accept, acceptor, [[desk.item(message)] for message in _messages(30)])
        while acceptor._waiting < 30:
            threading.Event().wait(0.001)
        acceptor.close()
        assert all(isinstance(answer, list) for answer in answers.result(10))
    assert desk.ledger().accepted == 30


def test_an_older_transaction_cannot_hide_a_duplicate(desk):
    """Two sessions, the second waits for the first one's commit and then knows the key."""
    item = desk.item(text_message("telegram", 1, "once"))
    with psycopg.connect(desk.url, **desk.options.connection_arguments()) as first:
        ids = inbox.accept(first, [item], TODAY)
        with ThreadPoolExecutor(1) as pool:
            second = pool.submit(_insert, desk, [item])
            while desk.blocked_sessions() == 0:
                assert not second.done(), "it must wait for the first commit"
            first.commit()
            assert (ids, second.result(10)) == ([1], [None])

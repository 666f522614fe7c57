"""An erase beside everything else that runs: steps, accepting, operators' acts; and one that is stopped anywhere."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from config.topology import INBOX_STEPS
from console import operations, tracking
from console.acting import Asked
from console.dependencies import Dependencies
from console.problems import ProblemError
from console.security import Operator
from crm_store import customers, inbox
from crm_store.database import Connection, Database, Session
from crm_store.erasure import OtherCustomerError, Request, erase
from crm_store.errors import DatabaseAwayError
from crm_store.secrets import hash_token
from tests.canary import DIGITS, PHONE, TEXTS, canaries_in, in_tables, planted_desk, whatsapp
from tests.pipeline import Desk, drain, text_message
from tests.tracker_invariants import broken
from tracker.identifiers import Evidence, Identifier, phone

pytestmark = pytest.mark.integration

PATIENCE = 60.0
KEY = ("phone", PHONE)


def request(desk: Desk) -> Request:
    """To erase whoever has the phone now."""
    with desk.session.transaction() as connection:
        return Request(customers.find(connection, [KEY]), frozenset({KEY}), "cli:test", "test")


def erase_now(desk: Desk, session: Session) -> None:
    erase(session, request(desk), lambda _table, _rows: None)


@pytest.fixture
def desk(database_url) -> Iterator[Desk]:
    """Two channels, and an operator with one slot."""
    with Desk(database_url) as made:
        made.open_channel("desk", ["whatsapp", "telegram", "custom"], [made.operator("Olga")], max_dialogs=1)
        yield made


@pytest.fixture
def session(desk) -> Iterator[Session]:
    """The erase's session."""
    made = Session(desk.options)
    yield made
    made.close()


@pytest.fixture
def database(desk) -> Iterator[Database]:
    """For persons' acts."""
    with Database(desk.options) as made:
        yield made


class Stopped(BaseException):
    """As if the process had been killed here."""


def test_stopped_anywhere_it_is_run_again(database_url):
    """Killed after each of its transactions in turn: he is still found, or all of him is gone; the ledger balances."""
    for n in itertools.count(1):
        with planted_desk(database_url) as here, ExitStack() as ends:
            stopping = Stopping(here.desk, n)
            ends.callback(stopping.close)
            wanted = request(here.desk)
            try:
                erase(stopping, wanted, lambda _table, _rows: None)
                break
            except Stopped:
                pass
            here.desk.ledger()
            again = Session(here.desk.options)
            ends.callback(again.close)
            erase_now(here.desk, again)
            assert in_tables(here.desk) == {}, n
            here.desk.ledger()
        empty(database_url)
    assert n > 15, "it has been stopped in many places"


class Stopping(Session):
    """A session whose process dies after its nth statement or transaction; within one it would be rolled back."""

    def __init__(self, desk: Desk, n: int) -> None:
        super().__init__(desk.options)
        self._left = n

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        with super().connection() as connection:
            yield connection
            self._left -= 1
            if self._left == 0:
                raise Stopped


def empty(database_url: str) -> None:
    """As it was made."""
    with Desk(database_url) as desk:
        names = desk.value("SELECT string_agg(quote_ident(tablename), ',') FROM pg_tables WHERE schemaname = 'public' "
                           "AND tablename NOT LIKE '%%yoyo%%'")  # fmt: skip
        desk.execute(f"TRUNCATE {names} RESTART IDENTITY CASCADE")


def test_beside_running_steps(desk, session):
    """Many rounds: he writes on and on, neighbours too, three workers run, and he is erased again and again.

    Nothing fails, nothing is lost, and in the end one erase leaves nothing of him.
    """
    stop = threading.Event()

    def work() -> None:
        worker = desk.worker()
        while not stop.is_set():
            for step in INBOX_STEPS:
                worker.run(step)

    def write(chat: str, key: str, **more: Any) -> Callable[[], int]:
        def run() -> int:
            own = Session(desk.options)
            for n in itertools.count():
                number = identified(PHONE, Evidence.PROVEN if key == "whatsapp" else Evidence.TYPED)
                message = text_message(key, f"{chat}{n % 3 if key == 'telegram' else ''}", f"{TEXTS[0]} {n}",
                                       identifiers=[number], **more)  # fmt: skip
                with own.transaction() as connection:
                    inbox.accept(connection, [desk.item(message)], datetime.now(UTC).date())
                if stop.is_set():
                    own.close()
                    return n + 1
            raise AssertionError

        return run

    with ThreadPoolExecutor(6) as pool:
        working: list[Future[Any]] = [pool.submit(work) for _ in range(3)]
        writing = [
            pool.submit(write(DIGITS, "whatsapp", name="Quirina Kanarienvogel")),
            pool.submit(write("t", "telegram")),
        ]
        try:
            for _ in range(25):
                erase_now(desk, session)
        finally:
            stop.set()
        for run in working:
            run.result(PATIENCE)
        written = sum(run.result(PATIENCE) for run in writing)
    desk.make_due()
    drain(desk, desk.worker())
    assert desk.value("SELECT count(*) FROM failures") == 0
    assert desk.value("SELECT count(*) FROM dead_letters") == 0
    read = desk.ledger()
    assert (read.accepted, read.pending) == (written, 0)
    assert read.discarded > 0, "some were erased while they waited"
    assert desk.value("SELECT count(*) FROM inbox_state WHERE chat_id NOT IN (SELECT id FROM chats)") == 0
    assert desk.value("SELECT count(*) FROM messages WHERE chat_id NOT IN (SELECT id FROM chats)") == 0
    erase_now(desk, session)
    assert in_tables(desk) == {}
    desk.ledger()


def test_a_message_that_is_just_accepted_is_not_lost(desk, session):
    """The erase waits for the commit of a message whose chat was found; what comes after makes a new chat."""
    desk.run_through(whatsapp(DIGITS, TEXTS[0]))
    accepting = Session(desk.options)
    with ThreadPoolExecutor(2) as pool:
        with accepting.transaction() as connection:
            late = [desk.item(whatsapp(DIGITS, TEXTS[1]))]
            inbox.accept(connection, late, datetime.now(UTC).date())
            erasing = pool.submit(erase_now, desk, session)
            wait_until(lambda: desk.blocked_sessions() > 0)
            assert not erasing.done()
        erasing.result(PATIENCE)
    accepting.close()
    assert in_tables(desk) == {}
    read = desk.ledger()
    assert (read.accepted, read.done, read.discarded, read.pending) == (2, 1, 1, 0)


def test_an_erase_waits_for_a_step_and_the_step_for_none(desk, session):
    """A step has his chat: the erase waits; other chats' messages go on meanwhile."""
    desk.run_through(whatsapp(DIGITS, TEXTS[0]))
    holder = Session(desk.options)
    with ThreadPoolExecutor(1) as pool:
        with holder.transaction() as connection:
            connection.execute("SELECT FROM chats WHERE external_id = %s FOR NO KEY UPDATE", [DIGITS])
            erasing = pool.submit(erase_now, desk, session)
            wait_until(lambda: desk.blocked_sessions() > 0)
            desk.run_through(text_message("custom", 5, "hallo"))
            assert desk.value("SELECT count(*) FROM messages") == 2
        erasing.result(PATIENCE)
    holder.close()
    assert in_tables(desk) == {}


def test_an_operator_who_acts_meanwhile_is_told_that_the_dialog_is_gone(desk, session):
    """His answer waits for the erase, and finds nothing; nothing of it is left (404, not 500)."""
    desk.run_through(whatsapp(DIGITS, TEXTS[0]))
    dialog_id = desk.value("SELECT id FROM dialogs")
    olga = Operator(desk.value("SELECT id FROM operators"), "Olga", token_hash=hash_token("Olga"))
    holder = Session(desk.options)
    with ThreadPoolExecutor(3) as pool, Database(desk.options) as database:
        needs = Dependencies(database, lambda _step: None, dict, b"")
        with holder.transaction() as connection:
            connection.execute("SELECT FROM cards FOR UPDATE")
            erasing = pool.submit(erase_now, desk, session)
            wait_until(lambda: desk.blocked_sessions() == 1)
            acts = [
                pool.submit(operations.answer, needs, Asked(olga, "o", "answer"), olga, dialog_id, f"we call {PHONE}"),
                pool.submit(operations.accept, needs, Asked(olga, "o", "accept"), olga, dialog_id),
            ]
            wait_until(lambda: desk.blocked_sessions() == 3)
        erasing.result(PATIENCE)
        for act in acts:
            with pytest.raises(ProblemError) as refused:
                act.result(PATIENCE)
            assert (refused.value.status, refused.value.reason) == (404, "unknown_dialog")
    holder.close()
    assert in_tables(desk) == {}


def test_a_proven_phone_of_somebody_else_stays_his(desk, session):
    """A typed number is not the customer's if another one has proven it: only the customer's own go."""
    desk.run_through(whatsapp(DIGITS, "ich bin es"))
    other = identified("+4917155501", Evidence.PROVEN)
    typed = identified(PHONE, Evidence.TYPED)
    desk.run_through(text_message("custom", 9, "x", identifiers=[other, typed]))
    desk.run_through(text_message("custom", 9, f"meldet euch bei {PHONE}", forwarded=True))
    mine, his = (desk.value("SELECT card_id FROM chats WHERE external_id = %s", chat) for chat in ("9", DIGITS))
    assert mine != his
    erased = erase(session, Request([mine], frozenset(), "cli:test", "x"), lambda _table, _rows: None)
    assert erased.kept == 1
    assert desk.rows("SELECT external_id FROM chats") == [(DIGITS,)]
    assert desk.rows("SELECT key FROM card_identifiers") == [(PHONE,)]
    assert desk.value("SELECT remembered_card_id FROM identifiers WHERE key = %s", PHONE) == his
    assert desk.value("SELECT count(*) FROM identifiers") == 1
    assert canaries_in(desk.value("SELECT text FROM messages WHERE chat_id = 1").encode()) == set()


def test_who_is_merged_meanwhile_is_not_who_was_confirmed(desk, session, database):
    """Between the question and the last transaction he is found to be another customer too: ask again."""
    desk.run_through(text_message("telegram", 1, "hello"))
    desk.run_through(whatsapp(DIGITS, TEXTS[0]))
    older, his = (card_id for (card_id,) in desk.rows("SELECT id FROM cards ORDER BY id"))
    confirmed = replace(request(desk), family=frozenset({his}))
    tracking.merge(database, "test", older, his, "one customer")
    with pytest.raises(OtherCustomerError):
        erase(session, confirmed, lambda _table, _rows: None)
    with pytest.raises(OtherCustomerError):
        erase(session, replace(confirmed, live_ids=[older]), lambda _table, _rows: None)
    assert desk.value("SELECT count(*) FROM messages") == 2
    erase_now(desk, session)
    assert desk.value("SELECT count(*) FROM cards") == 0


def test_merges_between_others_stay(desk, session, database):
    """A merge names the live cards of its moment; one of them may be erased since, and the merge is still undone."""
    desk.run_through(whatsapp(DIGITS, TEXTS[0]))
    desk.run_through(text_message("telegram", 1, "hello"), text_message("custom", 2, "hello"))
    his, second, third = (card_id for (card_id,) in desk.rows("SELECT id FROM cards ORDER BY id"))
    first_merge = tracking.merge(database, "test", second, his, "x")
    kept_merge = tracking.merge(database, "test", third, second, "x")
    tracking.undo(database, "test", first_merge, "x")
    erase_now(desk, session)
    assert desk.rows("SELECT id, live_id FROM cards ORDER BY id") == [(second, None), (third, second)]
    assert broken(desk.rows) == []
    tracking.undo(database, "test", kept_merge, "x")
    assert desk.value("SELECT count(*) FROM cards WHERE live_id IS NOT NULL") == 0


def test_what_stands_in_the_way_for_long_is_an_error(desk):
    """A lock that nobody gives back: the erase gives up, and says so."""
    desk.run_through(whatsapp(DIGITS, TEXTS[0]))
    hasty, holder = Session(replace(desk.options, lock_timeout=0.05)), Session(desk.options)
    with holder.transaction() as connection:
        connection.execute("SELECT FROM cards FOR UPDATE")
        with pytest.raises(DatabaseAwayError):
            erase_now(desk, hasty)
    assert len(request(desk).live_ids) == 1, "he is still found"
    desk.ledger()
    erase_now(desk, hasty)
    assert in_tables(desk) == {}
    hasty.close()
    holder.close()


def identified(number: str, evidence: Evidence) -> Identifier:
    read = phone(number, evidence)
    assert read is not None
    return read


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it does not come true"
        time.sleep(0.01)

"""Retention by the clock: what is old goes in small parts, the ledger balances, and what waits stays."""

from collections.abc import Iterator

import pytest

from crm_store import retention
from crm_store.database import Session
from crm_store.retention import Retention, RetentionOptions
from tests.pipeline import Desk, RecordingHints, text_message
from worker.clock import Clock, ClockOptions

pytestmark = pytest.mark.integration


@pytest.fixture
def desk(database_url) -> Iterator[Desk]:
    """Two channels."""
    with Desk(database_url) as made:
        made.open_channel("desk", ["telegram", "custom"])
        yield made


@pytest.fixture
def session(desk) -> Iterator[Session]:
    """The clock's."""
    made = Session(desk.options)
    yield made
    made.close()


def one_round(session: Session, **days: int | None) -> tuple[dict[str, int], int]:
    """What a round deletes, and in how many commits."""
    kept = Retention(RetentionOptions(**days))
    commits = 0
    while True:
        with session.transaction() as connection:
            goes_on = kept.part(connection)
        if not goes_on:
            return {table: n for table, n in kept.deleted.items() if n}, commits
        commits += 1


def age(desk: Desk, days: int, inbox_ids: list[int]) -> None:
    """These items came in so long ago."""
    desk.execute(
        "UPDATE inbox SET received_at = now() - %s * interval '1 day' - interval '1 minute' WHERE id = ANY(%s)",
        *(days, inbox_ids),
    )


def bury(desk: Desk, inbox_id: int, days: int = 0) -> None:
    """An item's letter, so old."""
    desk.execute(
        "INSERT INTO dead_letters (inbox_id, channel_id, step, reason, fingerprint, attempts, error, traceback, "
        "died_at) VALUES (%s, 1, 'bind_chat', 'r', 'f', 1, 'e', 't', now() - %s * interval '1 day')",
        *(inbox_id, days),
    )


def counts(desk: Desk) -> tuple[int, ...]:
    """Rows of inbox, its state, failures, dead letters."""
    tables = ("inbox", "inbox_state", "failures", "dead_letters")
    return tuple(desk.value(f"SELECT count(*) FROM {table}") for table in tables)


def test_finished_items_go_with_what_belongs_to_them(desk, session):
    """Done, ignored and discarded ones older than that; the history stays, and the ledger balances."""
    old = desk.run_through(*(text_message("telegram", n, "x") for n in range(3)))
    desk.execute("INSERT INTO failures SELECT 1, inbox_id, 'bind_chat', 1, now(), 'w', 'r', 'e', 't' FROM inbox_state "
                 "WHERE inbox_id = 1".replace("SELECT 1, ", "OVERRIDING SYSTEM VALUE SELECT 1, "))  # fmt: skip
    desk.execute("UPDATE inbox_state SET stage = 'ignored' WHERE inbox_id = %s", old[1])
    bury(desk, old[2])
    discard = "UPDATE inbox_state SET stage = 'discarded', finished_at = now() - interval '30 days' WHERE inbox_id = %s"
    desk.execute(discard, old[2])
    young = desk.run_through(text_message("telegram", 1, "y"))
    age(desk, 30, old)
    age(desk, 29, young)
    before = desk.ledger()
    assert one_round(session)[0] == {"inbox": 3}
    assert counts(desk) == (1, 1, 0, 0)
    assert desk.ledger() == before
    assert desk.value("SELECT count(*) FROM messages") == 4
    assert one_round(session)[0] == {}


def test_what_waits_and_what_is_dead_stays(desk, session):
    """However old; a dead letter goes with its replay, its discarding, or its own number of days."""
    waiting, dead = desk.accept(text_message("telegram", 1, "x"), text_message("custom", 2, "x"))
    desk.execute("UPDATE inbox_state SET stage = 'dead' WHERE inbox_id = %s", dead)
    desk.execute("INSERT INTO ledger VALUES ('dead', 1)")
    bury(desk, dead, days=100)
    age(desk, 100, [waiting, dead])
    assert one_round(session)[0] == {}
    assert one_round(session, dead_letter_days=101)[0] == {}
    assert one_round(session, dead_letter_days=99)[0] == {"dead_letters": 1}
    assert counts(desk) == (1, 1, 0, 0)
    read = desk.ledger()
    assert (read.dead, read.discarded, read.pending) == (0, 1, 1)


def test_letters_of_deliveries_go_too(desk, session):
    """What went through or was discarded with the items, what nobody has dealt with as dead letters; the rest stays."""
    desk.run_through(text_message("custom", 1, "x"))
    for seq, state, discarded in ((2, "delivered", None), (3, "failed", 40), (4, "failed", 5), (5, "failed", None)):
        desk.execute(
            "WITH sent AS (INSERT INTO outbox (channel_id, chat_id, seq, state) "
            "SELECT channel_id, id, %s, %s FROM chats RETURNING id), "
            "failed AS (INSERT INTO failures (outbox_id, step, attempt, worker, reason, error, traceback) "
            "SELECT id, 'deliver', 1, 'w', 'r', 'e', '' FROM sent) "
            "INSERT INTO dead_letters (outbox_id, channel_id, step, reason, fingerprint, attempts, error, traceback, "
            "died_at, discarded_at) SELECT id, 1, 'deliver', 'r', 'r', 1, 'e', '', now() - interval '100 days', "
            "now() - %s * interval '1 day' FROM sent",
            *(seq, state, discarded),
        )
    before = desk.ledger()
    assert one_round(session)[0] == {"dead_letters": 2}
    left = "SELECT seq FROM dead_letters JOIN outbox ON outbox.id = outbox_id ORDER BY seq"
    assert desk.rows(left) == [(4,), (5,)]
    assert one_round(session, dead_letter_days=99)[0] == {"dead_letters": 1}
    assert desk.rows(left) == [(4,)]
    assert (desk.value("SELECT count(*) FROM outbox"), desk.value("SELECT count(*) FROM failures")) == (4, 1)
    assert desk.ledger() == before


def test_it_goes_in_parts(desk, session, monkeypatch):
    """Each in a commit of its own, past items that stay and those that somebody holds."""
    monkeypatch.setattr(retention, "ITEMS_AT_ONCE", 2)
    ids = desk.run_through(*(text_message("telegram", n, "x") for n in range(9)))
    age(desk, 31, ids[:8])
    desk.execute("UPDATE inbox_state SET stage = 'dead' WHERE inbox_id = %s", ids[0])
    holder = Session(desk.options)
    with holder.transaction() as connection:
        connection.execute("SELECT FROM inbox_state WHERE inbox_id = %s FOR UPDATE", [ids[3]])
        deleted, commits = one_round(session)
    holder.close()
    assert (deleted, commits) == ({"inbox": 6}, 6)
    assert one_round(session)[0] == {"inbox": 1}, "the next round takes it"
    assert [row[0] for row in desk.rows("SELECT id FROM inbox ORDER BY id")] == [ids[0], ids[8]]


def test_histories_lose_their_beginnings(desk, session, monkeypatch):
    """Messages go with their outbox rows; what waits to be sent, cards and their identifiers stay."""
    monkeypatch.setattr(retention, "CHATS_AT_ONCE", 2)
    monkeypatch.setattr(retention, "MESSAGES_OF_CHAT", 3)
    for n in range(5):
        desk.run_through(*(text_message("telegram", n, f"{m} +49 172 555010{n}") for m in range(8)))
    desk.execute("UPDATE messages SET received_at = now() - interval '400 days' WHERE seq < 7")
    desk.execute("INSERT INTO outbox (channel_id, chat_id, seq, state) SELECT channel_id, id, 2, 'sent' FROM chats")
    desk.execute("INSERT INTO outbox (channel_id, chat_id, seq, state) SELECT channel_id, id, 3, 'pending' FROM chats")
    facts = desk.rows("SELECT * FROM card_identifiers ORDER BY card_id, kind")
    assert one_round(session)[0] == {}, "for ever, by default"
    deleted, commits = one_round(session, history_days=365)
    assert deleted == {"messages": 25}
    assert commits > 5
    assert desk.rows("SELECT DISTINCT seq FROM messages ORDER BY seq") == [(3,), (7,), (8,)]
    assert desk.rows("SELECT DISTINCT state FROM outbox") == [("pending",)]
    assert desk.rows("SELECT * FROM card_identifiers ORDER BY card_id, kind") == facts
    desk.ledger()


def test_the_audit_may_have_an_end(desk, session):
    """By default it has none."""
    desk.execute("INSERT INTO audit (at, actor, act, outcome) VALUES (now() - interval '10 days', 'a', 'b', 'done')")
    desk.execute("INSERT INTO audit (actor, act, outcome) VALUES ('a', 'b', 'done')")
    assert one_round(session)[0] == {}
    assert one_round(session, audit_days=9)[0] == {"audit": 1}


def test_the_clock_does_it(desk, session, monkeypatch):
    """Some parts at a time, and then not before an hour is over."""
    monkeypatch.setattr(retention, "ITEMS_AT_ONCE", 2)
    monkeypatch.setattr("worker.clock.WHILE", -1.0)  # one part a tick
    age(desk, 31, desk.run_through(*(text_message("telegram", n, "x") for n in range(5))))
    clock = Clock(session, RecordingHints(), ClockOptions(retention=RetentionOptions(raw_days=30)))
    left = []
    for _ in range(6):
        clock.tick()
        left.append(counts(desk)[0])
    assert left == [3, 1, 0, 0, 0, 0]
    age(desk, 31, desk.run_through(text_message("telegram", 1, "x")))
    clock.tick()
    assert counts(desk)[0] == 1

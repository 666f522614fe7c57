"""What `make bench-scale` puts into a database is what a desk would have left there."""

from collections.abc import Iterator

import psycopg
import pytest

from bench.scale.seeding import fill
from bench.scale.statements import statements

pytestmark = pytest.mark.integration

CARDS = 500


@pytest.fixture
def filled(database_url: str) -> Iterator[psycopg.Connection]:
    """A database that was filled once."""
    messages = fill(database_url, 0, CARDS, lambda _: None)
    with psycopg.connect(database_url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        assert messages == one(connection, "SELECT count(*) FROM messages")
        yield connection


def one(connection: psycopg.Connection, question: str) -> object:
    row = connection.execute(question).fetchone()
    assert row is not None
    return row[0]


def test_a_filled_database_is_a_desks(filled: psycopg.Connection, database_url: str) -> None:
    """Filled again, on top: every chat has its card, its history and dialogs; the ledger is balanced; nothing waits."""
    fill(database_url, CARDS, CARDS, lambda _: None)
    assert one(filled, "SELECT count(*) FROM cards") == 2 * CARDS
    assert one(filled, "SELECT count(*) FROM chats") == 2 * CARDS * 6 / 5
    assert one(filled, "SELECT count(*) FROM chats WHERE card_id IS NULL") == 0
    wrong = """
        SELECT count(*) FROM chats
        WHERE last_seq <> (SELECT count(*) FROM messages WHERE chat_id = chats.id)
            OR last_seq <> (SELECT max(seq) FROM messages WHERE chat_id = chats.id)
            OR NOT EXISTS (SELECT FROM dialogs WHERE chat_id = chats.id)
    """
    assert one(filled, wrong) == 0
    assert one(filled, "SELECT count(*) FROM cards WHERE id NOT IN (SELECT card_id FROM card_identifiers)") == 0
    loose = "SELECT count(*) FROM card_identifiers WHERE (kind, key) NOT IN (SELECT kind, key FROM identifiers)"
    assert one(filled, loose) == 0
    items = one(filled, "SELECT count(*) FROM inbox_state WHERE stage = 'done'")
    assert items == one(filled, "SELECT count(*) FROM inbox") == one(filled, "SELECT count(*) FROM inbox_keys")
    assert filled.execute("SELECT outcome, sum(n) FROM ledger GROUP BY 1 ORDER BY 1").fetchall() == [
        ("accepted", items),
        ("done", items),
    ]
    assert one(filled, "SELECT count(*) FROM inbox_state WHERE stage < 'done'") == 0
    assert 0 < one(filled, "SELECT count(*) FROM dialogs WHERE status <> 'closed'") < 2 * CARDS / 10  # type: ignore[operator]


def test_time_is_spread_as_retention_would_leave_it_and_ids_go_on(filled: psycopg.Connection) -> None:
    """Two years of history, four weeks of inbox, and nothing of the future."""
    assert one(filled, "SELECT max(received_at) < now() FROM messages") is True
    assert one(filled, "SELECT extract(day FROM now() - min(received_at)) BETWEEN 720 AND 730 FROM messages") is True
    assert (
        one(filled, "SELECT count(DISTINCT date_trunc('month', received_at)) BETWEEN 24 AND 25 FROM messages") is True
    )
    assert one(filled, "SELECT min(received_at) > now() - interval '28 days' FROM inbox") is True
    assert (
        one(filled, "SELECT bool_and(accepted_at = received_at) FROM inbox JOIN inbox_state ON inbox_id = id") is True
    )
    # What comes after the filling gets ids above all that were given by hand.
    for sequence, highest in (
        ("nextval('inbox_id_seq')", "SELECT max(inbox_id) FROM messages"),
        ("nextval(pg_get_serial_sequence('chats', 'id'))", "SELECT max(id) FROM chats"),
        ("nextval(pg_get_serial_sequence('cards', 'id'))", "SELECT max(id) FROM cards"),
    ):
        assert one(filled, f"SELECT {sequence} > ({highest})") is True
    assert one(filled, "SELECT count(*) FROM pg_class WHERE relname LIKE 'seeded%' AND relkind = 'r'") == 0


def test_a_flood_into_one_chat_and_its_long_history(filled: psycopg.Connection) -> None:
    """As many pending items as asked for, in the ledger too; the history stands behind what the chat had."""
    filled.execute("UPDATE chats SET external_id = 'c-hot-0' WHERE id = (SELECT max(chat_id) FROM inbox_state)")
    accepted = one(filled, "SELECT sum(n) FROM ledger WHERE outcome = 'accepted'")
    filled.execute(statements("hot.sql")["flood"], {"n": 300})
    pending = """
        SELECT count(DISTINCT inbox.message ->> 'external_id')
        FROM inbox_state JOIN inbox ON inbox.id = inbox_id JOIN chats ON chats.id = chat_id
        WHERE stage = 'crm_lookup' AND external_id = 'c-hot-0'
    """
    assert one(filled, pending) == 300
    assert one(filled, "SELECT sum(n) FROM ledger WHERE outcome = 'accepted'") == accepted + 300  # type: ignore[operator]
    filled.execute(statements("hot.sql")["history"], {"n": 400})
    same = """
        SELECT last_seq = (SELECT max(seq) FROM messages WHERE chat_id = chats.id) AND last_seq > 400
            AND last_seq = (SELECT count(*) FROM messages WHERE chat_id = chats.id)
        FROM chats WHERE external_id = 'c-hot-0'
    """
    assert one(filled, same) is True

"""Inbox and history become partitioned (0011): every row stays, and processes of before go on."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from yoyo import get_backend, read_migrations

from crm_store.migrations import FOLDER, migrate
from tests.pipeline import Desk, text_message

pytestmark = pytest.mark.integration

FILLED = """
INSERT INTO open_channels (name, settings) VALUES ('old', '{}');
INSERT INTO channels (key, kind, name, open_channel_id, secrets) VALUES ('bot', 'custom', 'bot', 1, '');
INSERT INTO chats (channel_id, external_id, last_seq) SELECT 1, n, 20 FROM generate_series(1, 5) AS n;
INSERT INTO inbox (channel_id, received_at, message, raw)
SELECT 1, now() - n * interval '1 hour', jsonb_build_object('n', n), 'raw' FROM generate_series(1, 100) AS n;
INSERT INTO inbox_state (inbox_id, chat_id, stage, accepted_at)
SELECT id, id % 5 + 1, 'done', received_at + interval '1 ms' FROM inbox;
INSERT INTO ledger VALUES ('accepted', 100), ('done', 100);
INSERT INTO messages (chat_id, seq, direction, kind, text, external_id, inbox_id, sent_at, received_at)
SELECT n % 5 + 1, n, 'in', 'text', 'said ' || n, 'm' || n, n, now(), now() - n * interval '1 day'
FROM generate_series(1, 100) AS n;
INSERT INTO inbox (channel_id, received_at, raw) VALUES (1, now() + interval '40 days', 'of a clock that was ahead');
"""

ACCEPTED_BEFORE = """
WITH numbered AS (
    SELECT nextval('inbox_id_seq') AS id, clock_timestamp() - interval '3 seconds' AS received_at
), kept AS (
    INSERT INTO inbox (id, channel_id, received_at, message, digest, raw, headers)
    SELECT id, %s, received_at, %s::jsonb, NULL, '', NULL FROM numbered
), counted AS (
    INSERT INTO ledger (outcome, n) VALUES ('accepted', 1)
)
INSERT INTO inbox_state (inbox_id, chat_id, stage)
SELECT numbered.id, chats.id, 'crm_lookup' FROM numbered, chats WHERE channel_id = %s AND external_id = '1'
RETURNING inbox_id
"""
"""As the version before accepts: the time of its own clock in the inbox, PostgreSQL's beside."""


@pytest.fixture
def before(empty_database_url: str) -> str:
    """A database of the version before (0010), with rows and rights."""
    backend = get_backend(empty_database_url.replace("postgresql:", "postgresql+psycopg:", 1))
    every = read_migrations(str(FOLDER))
    backend.apply_migrations(every.filter(lambda one: one.id < "0011"))
    backend.connection.close()
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(FILLED)
    return empty_database_url


def contents(connection: psycopg.Connection[Any]) -> list[Any]:
    """All rows of inbox and history."""
    return [
        connection.execute(f"SELECT * FROM {table} AS row ORDER BY row").fetchall() for table in ("inbox", "messages")
    ]


def test_every_row_and_key_is_kept(before):
    """What was there is the first partition, its ids go on, its rights are kept; only an impossible time is mended."""
    role = f"reader_of_{before.rpartition('/')[2]}"
    with psycopg.connect(before, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role}; GRANT SELECT ON inbox TO {role}; GRANT INSERT ON inbox TO {role}")
        connection.execute("GRANT UPDATE ON messages TO PUBLIC")
        connection.execute("ALTER TABLE messages ALTER COLUMN external_id SET STATISTICS 500")
        files = connection.execute("SELECT pg_relation_filepath('inbox'), pg_relation_filepath('messages')").fetchone()
        inbox, messages = contents(connection)
        try:
            assert migrate(before)[0] == "0011_partitions"
            after = contents(connection)
            assert connection.execute("SELECT nextval('inbox_id_seq')").fetchone() == (102,)
            assert after[0][:100] == inbox[:100]
            assert after[0][100][2] < inbox[100][2]
            assert after[1] == messages
            first = "SELECT pg_relation_filepath('inbox_first'), pg_relation_filepath('messages_first')"
            assert connection.execute(first).fetchone() == files, "nothing was copied"
            for table in ("inbox", "messages"):
                places = connection.execute(f"SELECT DISTINCT tableoid::regclass::text FROM {table}").fetchall()
                assert places == [(f"{table}_first",)]
            rights = (
                f"SELECT has_table_privilege('{role}', 'inbox', 'SELECT'), "
                f"has_table_privilege('{role}', 'inbox', 'DELETE'), "
                f"has_sequence_privilege('{role}', 'inbox_id_seq', 'USAGE'), "
                f"has_table_privilege('{role}', 'messages', 'UPDATE')"
            )
            assert connection.execute(rights).fetchone() == (True, False, True, True)
            target = (
                "SELECT attstattarget FROM pg_attribute WHERE attrelid = 'messages_first'::regclass AND attname = %s"
            )
            assert connection.execute(target, ["external_id"]).fetchone() == (500,)
        finally:
            connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_process_of_before_goes_on(before):
    """It accepts with the statements of its version, also while the tables change; all of it goes through the steps."""
    with Desk(before) as desk:
        desk.open_channel("desk", ["telegram"])
        channel_id = desk.channels["telegram"].id
        message = text_message("telegram", 1, "from before").model_dump_json(exclude_defaults=True)
        desk.execute("INSERT INTO chats (channel_id, external_id) VALUES (%s, '1')", channel_id)

        def accept_many(n: int) -> list[int]:
            with psycopg.connect(before, autocommit=True) as connection:
                connection.prepare_threshold = 1
                return [accept_once(connection) for _ in range(n)]

        def accept_once(connection: psycopg.Connection[Any]) -> int:
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock_shared(hashtextextended('openchannel accept', 0))")
                row = connection.execute(ACCEPTED_BEFORE, [channel_id, message, channel_id]).fetchone()
            assert row is not None
            return int(row[0])

        with ThreadPoolExecutor(2) as pool:
            accepting = pool.submit(accept_many, 150)
            assert migrate(before)[0] == "0011_partitions"
            ids = accepting.result()
        ids += accept_many(5)
        assert ids == sorted(set(ids))
        assert ids[0] > 100
        desk.run_through(text_message("telegram", 1, "of now"))
        assert desk.value("SELECT count(*) FROM inbox_state WHERE stage = 'done'") == 100 + 155 + 1
        assert desk.value("SELECT count(*) FROM messages WHERE text = 'from before'") == 155
        desk.ledger()

"""The schema: from nothing to the newest, by any number of processes, with nothing half-done."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from yoyo import get_backend, read_migrations

from crm_store.migrations import FOLDER, migrate, pending
from worker.alert_watch import AlertThresholds, look_at_letters

pytestmark = pytest.mark.integration

ALL = sorted(path.stem for path in FOLDER.glob("*.sql") if not path.stem.endswith(".rollback"))


def _schema(url: str) -> list[tuple[object, ...]]:
    """Tables, columns, indexes, constraints and functions, without the migrations' own tables."""
    columns = """
        SELECT table_name::text, column_name::text, data_type::text, is_nullable::text, column_default::text
        FROM information_schema.columns WHERE table_schema = 'public' AND table_name !~ 'yoyo' ORDER BY 1, 2
    """
    indexes = "SELECT indexdef::text FROM pg_indexes WHERE schemaname = 'public' AND tablename !~ 'yoyo' ORDER BY 1"
    constraints = """
        SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text !~ 'yoyo' ORDER BY 1, 2
    """
    functions = "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1"
    queries = [columns, indexes, constraints, functions]
    with psycopg.connect(url) as connection:
        return [row for query in queries for row in connection.execute(query).fetchall()]


def test_an_empty_database_is_migrated_once(empty_database_url):
    """The second time there is nothing to do, and nothing changes."""
    assert pending(empty_database_url) == ALL
    assert migrate(empty_database_url) == ALL
    assert pending(empty_database_url) == []
    schema = _schema(empty_database_url)
    assert len(schema) > 100
    assert migrate(empty_database_url) == []
    assert _schema(empty_database_url) == schema


def test_several_processes_migrate_at_once(empty_database_url, database_url):
    """Each migration is applied by one of them; none fails; the schema is the same as ever."""
    with ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(migrate, [empty_database_url] * 4))
    assert sorted(name for names in applied for name in names) == ALL
    assert _schema(empty_database_url) == _schema(database_url)


def test_a_migrated_database_stays_as_it_is(database_url):
    """Data is kept by another start."""
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO sources (name) VALUES ('kept')")
    assert migrate(database_url) == []
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT name FROM sources").fetchall() == [("kept",)]


def test_migrations_are_numbered_without_gaps():
    """In order, and never changed afterwards: the number is the order."""
    assert [name.partition("_")[0] for name in ALL] == [f"{n:04}" for n in range(1, len(ALL) + 1)]


BEFORE = """
INSERT INTO operators (name) VALUES ('ann'), ('ben'), ('cem');
INSERT INTO departments (name) VALUES ('front');
INSERT INTO department_members (department_id, position, operator_id) VALUES (1, 1, 2), (1, 2, 1);
INSERT INTO open_channels (name, settings, turn) VALUES ('desk', '{}', 7), ('other', '{}', 0);
INSERT INTO roster_entries (open_channel_id, position, operator_id, department_id)
VALUES (1, 1, 3, NULL), (1, 2, NULL, 1), (1, 3, 3, NULL);
INSERT INTO roster_turns (open_channel_id, operator_id, turn) VALUES (1, 3, 5), (1, 2, 6);
INSERT INTO channels (key, kind, name, open_channel_id, secrets) VALUES ('bot', 'custom', 'bot', 1, '');
INSERT INTO chats (channel_id, external_id) SELECT 1, n FROM generate_series(1, 3) AS n;
INSERT INTO dialogs (open_channel_id, chat_id, status, operator_id, assigned_at)
VALUES (1, 1, 'assigned', 3, now()), (1, 2, 'awaiting_customer', 2, now()), (1, 3, 'queued', NULL, NULL);
INSERT INTO dialog_events (dialog_id, actor, cause, became) VALUES (1, 'customer', 'message', 'queued');
"""
"""A desk as it was before there were seats, clocks of dialogs and one event log (0004)."""


def test_a_desk_of_before_goes_on(empty_database_url):
    """D1, D2, D5: rosters become seats with their turns, and whoever is to accept something has time for it."""
    backend = get_backend(empty_database_url.replace("postgresql:", "postgresql+psycopg:", 1))
    every = read_migrations(str(FOLDER))
    backend.apply_migrations(every.filter(lambda one: one.id < "0005"))
    backend.connection.close()
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(BEFORE)
        assert migrate(empty_database_url)[0].startswith("0005")
        seats = connection.execute("SELECT operator_id, turn, given FROM seats ORDER BY position").fetchall()
        clocks = connection.execute("SELECT kind, dialog_id, due_at > now() FROM timers").fetchall()
        awaited = connection.execute("SELECT id FROM dialogs WHERE awaits_customer").fetchall()
        count = connection.execute("SELECT seats FROM open_channels ORDER BY id").fetchall()
        events = connection.execute("SELECT dialog_id, xid IS NOT NULL FROM events").fetchall()
    assert seats == [(3, 5, 5), (2, 6, 6), (1, 7, 7)]
    assert (clocks, awaited) == ([("handover", 1, True)], [(2,)])
    assert (count, events) == ([(3,), (0,)], [(1, True)])


FAILED_BEFORE = """
INSERT INTO open_channels (name, settings) VALUES ('desk', '{}');
INSERT INTO channels (key, kind, name, open_channel_id, secrets) VALUES ('bot', 'custom', 'bot', 1, '');
INSERT INTO chats (channel_id, external_id) VALUES (1, 'a');
INSERT INTO outbox (channel_id, chat_id, seq, state, attempts, error, created_at, first_tried_at, due_at)
SELECT 1, 1, n, 'failed', 9, 'HTTP 404', since, since, since + interval '1 hour'
FROM generate_series(1, 100) AS n, (SELECT now() - interval '3 days') AS earlier (since);
INSERT INTO dead_letters (inbox_id, step, reason, fingerprint, attempts, error, traceback, died_at)
VALUES (7, 'bind_chat', 'key', 'KeyError@a.py:b', 6, '', '', now() - interval '2 days');
"""
"""A desk as it was before deliveries had dead letters (0007): a hundred have failed, three days ago."""


def test_what_failed_before_is_a_letter_and_no_news(empty_database_url):
    """Each failed delivery becomes a dead letter of the time when it failed: nobody is woken by a new version."""
    backend = get_backend(empty_database_url.replace("postgresql:", "postgresql+psycopg:", 1))
    every = read_migrations(str(FOLDER))
    backend.apply_migrations(every.filter(lambda one: one.id < "0008"))
    backend.connection.close()
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(FAILED_BEFORE)
        assert migrate(empty_database_url)[0].startswith("0008")
        letters = connection.execute(
            "SELECT step, state, count(*), max(died_at) < now() - interval '1 day', bool_and(first_died_at = died_at) "
            "FROM dead_letters_now GROUP BY 1, 2 ORDER BY 1"
        ).fetchall()
        look_at_letters(connection, AlertThresholds())
        alerts = connection.execute("SELECT kind, subject FROM alerts").fetchall()
        deaths = connection.execute("SELECT step, reason, n FROM deaths ORDER BY 1").fetchall()
    assert letters[-1] == ("deliver", "dead", 100, True, True)
    assert alerts == []
    assert deaths == [("bind_chat", "key", 1), ("deliver", "failed", 100)]


def test_a_process_of_before_may_go_on_writing_letters(database_url):
    """It names no channel (0007) and runs until it is replaced; the letter has the channel of its item."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO inbox (id, channel_id, received_at, raw) VALUES (7, 3, now(), '')")
        connection.execute(
            "INSERT INTO dead_letters (inbox_id, step, reason, fingerprint, attempts, error, traceback) "
            "VALUES (7, 'parse', 'unparsable', 'x', 0, '', '')"
        )
        assert connection.execute("SELECT channel_id, deaths FROM dead_letters").fetchall() == [(3, 1)]

"""The schema: from nothing to the newest, by any number of processes, with nothing half-done."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from crm_store.migrations import FOLDER, migrate, pending

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

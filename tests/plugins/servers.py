"""Real servers for the tests: PostgreSQL and Valkey of our own in a temporary folder, on free ports.

OPENCHANNEL_TEST_DATABASE_URL and OPENCHANNEL_TEST_BROKER_URL name servers that run already; the user of the first must
be allowed to create databases, and the database that the second names is flushed. With the second, `tests/acceptance`
can be run over RabbitMQ: its queues of ours are purged.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import redis
from amqp.exceptions import NotFound
from psycopg import sql

from config.topology import TASK_QUEUES
from runtime.output import LogFiles
from runtime.postgres import EmbeddedPostgres
from runtime.supervisor import Supervisor
from runtime.valkey import EmbeddedValkey
from worker.app import make_app
from worker.rabbitmq import is_rabbitmq

TEMPLATE = f"openchannel_template_{os.getpid()}"
TEST_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
    "max_connections": "200",
    # Copies of a database are files then, and quickly made.
    "wal_level": "minimal",
    "max_wal_senders": "0",
}

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a PostgreSQL for the whole run; its database is for connecting only, tests get their own."""
    given = os.environ.get("OPENCHANNEL_TEST_DATABASE_URL")
    if given:
        yield given
        return
    folder = tmp_path_factory.mktemp("postgres")
    server = EmbeddedPostgres(folder / "data", TEST_SETTINGS)
    server.prepare()
    with _stopped_at_the_end(Supervisor(LogFiles(folder))) as supervisor:
        supervisor.start(server.child())
        yield server.url


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a Valkey for the whole run."""
    given = os.environ.get("OPENCHANNEL_TEST_BROKER_URL")
    if given:
        yield given
        return
    folder = tmp_path_factory.mktemp("valkey")
    server = EmbeddedValkey(folder / "data")
    server.prepare()
    with _stopped_at_the_end(Supervisor(LogFiles(folder))) as supervisor:
        supervisor.start(server.child())
        yield server.url


@pytest.fixture(scope="session")
def migrated_template(postgres_server: str) -> Iterator[str]:
    """Name of a database that every test's database is a copy of, migrated once."""
    from crm_store.migrations import migrate

    create_database(postgres_server, TEMPLATE)
    try:
        migrate(of_database(postgres_server, TEMPLATE))
        yield TEMPLATE
    finally:
        drop_database(postgres_server, TEMPLATE)


@pytest.fixture
def database_url(postgres_server: str, migrated_template: str) -> Iterator[str]:
    """URL of a fresh, migrated database of this test's own."""
    name = f"openchannel_test_{os.getpid()}_{next(_numbers)}"
    create_database(postgres_server, name, migrated_template)
    try:
        yield of_database(postgres_server, name)
    finally:
        drop_database(postgres_server, name)


@pytest.fixture
def empty_database_url(postgres_server: str) -> Iterator[str]:
    """URL of a fresh database with nothing in it, for tests of the migrations."""
    name = f"openchannel_empty_{os.getpid()}_{next(_numbers)}"
    create_database(postgres_server, name)
    try:
        yield of_database(postgres_server, name)
    finally:
        drop_database(postgres_server, name)


@pytest.fixture
def broker_url(valkey_server: str) -> str:
    """URL of a Valkey with nothing in it."""
    empty_broker(valkey_server)
    return valkey_server


def empty_broker(url: str) -> None:
    """Throw all tasks away that wait there."""
    if is_rabbitmq(url):
        with make_app(url).connection_for_write() as connection:
            for name in TASK_QUEUES:
                with connection.channel() as channel, suppress(NotFound):
                    channel.queue_purge(name)
    else:
        with redis.Redis.from_url(url) as client:
            client.flushdb()


def of_database(url: str, name: str) -> str:
    """The same server's URL with another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def create_database(server: str, name: str, template: str = "template0") -> None:
    """A copy of the template; nobody may be connected to that."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )


def drop_database(server: str, name: str) -> None:
    """Whoever is still connected is thrown out."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def _stopped_at_the_end(supervisor: Supervisor) -> Iterator[Supervisor]:
    try:
        yield supervisor
    finally:
        supervisor.stop_all()

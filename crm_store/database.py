"""Connections to PostgreSQL: how they are opened, kept, and given up."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool

from crm_store.arrays import CONTEXT
from crm_store.errors import translated

Connection = psycopg.Connection[TupleRow]


@dataclass(frozen=True, slots=True)
class DatabaseOptions:
    """How to reach PostgreSQL. Times in seconds.

    A process that is stopped while it holds locks loses them after `idle_in_transaction_timeout`; one that is cut
    off is noticed through TCP after `tcp_user_timeout`. So it stops nobody else.

    by_index: every row is found through an index, whatever the statistics say, and every statement is prepared at its
    first use. For processes that read few rows of large tables again and again: a plan made while a table was small
    or without statistics reads it whole for each row.
    """

    url: str
    application_name: str
    pool_size: int = 4
    connect_timeout: float = 5.0
    statement_timeout: float = 30.0
    lock_timeout: float = 5.0
    idle_in_transaction_timeout: float = 10.0
    tcp_user_timeout: float = 10.0
    by_index: bool = False

    def connection_arguments(self) -> dict[str, Any]:
        """Arguments of psycopg's `connect`."""
        server_settings = {
            "statement_timeout": _milliseconds(self.statement_timeout),
            "lock_timeout": _milliseconds(self.lock_timeout),
            "idle_in_transaction_session_timeout": _milliseconds(self.idle_in_transaction_timeout),
            "tcp_keepalives_idle": 5,
            "tcp_keepalives_interval": 2,
            "tcp_keepalives_count": 3,
            # Fresh tables have no statistics; a plan that is kept would stay what it was on an empty table.
            **(_BY_INDEX if self.by_index else {"plan_cache_mode": "force_custom_plan"}),
            "jit": "off",
            "timezone": "UTC",
        }
        return {
            "context": CONTEXT,
            "application_name": self.application_name,
            "connect_timeout": max(2, round(self.connect_timeout)),
            "options": " ".join(f"-c {name}={value}" for name, value in server_settings.items()),
            "keepalives": 1,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": _milliseconds(self.tcp_user_timeout),
            **({"prepare_threshold": 0} if self.by_index else {}),
        }


MOST_PREPARED = 1000
"""Statements that a session keeps prepared. A worker's has a hundred, some in several forms."""

_BY_INDEX = {
    "enable_seqscan": "off",  # where there is no index it is used all the same
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
}


def in_one_trip(connection: Connection) -> AbstractContextManager[object]:
    """Statements in the block whose results nobody reads are sent together; errors are raised at its end at the latest.

    Row counts are not known within it.
    """
    return connection.pipeline()


def is_url(text: str) -> bool:
    """Whether it names a database. The driver would take parts of a password that is not escaped for host or port.

    It would put them into its errors then, so such a text is not to be handed to it.
    """
    try:
        read = conninfo_to_dict(text)
    except psycopg.ProgrammingError:
        return False
    host, port, name = (str(read.get(part) or "") for part in ("host", "port", "dbname"))
    return "@" not in host and all(not one or one.isdigit() for one in port.split(",")) and "@" not in name


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


class Database:
    """A pool of connections. Open it in the process that uses it, after a fork."""

    def __init__(self, options: DatabaseOptions) -> None:
        self._options = options
        self._pool = ConnectionPool(
            options.url,
            kwargs=options.connection_arguments(),
            min_size=1,
            max_size=options.pool_size,
            timeout=options.connect_timeout,
            reconnect_timeout=0,  # keep trying: PostgreSQL may be away for long
            check=ConnectionPool.check_connection,
            open=False,
        )

    def __enter__(self) -> Self:
        self._pool.open(wait=False)
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close(timeout=2)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction that commits at the end of the block and rolls back on any error.

        Raises DatabaseAwayError, also where the outcome of the commit is unknown, and RowRefusedError.
        """
        with translated(), self._pool.connection() as connection, connection.transaction():
            yield connection

    @contextmanager
    def rehearsal(self) -> Iterator[Connection]:
        """A transaction that is rolled back at the end of the block. Raises as `transaction`."""
        with translated(), self._pool.connection() as connection, connection.transaction(force_rollback=True):
            yield connection


class Session:
    """One connection of its own, for a worker: opened at first use, and again after it was lost."""

    def __init__(self, options: DatabaseOptions, *, asynchronous_commit: bool = False) -> None:
        self._options = options
        self._asynchronous_commit = asynchronous_commit
        self._connection: Connection | None = None

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """The connection, outside a transaction. Any error of the driver in the block closes it for good.

        Raises DatabaseAwayError and RowRefusedError.
        """
        with translated():
            connection = self._open()
            try:
                yield connection
            except psycopg.OperationalError:
                self.close()
                raise

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction on the connection, as `Database.transaction`."""
        with self.connection() as connection, connection.transaction():
            yield connection

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _open(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                self._options.url, autocommit=True, **self._options.connection_arguments()
            )
            self._connection.prepared_max = MOST_PREPARED
            if self._asynchronous_commit:
                self._connection.execute("SET synchronous_commit = off")
        return self._connection

"""Errors of the store: the driver's, sorted by what the caller can do about them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import psycopg
import psycopg_pool

AWAY_CLASSES = frozenset({"08", "25", "40", "53", "55", "57"})
"""SQLSTATE classes that say nothing of the data: no connection, deadlock, no resources, a lock, a shutdown."""

BUSY_CLASSES = frozenset({"40", "55"})
"""SQLSTATE classes of a transaction that was in another's way."""

DEADLOCK = "40P01"
"""SQLSTATE of a circle of waits."""

REFUSED_CLASSES = frozenset({"22", "23", "54"})
"""SQLSTATE classes with which PostgreSQL refuses a value: bad data, a constraint, a limit of size."""


class StoreError(Exception):
    """Something went wrong in the store. `reason` is stable: metric label and dead letter's group."""

    reason: ClassVar[str] = "store"


class DatabaseAwayError(StoreError):
    """PostgreSQL cannot do it now, or the outcome is unknown. It says nothing of the data: try again later."""

    reason = "database_away"


class CustomersMovedError(DatabaseAwayError):
    """Others merged or parted the customers that this transaction waited for, again and again: try again later."""

    reason = "customers_moved"


class BusyError(DatabaseAwayError):
    """Somebody else has what this transaction waits for: it has not happened. Other work may go on."""


class DeadlockError(BusyError):
    """PostgreSQL has ended a circle of waits: this transaction has surely not happened, and may be repeated at once."""


class RowRefusedError(StoreError):
    """PostgreSQL refuses a value. The same data will be refused again."""

    reason = "refused_by_database"


class StaleClaimError(StoreError):
    """An item is no longer where this worker claimed it; nothing was changed."""

    reason = "stale_claim"


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors into DatabaseAwayError and RowRefusedError; programming errors stay what they are."""
    try:
        yield
    except psycopg_pool.PoolTimeout as error:
        raise DatabaseAwayError("no connection to PostgreSQL could be had in time") from error
    except psycopg.Error as error:
        sqlstate = error.sqlstate or ""
        refused_by_driver = not sqlstate and isinstance(error, psycopg.DataError)  # a NUL, an infinite date
        if refused_by_driver or sqlstate[:2] in REFUSED_CLASSES:
            raise RowRefusedError(f"{sqlstate or 'driver'} {type(error).__name__}") from error
        lost = not sqlstate and isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
        if sqlstate == DEADLOCK:
            raise DeadlockError(f"{sqlstate} {type(error).__name__}") from error
        if sqlstate[:2] in BUSY_CLASSES:
            raise BusyError(f"{sqlstate} {type(error).__name__}") from error
        if lost or sqlstate[:2] in AWAY_CLASSES:
            raise DatabaseAwayError(f"{sqlstate or 'connection'} {type(error).__name__}: {error}") from error
        raise
    except UnicodeEncodeError as error:  # a lone surrogate: no text of PostgreSQL's
        raise RowRefusedError(f"driver {type(error).__name__}") from error

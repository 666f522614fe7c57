"""What always holds of dialogs, whatever was done at once and whoever was stopped: see `chaos.checks.dialogs`.

`check` of a desk takes a snapshot of its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import psycopg

from chaos.checks.dialogs import broken, over_limits
from chaos.checks.seen import Rows, rows_of
from crm_store.database import Connection

__all__ = ["Rows", "broken", "check", "over_limits", "rows_of", "snapshot"]


class Place(Protocol):
    """A desk: the database of a test."""

    url: str


def check(place: Place | Connection, *, limits: bool = True) -> None:
    """All of it, in one snapshot: of a desk's database, or of the snapshot that a connection has. AssertionError."""
    if isinstance(place, psycopg.Connection):
        found = broken(rows_of(place), limits=limits)
    else:
        with snapshot(place.url) as rows:
            found = broken(rows, limits=limits)
    assert found == [], "\n".join(found)


@contextmanager
def snapshot(url: str) -> Iterator[Rows]:
    """What a database holds at one moment, whoever goes on changing it."""
    with psycopg.connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        yield rows_of(connection)

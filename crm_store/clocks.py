"""Which clocks run: each signs every few seconds."""

from crm_store.database import Connection
from crm_store.queries import Queries

_SQL = Queries("clocks")


def sign(connection: Connection, name: str) -> None:
    """This clock runs."""
    connection.execute(_SQL["sign"], {"name": name})


def sign_off(connection: Connection, name: str) -> None:
    """This clock has ended."""
    connection.execute(_SQL["sign_off"], {"name": name})


def forget(connection: Connection) -> None:
    """Strike out clocks that have not signed for an hour: they were killed."""
    connection.execute(_SQL["forget"])


def silences(connection: Connection) -> list[float]:
    """Seconds since each known clock has signed, the shortest first."""
    return [seconds for (seconds,) in connection.execute(_SQL["silences"]).fetchall()]

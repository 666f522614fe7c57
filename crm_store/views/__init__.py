"""Look-ups, as the API shows them: read-only, without locks, each a fixed number of queries."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from crm_store.database import Connection, Database
from crm_store.queries import Queries

SQL = Queries("views")


class Order(StrEnum):
    """In which direction a history is read."""

    OLDEST = "oldest"
    NEWEST = "newest"


@dataclass(frozen=True, slots=True)
class Reference:
    """Something with a name, told by its id."""

    id: int
    name: str


@contextmanager
def snapshot(database: Database) -> Iterator[Connection]:
    """A read-only transaction in which all look-ups see one moment. Raises DatabaseAwayError."""
    with database.transaction() as connection:
        connection.execute(SQL["snapshot"])
        yield connection


def reference(row_id: int | None, name: str | None) -> Reference | None:
    """A reference from two columns of an outer join."""
    return None if row_id is None or name is None else Reference(row_id, name)


def names(connection: Connection, operator_ids: Collection[int]) -> dict[int, str]:
    """Names of operators by id."""
    rows = connection.execute(SQL["names"], {"operator_ids": list(operator_ids)}).fetchall() if operator_ids else []
    return dict(rows)

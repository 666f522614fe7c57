"""Partitions of inbox and history: made ahead of time, and taken off as a whole when all in them is old.

Each function is part of the caller's transaction, and changes all or nothing: who is killed leaves nothing half-done.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from crm_store.database import Connection
from crm_store.errors import BusyError, StoreError, translated
from crm_store.queries import Queries

_SQL = Queries("partitions")

LOCK_TIMEOUT = 0.3
"""Seconds for which a whole table is waited for: everybody else waits behind."""

STATEMENT_TIMEOUT = 2.0
"""Seconds that any statement may take which holds up others."""

LOOK_TIMEOUT = 0.5
"""Seconds in which it has to be seen what is left in a partition. The same is read again while others wait."""

ANALYZE_TIMEOUT = 10.0
"""Seconds that a sample of a whole table may take. It holds nobody up."""

ANALYZES_ONLY = 180_000
"""The version of PostgreSQL that can sample a partitioned table without its partitions."""

MOST_MOVED = 10_000
"""Rows that are moved out of a partition at once: some hundredths of a second."""


@dataclass(frozen=True, slots=True)
class Partitioned:
    """A partitioned table. unit: of time. ahead: partitions besides the present one. named: as `to_char` does it."""

    table: str
    unit: str
    ahead: int
    named: str


INBOX = Partitioned("inbox", "week", 4, '"inbox_"YYYY_MM_DD')
MESSAGES = Partitioned("messages", "month", 3, '"messages_"YYYY_MM')


@dataclass(frozen=True, slots=True)
class Partition:
    """One of them, from `begins` (None: the beginning of time) until before `ends`."""

    table: str
    name: str
    begins: datetime | None
    ends: datetime | None

    def is_older_than(self, moment: datetime) -> bool:
        """Whether all that it may hold was received before."""
        return self.ends is not None and self.ends <= moment

    def overlaps(self, begins: datetime, ends: datetime) -> bool:
        """Whether it holds something of a period."""
        return (self.ends is None or self.ends > begins) and (self.begins is None or self.begins < ends)


@dataclass(frozen=True, slots=True)
class Cleared:
    """Messages whose deliveries were looked at. last: place of the last one. kept: of those that have one still."""

    seen: int
    last: tuple[int, int] | None
    kept: Sequence[tuple[int, int]]


class NotOwnerError(StoreError):
    """This role may not change the table: it is not its owner."""

    reason = "not_owner"


class DefaultTooLargeError(StoreError):
    """No partition can be attached in a moment: PostgreSQL looks through the default one for its rows."""

    reason = "default_too_large"


def existing(connection: Connection, table: str) -> list[Partition]:
    """The partitions of a table but for its default one, the oldest first."""
    return [Partition(table, *row) for row in connection.execute(_SQL["existing"], {"table": table}).fetchall()]


def take_turn(connection: Connection) -> bool:
    """To the end of the transaction: nobody else makes partitions or takes them off. False: somebody does just now."""
    row = connection.execute(_SQL["take_turn"]).fetchone()
    return row is not None and bool(row[0])


def make_next(connection: Connection, kind: Partitioned) -> str | None:
    """Make the first of the missing partitions; returns its name, or None if none is missing.

    A period that has begun without one has none: what comes in goes to the default partition, and stays there.
    Call `take_turn` before. Raises BusyError if others do not let it, NotOwnerError and DefaultTooLargeError.
    """
    there = existing(connection, kind.table)
    parameters = {"unit": kind.unit, "ahead": kind.ahead, "named": kind.named}
    for name, begins, ends in connection.execute(_SQL["wanted"], parameters).fetchall():
        taken = any(part.overlaps(begins, ends) for part in there)
        if not taken and _make(connection, Partition(kind.table, name, begins, ends)):
            return str(name)
    return None


def _make(connection: Connection, part: Partition) -> bool:
    try:
        with _briefly(connection):
            _execute(connection, "make", part)
            _execute(connection, "attach", part)
    except (psycopg.errors.CheckViolation, psycopg.errors.DuplicateTable):
        return False  # its rows are in the default partition, or somebody has a table of this name
    except psycopg.errors.QueryCanceled as error:
        raise DefaultTooLargeError(
            f"the default partition of {part.table} is too large to be read meanwhile"
        ) from error
    return True


def old(connection: Connection, table: str, days: int) -> list[Partition]:
    """Partitions that hold nothing younger than so many days."""
    bound = _days_ago(connection, days)
    return [part for part in existing(connection, table) if part.is_older_than(bound)]


def days_ahead(connection: Connection, table: str) -> int:
    """For how many whole days there are partitions; negative if not for the present."""
    now = _days_ago(connection, 0)
    ends = [part.ends for part in existing(connection, table)]
    return (max((one or datetime.max.replace(tzinfo=UTC) for one in ends), default=now) - now).days


def _days_ago(connection: Connection, days: int) -> datetime:
    row = connection.execute(_SQL["days_ago"], {"days": days}).fetchone()
    assert row is not None  # noqa: S101  always one
    moment: datetime = row[0]
    return moment


def is_almost_empty(connection: Connection, part: Partition) -> bool:
    """Whether so little is left in it that it can be moved, as far as can be seen in a moment."""
    try:
        with connection.transaction():
            _limit(connection, LOCK_TIMEOUT, LOOK_TIMEOUT)
            cursor = _execute(connection, "count_left", part, {"limit": MOST_MOVED + 1})
            row = cursor.fetchone()
    except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable):
        return False
    return row is not None and row[0] <= MOST_MOVED


def clear_deliveries(connection: Connection, part: Partition, after: tuple[int, int], limit: int) -> Cleared:
    """Delete deliveries of old messages, unless they wait to be sent, for up to `limit` messages behind `after`."""
    parameters = {"chat_id": after[0], "seq": after[1], "limit": limit}
    row = _execute(connection, "clear_deliveries", part, parameters).fetchone()
    assert row is not None  # noqa: S101  aggregates
    seen, chat_id, seq, chat_ids, seqs = row
    return Cleared(seen, None if chat_id is None else (chat_id, seq), list(zip(chat_ids, seqs, strict=True)))


def take_off_items(connection: Connection, part: Partition) -> int:
    """Drop a partition of the inbox; what is left in it stays, and is counted. Raises BusyError and NotOwnerError."""
    return _take_off(connection, part, "keep_items", {})


def take_off_messages(connection: Connection, part: Partition, kept: Sequence[tuple[int, int]]) -> int:
    """Drop a partition of the history but for the messages at these places that have a delivery; returns how many.

    Raises BusyError and NotOwnerError.
    """
    places = {"chat_ids": [chat_id for chat_id, _ in kept], "seqs": [seq for _, seq in kept]}
    return _take_off(connection, part, "keep_messages", places)


def renew_statistics(connection: Connection, part: Partition) -> None:
    """Sample the table that it was of again; not, if that takes long, or others are at it."""
    query = "analyze_whole" if connection.info.server_version >= ANALYZES_ONLY else "analyze"
    with suppress(BusyError, NotOwnerError), _briefly(connection, ANALYZE_TIMEOUT):
        _execute(connection, query, part)


def _take_off(connection: Connection, part: Partition, keep: str, parameters: Mapping[str, Any]) -> int:
    with _briefly(connection):
        _execute(connection, "lock_table", part)
        _execute(connection, "detach", part)
        moved = _execute(connection, keep, part, parameters).rowcount
        _execute(connection, "drop", part)
    return moved


@contextmanager
def _briefly(connection: Connection, statement: float = STATEMENT_TIMEOUT) -> Iterator[None]:
    """All or nothing of the block, and no long wait. Raises BusyError and NotOwnerError, and refusals as they are."""
    try:
        with connection.transaction():
            _limit(connection, LOCK_TIMEOUT, statement)
            yield
    except (psycopg.errors.CheckViolation, psycopg.errors.DuplicateTable):
        raise
    except psycopg.errors.DependentObjectsStillExist as error:
        raise BusyError("something of an administrator's depends on it") from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise NotOwnerError(str(error).partition("\n")[0]) from error
    except psycopg.errors.QueryCanceled as error:
        raise BusyError("it would take too long") from error
    except psycopg.Error:
        with translated():
            raise


def _limit(connection: Connection, lock: float, statement: float) -> None:
    limits = {"lock": f"{round(lock * 1000)}ms", "statement": f"{round(statement * 1000)}ms"}
    connection.execute(_SQL["be_brief"], limits)


def _execute(
    connection: Connection, query: str, part: Partition, parameters: Mapping[str, Any] | None = None
) -> psycopg.Cursor[Any]:
    text = sql.SQL(_SQL[query]).format(
        table=sql.Identifier(part.table),
        partition=sql.Identifier(part.name),
        begins=sql.Literal(part.begins),
        ends=sql.Literal(part.ends),
    )
    return connection.execute(text, parameters)

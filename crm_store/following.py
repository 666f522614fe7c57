"""Following the event log in its order, and who may see what of it.

The order is that of transactions, then of ids. It is read only as far as all transactions have ended, so what commits
late is not passed by. A transaction that stays open, in any database of the server, holds up who follows, and nothing
else.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from crm_store.database import Connection
from crm_store.events import Event
from crm_store.queries import Queries
from tracker.access import DEFAULT_SCOPES, Role, Scope
from tracker.dialogs import DialogStatus
from tracker.events import Circles, circles_of_follower

_SQL = Queries("following")


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the log: who is there has seen all that is not after it."""

    xid: int
    id: int


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event with its place and its time."""

    position: Position
    at: datetime
    event: Event


@dataclass(frozen=True, slots=True)
class Page:
    """What comes next in the log. end: where who has read it is. last: there is nothing more by now.

    read_at: the database's time.
    """

    events: tuple[LoggedEvent, ...]
    end: Position
    last: bool
    read_at: datetime


def present(connection: Connection) -> tuple[Position, datetime]:
    """Where who follows from now on begins, and the database's time."""
    row = connection.execute(_SQL["horizon"]).fetchone()
    assert row is not None  # noqa: S101  a query without a table
    return Position(int(row[0]), 0), row[1]


def read(connection: Connection, after: Position, limit: int) -> Page:
    """Up to `limit` events after a position."""
    rows = connection.execute(_SQL["page"], {"xid": str(after.xid), "id": after.id, "limit": limit}).fetchall()
    horizon, read_at = Position(int(rows[0][0]), 0), rows[0][1]
    events = tuple(_logged(*row[2:]) for row in rows if row[2] is not None)
    last = len(events) < limit
    return Page(events, horizon if last else events[-1].position, last, read_at)


def followers(connection: Connection, token_hashes: Collection[bytes]) -> dict[bytes, Circles]:
    """What the operators with these tokens see now; who was dismissed, or has another token by now, is left out."""
    rows = connection.execute(_SQL["followers"], {"token_hashes": list(token_hashes)}).fetchall()
    scopes = {
        operator_id: Scope(scope) if scope is not None else DEFAULT_SCOPES[Role(role)]
        for _, operator_id, role, scope in rows
    }
    rosters = _by_operator(connection, "rosters", [each for each, scope in scopes.items() if scope is not Scope.ANY])
    supervising = [each for each, scope in scopes.items() if scope is Scope.DEPARTMENT]
    members = _by_operator(connection, "members", supervising)
    members_rosters = _by_operator(connection, "members_rosters", supervising)
    return {
        bytes(token_hash): circles_of_follower(
            each, scopes[each], rosters.get(each, ()), members.get(each, ()), members_rosters.get(each, ())
        )
        for token_hash, each, _, _ in rows
    }


def _by_operator(connection: Connection, query: str, operator_ids: list[int]) -> Mapping[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    if operator_ids:
        for operator_id, other_id in connection.execute(_SQL[query], {"operator_ids": operator_ids}).fetchall():
            found[operator_id].append(other_id)
    return found


def _logged(
    xid: str,
    event_id: int,
    at: datetime,
    dialog_id: int | None,
    open_channel_id: int | None,
    actor: str,
    cause: str,
    was: str | None,
    became: str | None,
    was_operator_id: int | None,
    operator_id: int | None,
    details: dict[str, object] | None,
) -> LoggedEvent:
    event = Event(
        dialog_id,
        open_channel_id,
        actor,
        cause,
        None if was is None else DialogStatus(was),
        None if became is None else DialogStatus(became),
        was_operator_id,
        operator_id,
        details or {},
    )
    return LoggedEvent(Position(int(xid), event_id), at, event)

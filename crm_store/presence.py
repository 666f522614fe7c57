"""Whether operators are there: what is so, what the log says of it, and what follows (D6, D8, D11).

Lock order: operators by id, then what is handed back, then timers.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from crm_store import desks, events, returning, seats, timers
from crm_store.database import Connection
from crm_store.events import Event
from crm_store.queries import Queries
from tracker.presence import Availability, Workday

_SQL = Queries("presence")

CAUSE = "presence"


@dataclass(frozen=True, slots=True)
class Present:
    """An operator now. online: he said so; it counts while he is heard of (D6)."""

    availability: Availability
    online: bool
    time_tracking: bool
    workday: Workday


@dataclass(frozen=True, slots=True)
class Change:
    """What the log did not say yet."""

    operator_id: int
    was: Availability
    became: Availability


@dataclass(frozen=True, slots=True)
class Settled:
    """What followed from a change. tried: backlogs are due. handed_back: how many dialogs."""

    tried: bool = False
    handed_back: int = 0


@dataclass(frozen=True, slots=True)
class Leave:
    """An operator's leave. over: it has ended."""

    id: int
    operator_id: int
    from_at: datetime
    until_at: datetime
    over: bool


# Changes


def lock(connection: Connection, operator_id: int) -> Present | None:
    """Lock an operator and say whether he is there, which the log says then too; None if there is none."""
    if connection.execute(_SQL["lock"], {"operator_id": operator_id}).fetchone() is None:
        return None
    _note(connection, [operator_id], "system")
    row = connection.execute(_SQL["present"], {"operator_id": operator_id}).fetchone()
    assert row is not None  # noqa: S101  locked before
    return Present(Availability(row[0]), row[1], row[2], Workday(row[3]))


def set_away(connection: Connection, operator_id: int) -> None:
    """The locked operator is there, and wants nothing new; `desks.set_online` ends it."""
    connection.execute(_SQL["set_away"], {"operator_id": operator_id})


def set_workday(connection: Connection, operator_id: int, workday: Workday) -> None:
    """The locked operator's workday starts, pauses or ends."""
    connection.execute(_SQL["set_workday"], {"operator_id": operator_id, "workday": workday})


def settle(connection: Connection, operator_id: int, actor: str) -> Settled:
    """What follows from a change of a locked operator: the log says it, he gives back what he should not hold (D11).

    If he has become available, the backlogs that he may serve are tried (D8).
    """
    changes = _note(connection, [operator_id], actor)
    handed_back = sum(
        returning.hand_back(connection, operator_id, actor, cause, everything=cause == Availability.DISMISSED)
        for _, cause in stranded(connection, operator_id)
    )
    return Settled(any(change.became is Availability.AVAILABLE for change in changes) or handed_back > 0, handed_back)


def note_changes(connection: Connection) -> list[Change]:
    """Log what happened to operators by time alone: heartbeats that stopped, leaves that began or ended (D6).

    The backlogs of those who became available are due (D8). Who is acting at this moment is left to his own act.
    """
    changed = [row[0] for row in connection.execute(_SQL["changed"]).fetchall()]
    if not changed:
        return []
    free = connection.execute(_SQL["lock_free"], {"operator_ids": changed}).fetchall()
    return _note(connection, [row[0] for row in free], "system")


def _note(connection: Connection, operator_ids: Collection[int], actor: str) -> list[Change]:
    """Of locked operators."""
    rows = connection.execute(_SQL["note"], {"operator_ids": list(operator_ids)}).fetchall()
    changes = [Change(row[0], Availability(row[1]), Availability(row[2])) for row in sorted(rows)]
    events.log(
        connection,
        [
            Event(None, None, actor, CAUSE, operator_id=change.operator_id, details={"availability": change.became})
            for change in changes
        ],
    )
    came = [change.operator_id for change in changes if change.became is Availability.AVAILABLE]
    if came:
        seats.wake(connection, came)
        served = connection.execute(_SQL["open_channels_of"], {"operator_ids": came}).fetchall()
        timers.set_backlogs(connection, {row[0] for row in served}, 0.0)
    return changes


# Who holds what he should not


def stranded(connection: Connection, operator_id: int | None = None) -> list[tuple[int, str]]:
    """Operators who hold what they should not, and why (D11): `dismissed`, `on_leave`, `workday_ended`.

    operator_id: he alone.
    """
    return connection.execute(_SQL["stranded"], {"operator_id": operator_id}).fetchall()


def relieve(connection: Connection, operator_id: int) -> int:
    """Hand back what an operator should not hold, if that is still so once he is locked; returns how many dialogs."""
    desks.lock_operators(connection, [operator_id])
    return settle(connection, operator_id, "system").handed_back


# Leaves


def add_leave(connection: Connection, operator_id: int, from_at: datetime, until_at: datetime) -> int:
    """Give a locked operator leave; returns its id."""
    parameters = {"operator_id": operator_id, "from_at": from_at, "until_at": until_at}
    return desks.row_id(connection.execute(_SQL["insert_leave"], parameters))


def end_leave(connection: Connection, leave_id: int) -> None:
    """A leave of a locked operator ends now; one that has not begun is deleted."""
    connection.execute(_SQL["end_leave"], {"leave_id": leave_id})
    connection.execute(_SQL["cancel_leave"], {"leave_id": leave_id})


def read_leave(connection: Connection, leave_id: int) -> Leave | None:
    """One leave."""
    row = connection.execute(_SQL["leave"], {"leave_id": leave_id}).fetchone()
    return Leave(*row) if row else None


def leaves_of(connection: Connection, operator_id: int) -> list[Leave]:
    """An operator's leaves that are not over, the first first."""
    return [Leave(*row) for row in connection.execute(_SQL["leaves_of"], {"operator_id": operator_id}).fetchall()]

"""What was recorded of a period: arrivals, presence, and how long dialogs were handled.

Everything is read in one transaction that sees one moment and can write nothing. Arrivals come in pages, each by a few
queries, so that a month of a million dialogs is neither held at once nor read one by one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crm_store.database import Connection
from crm_store.queries import Queries
from tracker.dialogs import HELD, DialogStatus
from tracker.simulation import Arrival, OpenDialog, Recording, Turn
from tracker.simulation.presence import Changes, absence_of

_SQL = Queries("recordings")

PAGE = 2000
"""Dialogs that are read at once."""

_TAKEN = HELD - {DialogStatus.CLOSING}
_GIVEN = frozenset({DialogStatus.ASSIGNED, DialogStatus.OFFERED})


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` to before `until`; both know their time zone."""

    since: datetime
    until: datetime

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.until - self.since).total_seconds()

    def parameters(self) -> dict[str, datetime]:
        """As the queries have them."""
        return {"since": self.since, "until": self.until}


@dataclass(frozen=True, slots=True)
class Extent:
    """When the first and the last dialog began that there are; None if there are none. now: the database's clock."""

    first: datetime | None
    last: datetime | None
    now: datetime


@dataclass(frozen=True, slots=True)
class _Dialog:
    """The columns of a dialog; what is recorded of it where its events say nothing."""

    id: int
    open_channel_id: int
    channel_id: int
    operator_id: int | None
    created: float
    assigned: float | None
    accepted: float | None
    closed: float | None
    responsible_id: int | None


@dataclass(frozen=True, slots=True)
class _Change:
    at: float
    cause: str
    was: DialogStatus | None
    became: DialogStatus
    was_operator_id: int | None
    operator_id: int | None

    @property
    def is_loss(self) -> bool:
        """Somebody has let it pass (D5), in time or at once."""
        changed_hands = self.was_operator_id is not None and self.was_operator_id != self.operator_id
        return (
            self.was is DialogStatus.ASSIGNED and self.became in _GIVEN and changed_hands and self.cause != "transfer"
        )


@dataclass(frozen=True, slots=True)
class _Record:
    """All that is known of one dialog."""

    dialog: _Dialog
    open_channel_id: int
    changes: Sequence[_Change]
    assignments: tuple[tuple[float, int], ...]


def read_only(connection: Connection) -> None:
    """From here on the transaction sees one moment, and can write nothing. Its first statement."""
    connection.execute(_SQL["one_snapshot"])


def extent(connection: Connection) -> Extent:
    """How far the records reach."""
    row = connection.execute(_SQL["extent"]).fetchone()
    assert row is not None  # noqa: S101  an aggregate
    return Extent(*row)


def read(connection: Connection, period: Period) -> Recording:
    """What is known of a period besides its arrivals."""
    parameters = period.parameters()
    presence: dict[int, Changes] = {}
    for operator_id, at, availability, _ in connection.execute(_SQL["presence"], parameters).fetchall():
        presence[operator_id] = (*presence.get(operator_id, ()), (at, absence_of(availability or "")))
    reactions: dict[int | None, float] = dict(connection.execute(_SQL["reactions"], parameters).fetchall())
    reaction = reactions.pop(None, None)
    (handling,) = connection.execute(_SQL["handling"], parameters).fetchone() or (None,)
    ids = [row[0] for row in connection.execute(_SQL["open_at"], parameters).fetchall()]
    pages = (ids[start : start + PAGE] for start in range(0, len(ids), PAGE))
    return Recording(
        length=period.seconds,
        presence=presence,
        open_dialogs=tuple(_open_dialog(record) for page in pages for record in _records(connection, period, page)),
        turns={
            (open_channel_id, operator_id): Turn(turn, given)
            for open_channel_id, operator_id, turn, given in connection.execute(_SQL["turns"], parameters).fetchall()
        },
        reactions={one: seconds for one, seconds in reactions.items() if one is not None},
        reaction=reaction,
        handling=handling,
    )


def arrivals(connection: Connection, period: Period) -> Iterator[Arrival]:
    """The dialogs that began in the period, in the order of time."""
    with connection.cursor(name="arrivals") as cursor:
        cursor.execute(_SQL["arrived"], period.parameters())
        while ids := [row[0] for row in cursor.fetchmany(PAGE)]:
            for record in _records(connection, period, ids):
                yield _arrival(record)


def _records(connection: Connection, period: Period, dialog_ids: Sequence[int]) -> Iterator[_Record]:
    """In the order of the ids given."""
    parameters = {"since": period.since, "dialog_ids": list(dialog_ids)}
    dialogs = {row[0]: _Dialog(*row) for row in connection.execute(_SQL["dialogs"], parameters).fetchall()}
    changes = {row[0]: row[1:] for row in connection.execute(_SQL["changes"], parameters).fetchall()}
    given = {
        dialog_id: tuple(zip(at, operator_ids, strict=True))
        for dialog_id, at, operator_ids in connection.execute(_SQL["assignments"], parameters).fetchall()
    }
    for dialog_id in dialog_ids:
        yield _record(dialogs[dialog_id], changes.get(dialog_id), given)


def _record(
    dialog: _Dialog,
    changes: Sequence[Any] | None,
    given: Mapping[int, tuple[tuple[float, int], ...]],
) -> _Record:
    assignments = given.get(dialog.id, ())
    if not assignments and dialog.assigned is not None and dialog.operator_id is not None:
        assignments = ((dialog.assigned, dialog.operator_id),)
    if changes is None:
        return _Record(dialog, dialog.open_channel_id, (), assignments)
    open_channel_id, at, causes, was, became, was_operator_ids, operator_ids = changes
    return _Record(
        dialog,
        open_channel_id or dialog.open_channel_id,
        [
            _Change(
                one[0], one[1], None if one[2] is None else DialogStatus(one[2]), DialogStatus(one[3]), one[4], one[5]
            )
            for one in zip(at, causes, was, became, was_operator_ids, operator_ids, strict=True)
        ],
        assignments,
    )


def _arrival(record: _Record) -> Arrival:
    dialog = record.dialog
    accepted = next((n for n, one in enumerate(record.changes) if one.became in _TAKEN), None)
    losses = tuple((one.at, one.was_operator_id) for one in record.changes if one.is_loss and one.was_operator_id)
    if accepted is None:
        accepted_at, accepted_by, reaction, course = _by_columns(dialog)
    else:
        acceptance = record.changes[accepted]
        accepted_at, accepted_by = acceptance.at, acceptance.operator_id or dialog.operator_id
        reaction = _reaction(record.changes[:accepted], acceptance)
        course = _course(record.changes[accepted + 1 :], acceptance.at)
    return Arrival(
        dialog_id=dialog.id,
        open_channel_id=record.open_channel_id,
        at=dialog.created,
        channel_id=dialog.channel_id,
        accepted_after=reaction,
        accepted=accepted_at is not None,
        course=course,
        let_pass=frozenset(operator_id for _, operator_id in losses),
        responsible_id=dialog.responsible_id,
        assignments=record.assignments,
        losses=losses,
        accepted_at=accepted_at,
        accepted_by=accepted_by,
        closed_at=dialog.closed,
    )


def _by_columns(
    dialog: _Dialog,
) -> tuple[float | None, int | None, float | None, tuple[tuple[float, DialogStatus], ...]]:
    """When it was accepted, by whom, after how long, and how it went on, where no event says it."""
    if dialog.accepted is None:
        return None, None, None, ()
    reaction = None if dialog.assigned is None else max(0.0, dialog.accepted - dialog.assigned)
    closed = () if dialog.closed is None else ((max(0.0, dialog.closed - dialog.accepted), DialogStatus.CLOSED),)
    return dialog.accepted, dialog.operator_id, reaction, closed


def _reaction(before: Sequence[_Change], acceptance: _Change) -> float | None:
    """From the assignment or offer; None if it was taken from the backlog."""
    if acceptance.was not in _GIVEN:
        return None
    return next((acceptance.at - one.at for one in reversed(before) if one.became in _GIVEN), None)


def _course(changes: Sequence[_Change], accepted_at: float) -> tuple[tuple[float, DialogStatus], ...]:
    """Once it was accepted. It is closed only if it was not reopened."""
    last = len(changes) - 1
    return tuple(
        (one.at - accepted_at, one.became)
        for n, one in enumerate(changes)
        if one.became in HELD or (one.became is DialogStatus.CLOSED and n == last)
    )


def _open_dialog(record: _Record) -> OpenDialog:
    """As it was when the period began."""
    arrival = _arrival(record)
    before = [one for one in record.changes if one.at < 0]
    given = [(at, operator_id) for at, operator_id in arrival.assignments if at < 0]
    if before:
        status = before[-1].became
        holder_id = before[-1].operator_id or (given[-1][1] if given else record.dialog.operator_id)
        since = next((one.at for one in reversed(before) if one.became is DialogStatus.ASSIGNED), 0.0)
    else:
        accepted = arrival.accepted_at is not None and arrival.accepted_at < 0
        status = DialogStatus.ACCEPTED if accepted else DialogStatus.ASSIGNED if given else DialogStatus.QUEUED
        holder_id = record.dialog.operator_id if accepted else given[-1][1] if given else None
        since = given[-1][0] if given else 0.0
    held = status in HELD or status is DialogStatus.ASSIGNED
    return OpenDialog(
        arrival,
        status,
        holder_id=holder_id if held else None,
        assigned_at=since,
        accepted_at=arrival.accepted_at if status in HELD and arrival.accepted_at is not None else None,
        passed_by=frozenset(operator_id for at, operator_id in arrival.losses if at < 0),
        first=not given,
    )

"""Why what waits has no operator now: computed fresh, from who is there and what he has (D6-D9, D12)."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from crm_store.chats import read_settings
from crm_store.database import Connection
from crm_store.views import SQL, Reference, dialogs, names, reference
from crm_store.views.dialogs import Dialog
from tracker.channels import Distribution
from tracker.dialogs import WAITING, DialogStatus
from tracker.distribution import PassedOver, RosterOperator
from tracker.presence import Availability


class Verdict(StrEnum):
    """Why nothing moves, in one word."""

    NOTHING_WAITS = "nothing_waits"
    NOBODY_ON_ROSTER = "nobody_on_roster"
    NOBODY_AVAILABLE = "nobody_available"
    ALL_AT_LIMIT = "all_at_limit"
    OFFERED = "offered"
    """All that waits is offered to somebody; nobody has accepted yet (D4)."""
    BEING_DISTRIBUTED = "being_distributed"
    """Somebody may be given what waits: it is tried at `next_try_at`."""


@dataclass(frozen=True, slots=True)
class OperatorNow:
    """An operator as one open channel sees him now. position: in its roster; null for a responsible person beside it.

    availability: see docs/distribution.md; since: when it became so, null if the log does not say. load, limit: dialogs
    that count here, and how many may; personal_load, personal_limit: over all (D7). obstacle: why he may not be given a
    dialog now, one of the reasons of a decision record; null if he may.
    """

    operator: Reference
    position: int | None
    availability: Availability
    since: datetime | None
    seen_at: datetime | None
    load: int
    limit: int | None
    personal_load: int
    personal_limit: int | None
    obstacle: PassedOver | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A dialog without an operator. waiting_since: it came, or came back. let_pass: who had it and did not react (D3).

    preferred: the card's responsible person, whom it goes to first (D9). noticed_at: the customer was told (D8).
    """

    id: int
    status: DialogStatus
    customer: str
    chat_id: int
    channel_key: str
    created_at: datetime
    waiting_since: datetime
    preferred: Reference | None
    let_pass: list[Reference]
    noticed_at: datetime | None


@dataclass(frozen=True, slots=True)
class BacklogView:
    """What waits in an open channel, oldest first, and why nobody has it.

    now: the moment for which all of it holds. next_try_at: when it is tried again, null if no clock is set (D8).
    obstacles: how many operators of the roster may not be given a dialog, by reason; free: how many may. dialogs: the
    first of those that wait. operators: the whole roster in order, then responsible people beside it.
    """

    open_channel: Reference
    active: bool
    distribution: Distribution
    check_availability: bool
    now: datetime
    queued: int
    offered: int
    next_try_at: datetime | None
    verdict: Verdict
    free: int
    obstacles: dict[PassedOver, int]
    dialogs: list[Waiting]
    operators: list[OperatorNow]


@dataclass(frozen=True, slots=True)
class DialogNow:
    """A dialog with what is so at this moment.

    holder: who has it. place: among what waits in its open channel, from 1, with `backlog` of its open channel, whose
    `dialogs` has this one alone; null if it does not wait.
    """

    now: datetime
    dialog: Dialog
    holder: OperatorNow | None
    place: int | None
    backlog: BacklogView | None


def read(connection: Connection, open_channel_id: int, limit: int) -> BacklogView | None:
    """The backlog with its first `limit` dialogs; None if there is no such open channel."""
    return _read(connection, open_channel_id, limit=limit)


def of_dialog(connection: Connection, dialog_id: int) -> DialogNow | None:
    """A dialog, who has it, and if nobody has, why. None if there is no such dialog."""
    dialog = dialogs.read(connection, dialog_id)
    if dialog is None:
        return None
    open_channel_id = dialog.open_channel.id
    (now,) = connection.execute(SQL["now"]).fetchone() or (dialog.created_at,)
    holder = None
    if dialog.operator is not None and dialog.status is not DialogStatus.CLOSED:
        besides = [dialog.operator.id]
        holder = next(one for one in _standings(connection, open_channel_id, besides) if one.operator.id in besides)
    if dialog.status not in WAITING:
        return DialogNow(now, dialog, holder, None, None)
    place = connection.execute(
        SQL["place_in_backlog"], {"open_channel_id": open_channel_id, "dialog_id": dialog_id}
    ).fetchone()
    backlog = _read(connection, open_channel_id, limit=1, dialog_id=dialog_id)
    return DialogNow(now, dialog, holder, place[0] if place else None, backlog)


def _read(connection: Connection, open_channel_id: int, limit: int, dialog_id: int | None = None) -> BacklogView | None:
    row = connection.execute(SQL["backlog_of"], {"open_channel_id": open_channel_id}).fetchone()
    if row is None:
        return None
    _, name, active, written, now, queued, offered, next_try_at = row
    settings = read_settings(written)
    waiting = _waiting(connection, open_channel_id, limit, dialog_id)
    besides = {one.preferred.id for one in waiting if one.preferred is not None}
    standings = _standings(connection, open_channel_id, sorted(besides))
    roster = [one for one in standings if one.position is not None]
    obstacles = Counter(one.obstacle for one in roster if one.obstacle is not None)
    free = len(roster) - obstacles.total()
    return BacklogView(
        open_channel=Reference(open_channel_id, name),
        active=active,
        distribution=settings.distribution,
        check_availability=settings.check_availability,
        now=now,
        queued=queued,
        offered=offered,
        next_try_at=next_try_at,
        verdict=_verdict(queued, offered, len(roster), free, obstacles),
        free=free,
        obstacles=dict(obstacles.most_common()),
        dialogs=waiting,
        operators=standings,
    )


def _verdict(queued: int, offered: int, on_roster: int, free: int, obstacles: Counter[PassedOver]) -> Verdict:
    if not queued and not offered:
        return Verdict.NOTHING_WAITS
    if not on_roster:
        return Verdict.NOBODY_ON_ROSTER
    if free:
        return Verdict.BEING_DISTRIBUTED if queued else Verdict.OFFERED
    full = obstacles[PassedOver.AT_LIMIT] + obstacles[PassedOver.AT_PERSONAL_LIMIT]
    return Verdict.ALL_AT_LIMIT if full else Verdict.NOBODY_AVAILABLE


def _waiting(connection: Connection, open_channel_id: int, limit: int, dialog_id: int | None) -> list[Waiting]:
    rows = connection.execute(
        SQL["waiting"], {"open_channel_id": open_channel_id, "limit": limit, "dialog_id": dialog_id}
    ).fetchall()
    known = names(connection, {operator_id for row in rows for operator_id in row[9]})
    return [
        Waiting(
            id=row[0],
            status=DialogStatus(row[1]),
            customer=row[2],
            chat_id=row[3],
            channel_key=row[4],
            created_at=row[5],
            waiting_since=row[6],
            preferred=reference(*row[7:9]),
            let_pass=[Reference(operator_id, known[operator_id]) for operator_id in row[9]],
            noticed_at=row[10],
        )
        for row in rows
    ]


def _standings(connection: Connection, open_channel_id: int, besides: list[int]) -> list[OperatorNow]:
    rows = connection.execute(SQL["standings"], {"open_channel_id": open_channel_id, "besides": besides}).fetchall()
    return [_standing(row) for row in rows]


def _standing(row: tuple[Any, ...]) -> OperatorNow:
    operator_id, name, position, availability, since, seen_at, load, limit, personal_load, personal_limit, checks = row
    as_planned = RosterOperator(
        operator_id=operator_id,
        position=0,
        turn=0,
        held=load,
        limit=limit,
        personal_held=personal_load,
        personal_limit=personal_limit,
        unavailable=None if availability == Availability.AVAILABLE else PassedOver(availability),
    )
    return OperatorNow(
        operator=Reference(operator_id, name),
        position=position,
        availability=Availability(availability),
        since=since,
        seen_at=seen_at,
        load=load,
        limit=limit,
        personal_load=personal_load,
        personal_limit=personal_limit,
        obstacle=as_planned.ineligible(checks),
    )

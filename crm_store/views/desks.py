"""Operators and open channels."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crm_store import desks
from crm_store.chats import read_settings
from crm_store.database import Connection
from crm_store.views import SQL, Reference
from tracker.access import Role, Scope
from tracker.channels import OpenChannelSettings
from tracker.presence import Availability, Workday


@dataclass(frozen=True, slots=True)
class OperatorLoad:
    """Dialogs of an operator on one open channel. open: all that he has. counted: against the limit (D7)."""

    open_channel: Reference
    open: int
    counted: int
    limit: int | None


@dataclass(frozen=True, slots=True)
class OperatorView:
    """An operator. scope: null is the default of his role. availability: whether he may be given dialogs (D6).

    online: he said so, and was heard of in time. workday: counts where time_tracking is on. counted: over all open
    channels (D7).
    """

    id: int
    name: str
    role: Role
    scope: Scope | None
    availability: Availability
    online: bool
    away: bool
    time_tracking: bool
    workday: Workday
    seen_at: datetime | None
    dismissed_at: datetime | None
    personal_limit: int | None
    open: int
    counted: int
    loads: list[OperatorLoad]


@dataclass(frozen=True, slots=True)
class RosterPlace:
    """An operator in his place of a roster, departments expanded (D1). availability, online: as of an operator."""

    operator: Reference
    availability: Availability
    online: bool
    dismissed: bool


@dataclass(frozen=True, slots=True)
class Backlog:
    """What has no operator yet (D4, D8). oldest_at: since when the oldest of it has waited."""

    queued: int = 0
    offered: int = 0
    oldest_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FeedingChannel:
    """A channel that feeds an open channel."""

    id: int
    key: str
    kind: str
    name: str
    active: bool


@dataclass(frozen=True, slots=True)
class OpenChannelView:
    """An open channel: the desk behind channels. dialogs: the open ones, by status."""

    id: int
    name: str
    active: bool
    settings: OpenChannelSettings
    channels: list[FeedingChannel]
    roster: list[RosterPlace]
    backlog: Backlog
    dialogs: dict[str, int]


def operators(connection: Connection, operator_id: int | None = None) -> list[OperatorView]:
    """All operators, or one, with presence and loads."""
    loads: dict[int, list[OperatorLoad]] = {}
    for holder_id, open_channel_id, name, held, counted, limit in connection.execute(
        SQL["loads"], {"operator_id": operator_id}
    ).fetchall():
        loads.setdefault(holder_id, []).append(OperatorLoad(Reference(open_channel_id, name), held, counted, limit))
    rows = connection.execute(
        SQL["operators"], {"operator_id": operator_id, "heartbeat_limit": desks.HEARTBEAT_LIMIT}
    ).fetchall()
    return [_operator(row, loads.get(row[0], [])) for row in rows]


def open_channels(connection: Connection) -> list[OpenChannelView]:
    """All open channels with settings, channels, roster and backlog."""
    rows = connection.execute(SQL["open_channels"]).fetchall()
    rosters: dict[int, list[RosterPlace]] = {}
    limit = {"heartbeat_limit": desks.HEARTBEAT_LIMIT}
    for open_channel_id, *place in connection.execute(SQL["roster_places"], limit).fetchall():
        rosters.setdefault(open_channel_id, []).append(_place(*place))
    channels: dict[int, list[FeedingChannel]] = {}
    for open_channel_id, *channel in connection.execute(SQL["channels"]).fetchall():
        channels.setdefault(open_channel_id, []).append(FeedingChannel(*channel))
    backlogs = {row[0]: Backlog(*row[1:]) for row in connection.execute(SQL["backlogs"]).fetchall()}
    counts: dict[int, dict[str, int]] = {}
    for open_channel_id, status, count in connection.execute(SQL["open_dialogs"]).fetchall():
        counts.setdefault(open_channel_id, {})[status] = count
    return [
        OpenChannelView(
            id=open_channel_id,
            name=name,
            active=active,
            settings=read_settings(settings),
            channels=channels.get(open_channel_id, []),
            roster=rosters.get(open_channel_id, []),
            backlog=backlogs.get(open_channel_id, Backlog()),
            dialogs=counts.get(open_channel_id, {}),
        )
        for open_channel_id, name, active, settings in rows
    ]


def _place(operator_id: int, name: str, online: bool, availability: str) -> RosterPlace:
    found = Availability(availability)
    return RosterPlace(Reference(operator_id, name), found, online, found is Availability.DISMISSED)


def _operator(row: tuple[Any, ...], loads: list[OperatorLoad]) -> OperatorView:
    return OperatorView(
        id=row[0],
        name=row[1],
        role=Role(row[2]),
        scope=None if row[3] is None else Scope(row[3]),
        availability=Availability(row[4]),
        online=row[5],
        away=row[6],
        time_tracking=row[7],
        workday=Workday(row[8]),
        seen_at=row[9],
        dismissed_at=row[10],
        personal_limit=row[11],
        open=sum(load.open for load in loads),
        counted=sum(load.counted for load in loads),
        loads=loads,
    )

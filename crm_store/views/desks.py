"""Operators and open channels."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crm_store import desks
from crm_store.chats import read_settings
from crm_store.database import Connection
from crm_store.views import SQL, Reference, names
from tracker.channels import OpenChannelSettings


@dataclass(frozen=True, slots=True)
class OperatorLoad:
    """Dialogs of an operator on one open channel. open: all that he has. counted: against the limit (D7)."""

    open_channel: Reference
    open: int
    counted: int
    limit: int | None


@dataclass(frozen=True, slots=True)
class OperatorView:
    """An operator. online: he said so, and was heard of in time (D6). counted: over all open channels (D7)."""

    id: int
    name: str
    online: bool
    seen_at: datetime | None
    dismissed_at: datetime | None
    personal_limit: int | None
    open: int
    counted: int
    loads: list[OperatorLoad]


@dataclass(frozen=True, slots=True)
class RosterPlace:
    """An operator in his place of a roster, departments expanded (D1)."""

    operator: Reference
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
    rosters = desks.read_rosters(connection, [row[0] for row in rows])
    operator_ids = {row.operator_id for roster in rosters.values() for row in roster}
    known = names(connection, operator_ids)
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
            roster=[
                RosterPlace(Reference(place.operator_id, known[place.operator_id]), place.online, place.dismissed)
                for place in rosters.get(open_channel_id, ())
            ],
            backlog=backlogs.get(open_channel_id, Backlog()),
            dialogs=counts.get(open_channel_id, {}),
        )
        for open_channel_id, name, active, settings in rows
    ]


def _operator(row: tuple[Any, ...], loads: list[OperatorLoad]) -> OperatorView:
    return OperatorView(
        id=row[0],
        name=row[1],
        online=row[2],
        seen_at=row[3],
        dismissed_at=row[4],
        personal_limit=row[5],
        open=sum(load.open for load in loads),
        counted=sum(load.counted for load in loads),
        loads=loads,
    )

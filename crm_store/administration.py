"""What administrators read and change: open channels, rosters, departments, operators, channels.

Every change begins with `take_turn`: administrators act one after the other, so that what one of them has read stays
true until he commits. Then open channels are locked, then operators.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from crm_store import desks, dialogs, seats, timers
from crm_store.chats import read_settings
from crm_store.database import Connection
from crm_store.desks import ChannelTakenError, RosterMember
from crm_store.queries import Queries
from tracker.access import Role, Scope
from tracker.channels import OpenChannelSettings
from tracker.dialogs import DialogStatus
from tracker.presence import Availability

_SQL = Queries("administration")


@dataclass(frozen=True, slots=True)
class KnownOperator:
    """An operator as he is. token_hash: None if he has no token. scope: None is the default of his role.

    time_tracking: his workday counts, not whether he is online (D6).
    """

    id: int
    name: str
    personal_limit: int | None
    token_hash: bytes | None
    dismissed: bool
    role: Role = Role.OPERATOR
    scope: Scope | None = None
    time_tracking: bool = False
    availability: Availability = Availability.OFFLINE


@dataclass(frozen=True, slots=True)
class KnownDepartment:
    """A department as it is. members: ids of operators in order. supervisors: ids, in no order."""

    id: int
    name: str
    members: tuple[int, ...]
    supervisors: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownOpenChannel:
    """An open channel as it is, departments of its roster not expanded."""

    id: int
    name: str
    active: bool
    settings: OpenChannelSettings
    roster: tuple[RosterMember, ...]


@dataclass(frozen=True, slots=True)
class KnownChannel:
    """A channel as it is. sealed: its secrets, encrypted."""

    id: int
    key: str
    kind: str
    name: str
    open_channel_id: int
    account_id: str
    region: str | None
    sealed: bytes
    config: Mapping[str, Any]
    active: bool


@dataclass(frozen=True, slots=True)
class Known:
    """All that there is: open channels, departments and operators by name, channels by key, oldest first."""

    open_channels: Mapping[str, KnownOpenChannel]
    departments: Mapping[str, KnownDepartment]
    operators: Mapping[str, KnownOperator]
    channels: Mapping[str, KnownChannel]


def take_turn(connection: Connection) -> None:
    """Wait for other administrators; held to the end of the transaction. Before any other lock."""
    connection.execute(_SQL["take_turn"])


def read(connection: Connection) -> Known:
    """Everything as it is now."""
    rosters: dict[int, list[RosterMember]] = {}
    for open_channel_id, operator_id, department_id in connection.execute(_SQL["rosters"]).fetchall():
        rosters.setdefault(open_channel_id, []).append(RosterMember(operator_id, department_id))
    open_channels = (
        KnownOpenChannel(row_id, name, active, read_settings(settings), tuple(rosters.get(row_id, ())))
        for row_id, name, active, settings in connection.execute(_SQL["open_channels"]).fetchall()
    )
    departments = (
        KnownDepartment(row_id, name, tuple(members), tuple(supervisors))
        for row_id, name, members, supervisors in connection.execute(_SQL["departments"]).fetchall()
    )
    operators = (_operator(row) for row in connection.execute(_SQL["operators"]).fetchall())
    return Known(
        {one.name: one for one in open_channels},
        {one.name: one for one in departments},
        {one.name: one for one in operators},
        {one.key: one for one in (KnownChannel(*row) for row in connection.execute(_SQL["channels"]).fetchall())},
    )


def _operator(row: TupleRow) -> KnownOperator:
    operator_id, name, personal_limit, token_hash, dismissed, role, scope, time_tracking, availability = row
    return KnownOperator(
        operator_id,
        name,
        personal_limit,
        token_hash,
        dismissed=dismissed,
        role=Role(role),
        scope=None if scope is None else Scope(scope),
        time_tracking=time_tracking,
        availability=Availability(availability),
    )


def lock(connection: Connection, open_channel_ids: Sequence[int], operator_ids: Sequence[int]) -> None:
    """Lock what is about to be changed, open channels first."""
    desks.lock_open_channels(connection, open_channel_ids)
    desks.lock_operators(connection, operator_ids)


def write_open_channel(connection: Connection, name: str, settings: OpenChannelSettings, *, active: bool) -> int:
    """Make an open channel, or change a locked one; returns its id."""
    given = Jsonb(settings.model_dump(mode="json", exclude_defaults=True))
    return desks.row_id(
        connection.execute(_SQL["write_open_channel"], {"name": name, "active": active, "settings": given})
    )


def write_operator(connection: Connection, row: KnownOperator) -> int:
    """Make an operator, or change a locked one, by his name (the id is not used); returns his id.

    What follows from it is `presence.settle`.
    """
    return desks.row_id(
        connection.execute(
            _SQL["write_operator"],
            {
                "name": row.name,
                "personal_limit": row.personal_limit,
                "token_hash": row.token_hash,
                "dismissed": row.dismissed,
                "role": row.role,
                "scope": row.scope,
                "time_tracking": row.time_tracking,
            },
        )
    )


def write_supervisors(connection: Connection, department_id: int, operator_ids: Collection[int]) -> None:
    """Who supervises a department."""
    parameters = {"department_id": department_id, "operator_ids": sorted(operator_ids)}
    connection.execute(_SQL["remove_supervisors"], parameters)
    connection.execute(_SQL["add_supervisors"], parameters)


def write_channels(connection: Connection, channels: Sequence[KnownChannel]) -> None:
    """Make or change channels by their keys (ids are not used). They may change places.

    Raises ChannelTakenError if an open channel has two channels of a kind in the end.
    """
    connection.execute(_SQL["defer_kinds"])
    for channel in channels:
        connection.execute(
            _SQL["write_channel"],
            {
                "key": channel.key,
                "kind": channel.kind,
                "name": channel.name,
                "open_channel_id": channel.open_channel_id,
                "account_id": channel.account_id,
                "region": channel.region,
                "sealed": channel.sealed,
                "config": Jsonb(dict(channel.config)),
                "active": channel.active,
            },
        )
    try:
        connection.execute(_SQL["check_kinds"])
    except psycopg.errors.UniqueViolation as error:
        raise ChannelTakenError("an open channel has at most one channel of a kind") from error


def write_secrets(connection: Connection, key: str, sealed: bytes) -> None:
    """Replace a channel's secrets."""
    connection.execute(_SQL["write_secrets"], {"key": key, "sealed": sealed})


def set_channel_active(connection: Connection, key: str, *, active: bool) -> None:
    """Take webhooks of a channel, or refuse them."""
    connection.execute(_SQL["set_channel_active"], {"key": key, "active": active})


def welcome(connection: Connection, open_channel_ids: Sequence[int]) -> None:
    """These locked open channels have changed, or operators with them: what waits anywhere is tried (D8).

    Anywhere, because a limit counts over all open channels. What was offered where nothing is offered any more waits.
    """
    offered = connection.execute(_SQL["no_more_offered"], {"open_channel_ids": list(open_channel_ids)}).fetchall()
    withdrawn = list(dialogs.lock_some(connection, [row[0] for row in offered]).values())
    dialogs.queue(connection, [one for one in withdrawn if one.status is DialogStatus.OFFERED], "system", "settings")
    waiting = {row[0] for row in connection.execute(_SQL["waiting_anywhere"]).fetchall()}
    seats.wake_all(connection, waiting.union(open_channel_ids))
    timers.set_backlogs(connection, waiting.union(open_channel_ids), 0.0)


def dismiss(connection: Connection, operator_id: int) -> None:
    """A locked operator gets no more dialogs, and his token is void (D6). `presence.settle` hands back what he has."""
    connection.execute(_SQL["dismiss"], {"operator_id": operator_id})

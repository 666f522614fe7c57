"""Open channels, their rosters and operators, and the channels that feed them."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import psycopg
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from crm_store import planning, returning, seats
from crm_store.chats import read_settings
from crm_store.database import Connection
from crm_store.errors import StoreError
from crm_store.queries import Queries
from crm_store.secrets import SecretBox, SecretKeyError
from tracker.access import Role, Scope
from tracker.channels import Channel, OpenChannelSettings

_SQL = Queries("desks")

HEARTBEAT_LIMIT = 60.0
"""Seconds after which an operator who has not been heard of is offline (D6)."""


class ChannelTakenError(StoreError):
    """The open channel has a channel of this kind already; two WhatsApp numbers need two open channels."""

    reason = "channel_taken"


@dataclass(frozen=True, slots=True)
class LockedOpenChannel:
    """An open channel whose distribution this transaction decides alone.

    turn: automatic assignments so far. seats: operators on its roster. drowsy: it is long ago that all of them were
    looked at.
    """

    id: int
    settings: OpenChannelSettings
    turn: int
    seats: int
    active: bool
    drowsy: bool = False


@dataclass(frozen=True, slots=True)
class RosterRow:
    """An operator in his place of the roster. online: he may be given dialogs; availability: or why not (D6)."""

    open_channel_id: int
    operator_id: int
    dismissed: bool
    online: bool
    personal_limit: int | None
    availability: str


@dataclass(frozen=True, slots=True)
class KnownCaller:
    """Whose token it is. scope: None is the default of his role."""

    id: int
    name: str
    role: Role
    scope: Scope | None


@dataclass(frozen=True, slots=True)
class RosterMember:
    """An entry of a roster: exactly one of both is given (D1)."""

    operator_id: int | None = None
    department_id: int | None = None


def read_channels(connection: Connection, box: SecretBox) -> list[Channel]:
    """All channels, with their secrets in the clear; one whose secrets cannot be read spoils none of the others."""
    return [_channel(row, box) for row in connection.execute(_SQL["all_channels"]).fetchall()]


def _channel(row: TupleRow, box: SecretBox) -> Channel:
    channel_id, key, kind, name, open_channel_id, account_id, region, sealed, config, active = row
    secrets: tuple[str, ...] = ()
    unreadable = False
    try:
        secrets = box.open(sealed)
    except SecretKeyError:
        unreadable = True
    return Channel(
        id=channel_id,
        key=key,
        kind=kind,
        name=name,
        open_channel_id=open_channel_id,
        account_id=account_id,
        region=region,
        secrets=secrets,
        config=config,
        active=active,
        unreadable=unreadable,
    )


def put_open_channel(connection: Connection, name: str, settings: OpenChannelSettings) -> int:
    """Make or change an open channel; returns its id."""
    given = settings.model_dump(mode="json", exclude_defaults=True)
    return row_id(connection.execute(_SQL["upsert_open_channel"], {"name": name, "settings": Jsonb(given)}))


def put_operator(connection: Connection, name: str, token_hash: bytes | None, personal_limit: int | None = None) -> int:
    """Make or change an operator; returns his id."""
    parameters = {"name": name, "token_hash": token_hash, "personal_limit": personal_limit}
    return row_id(connection.execute(_SQL["upsert_operator"], parameters))


def put_department(connection: Connection, name: str, operator_ids: Sequence[int]) -> int:
    """Make or change a department with its members in order, on every roster where it stands; returns its id."""
    department_id = row_id(connection.execute(_SQL["upsert_department"], {"name": name}))
    rosters = [row[0] for row in connection.execute(_SQL["rosters_of_department"], {"department_id": department_id})]
    lock_open_channels(connection, rosters)
    connection.execute(_SQL["clear_department"], {"department_id": department_id})
    connection.execute(
        _SQL["insert_department_members"], {"department_id": department_id, "operator_ids": list(operator_ids)}
    )
    seat(connection, rosters)
    return department_id


def put_channel(connection: Connection, channel: Channel, box: SecretBox) -> int:
    """Make or change a channel by its key (`channel.id` is not used); returns its id.

    Raises ChannelTakenError if its open channel has another channel of this kind.
    """
    try:
        cursor = connection.execute(
            _SQL["upsert_channel"],
            {
                "key": channel.key,
                "kind": channel.kind,
                "name": channel.name,
                "open_channel_id": channel.open_channel_id,
                "account_id": channel.account_id,
                "region": channel.region,
                "secrets": box.seal(channel.secrets),
                "config": Jsonb(dict(channel.config)),
            },
        )
    except psycopg.errors.UniqueViolation as error:
        raise ChannelTakenError(
            f"channel {channel.key!r}: its open channel has a {channel.kind} channel already; "
            "give this one an open channel of its own"
        ) from error
    return row_id(cursor)


def put_roster(connection: Connection, open_channel_id: int, members: Sequence[RosterMember]) -> None:
    """Replace the roster of an open channel. Who joins counts from now on (D2)."""
    lock_open_channels(connection, [open_channel_id])
    connection.execute(_SQL["clear_roster"], {"open_channel_id": open_channel_id})
    connection.execute(
        _SQL["insert_roster"],
        {
            "open_channel_id": open_channel_id,
            "operator_ids": [member.operator_id for member in members],
            "department_ids": [member.department_id for member in members],
        },
    )
    seat(connection, [open_channel_id])


def seat(connection: Connection, open_channel_ids: Collection[int]) -> None:
    """The rosters of locked open channels hold from now on, and what waits is tried (D8).

    Whoever is off one loses his dialogs of it (D11).
    """
    slots: list[seats.Slot] = []
    for removed in seats.seat(connection, open_channel_ids):
        here = [removed.open_channel_id]
        _, freed = returning.take_back(
            connection, removed.operator_id, "system", "off_roster", everything=True, open_channel_ids=here
        )
        slots += freed
    seats.wake_all(connection, open_channel_ids)
    waiting = [place for place in open_channel_ids if planning.waits_on(connection, place)]
    seats.free_slots(connection, slots, waiting)


def lock_open_channels(connection: Connection, open_channel_ids: Collection[int]) -> list[LockedOpenChannel]:
    """Lock open channels, ascending: their distribution is decided by one transaction at a time."""
    rows = connection.execute(_SQL["lock_open_channels"], {"open_channel_ids": sorted(open_channel_ids)}).fetchall()
    return [LockedOpenChannel(row[0], read_settings(row[1]), *row[2:]) for row in rows]


def lock_free_open_channels(connection: Connection, open_channel_ids: Collection[int]) -> list[LockedOpenChannel]:
    """Those of these open channels that nobody has at the moment, locked."""
    rows = connection.execute(
        _SQL["lock_free_open_channels"], {"open_channel_ids": sorted(open_channel_ids)}
    ).fetchall()
    return [LockedOpenChannel(row[0], read_settings(row[1]), *row[2:]) for row in rows]


def read_rosters(connection: Connection, open_channel_ids: Iterable[int]) -> dict[int, list[RosterRow]]:
    """Rosters in order, departments expanded (D1), by open channel id."""
    rows = connection.execute(_SQL["roster"], {"open_channel_ids": sorted(open_channel_ids)}).fetchall()
    members = (RosterRow(*row) for row in rows)
    return {
        open_channel_id: list(roster)
        for open_channel_id, roster in groupby(members, key=lambda member: member.open_channel_id)
    }


def first_active(connection: Connection, open_channel_ids: Collection[int]) -> dict[int, int]:
    """The first operator of each roster who is not dismissed, by open channel id (C4)."""
    parameters = {"open_channel_ids": sorted(open_channel_ids)}
    return dict(connection.execute(_SQL["first_active"], parameters).fetchall())


def lock_operators(connection: Connection, operator_ids: Collection[int]) -> None:
    """Lock operators, ascending."""
    connection.execute(_SQL["lock_operators"], {"operator_ids": sorted(operator_ids)})


def gone(connection: Connection, operator_ids: Collection[int]) -> set[int]:
    """Those of these operators who are not there: not merely away, paused or at a limit (D11)."""
    rows = connection.execute(_SQL["gone"], {"operator_ids": sorted(operator_ids)}).fetchall()
    return {row[0] for row in rows}


def set_open_channel_turn(connection: Connection, open_channel_id: int, turn: int) -> None:
    """Note how many automatic assignments a locked open channel has had."""
    connection.execute(_SQL["set_open_channel_turn"], {"open_channel_id": open_channel_id, "turn": turn})


def operator_by_token(connection: Connection, token_hash: bytes) -> KnownCaller | None:
    """The operator with this token, unless he was dismissed."""
    row = connection.execute(_SQL["operator_by_token"], {"token_hash": token_hash}).fetchone()
    if row is None:
        return None
    operator_id, name, role, scope = row
    return KnownCaller(operator_id, name, Role(role), None if scope is None else Scope(scope))


def set_online(connection: Connection, operator_id: int, *, online: bool) -> None:
    """The operator comes or goes (D6)."""
    connection.execute(_SQL["set_online"], {"operator_id": operator_id, "online": online})


def heartbeat(connection: Connection, operator_id: int) -> bool:
    """The operator is still there; False if he is not online."""
    return connection.execute(_SQL["heartbeat"], {"operator_id": operator_id}).rowcount > 0


def settings_of(connection: Connection, open_channel_ids: Collection[int]) -> dict[int, OpenChannelSettings]:
    """Settings of open channels by id, without locks."""
    rows = connection.execute(_SQL["settings_of"], {"open_channel_ids": sorted(open_channel_ids)}).fetchall()
    return {open_channel_id: read_settings(settings) for open_channel_id, settings in rows}


def open_channels_of(connection: Connection, operator_id: int) -> list[int]:
    """Open channels on whose rosters the operator stands, and where dialogs wait that prefer him (D9)."""
    rows = connection.execute(_SQL["open_channels_of_operator"], {"operator_id": operator_id}).fetchall()
    return [row[0] for row in rows]


def row_id(cursor: psycopg.Cursor[tuple[int, ...]]) -> int:
    """The id that a RETURNING gives."""
    row = cursor.fetchone()
    assert row is not None  # noqa: S101  RETURNING
    return row[0]

"""Seats: the operators of an open channel in the order of the policy, read only as far as a plan needs."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from crm_store.database import Connection
from crm_store.queries import Queries
from tracker.channels import OpenChannelSettings
from tracker.distribution import PassedOver, RosterOperator

_SQL = Queries("seats")

AVAILABLE = "available"

LEAST_READ = 32
"""Seats that are read at once, at least."""


class Order(StrEnum):
    """In which the seats are read: D2 for first assignments, D2 for all others, D3 and D4."""

    TURN = "by_turn"
    GIVEN = "by_given"
    POSITION = "by_position"


@dataclass(frozen=True, slots=True)
class Removal:
    """An operator who is on the roster no more (D11)."""

    open_channel_id: int
    operator_id: int


def seat(connection: Connection, open_channel_ids: Collection[int]) -> list[Removal]:
    """Seat the rosters of locked open channels as they are now; who joins counts from now on (D2).

    Returns who has lost his seat.
    """
    parameters = {"open_channel_ids": sorted(open_channel_ids)}
    removed = connection.execute(_SQL["unseat"], parameters).fetchall()
    connection.execute(_SQL["seat"], parameters)
    connection.execute(_SQL["count"], parameters)
    return [Removal(*row) for row in removed]


def read(
    connection: Connection, open_channel_id: int, settings: OpenChannelSettings, order: Order, wanted: int
) -> list[RosterOperator]:
    """The seats of an open channel in this order, up to the `wanted`th eligible operator; all if there are fewer."""
    found: list[RosterOperator] = []
    eligible = 0
    for operators in _pages(connection, open_channel_id, settings, order, max(wanted, LEAST_READ)):
        for operator in operators:
            found.append(operator)
            eligible += operator.ineligible(settings.check_availability) is None
            if eligible == wanted:
                return found
    return found


def _pages(
    connection: Connection, open_channel_id: int, settings: OpenChannelSettings, order: Order, limit: int
) -> Iterator[list[RosterOperator]]:
    after = (-1, -1)
    parameters = {
        "open_channel_id": open_channel_id,
        "max_dialogs": settings.max_dialogs,
        "counted": settings.counted,
        "limit": limit,
    }
    while True:
        rows = connection.execute(_SQL[order], {**parameters, "after": after[0], "place": after[1]}).fetchall()
        operators = [_operator(row, settings) for row in rows]
        yield operators
        if len(operators) < limit:
            return
        last = operators[-1]
        after = ({Order.TURN: last.turn, Order.GIVEN: last.given, Order.POSITION: 0}[order], last.position)


def read_some(
    connection: Connection, open_channel_id: int, settings: OpenChannelSettings, operator_ids: Collection[int]
) -> dict[int, RosterOperator]:
    """Certain operators by id as they stand now. Who has no seat here has position -1."""
    rows = connection.execute(
        _SQL["some"],
        {
            "open_channel_id": open_channel_id,
            "max_dialogs": settings.max_dialogs,
            "counted": settings.counted,
            "operator_ids": sorted(operator_ids),
        },
    ).fetchall()
    return {row[0]: _operator(row, settings) for row in rows}


def set_turns(connection: Connection, open_channel_id: int, turns: Mapping[int, tuple[int, int]]) -> None:
    """Note when operators of a locked open channel were given dialogs (D2). Who has no seat has no turn."""
    connection.execute(
        _SQL["set_turns"],
        {
            "open_channel_id": open_channel_id,
            "operator_ids": list(turns),
            "turns": [turn for turn, _ in turns.values()],
            "givens": [given for _, given in turns.values()],
        },
    )


def _operator(row: Sequence[int | str | None], settings: OpenChannelSettings) -> RosterOperator:
    operator_id, position, turn, given, availability, personal_limit, held, personal_held = row
    return RosterOperator(
        operator_id=operator_id,  # type: ignore[arg-type]
        position=position,  # type: ignore[arg-type]
        turn=turn,  # type: ignore[arg-type]
        given=given,  # type: ignore[arg-type]
        held=held,  # type: ignore[arg-type]
        limit=settings.max_dialogs,
        personal_held=personal_held,  # type: ignore[arg-type]
        personal_limit=personal_limit,  # type: ignore[arg-type]
        unavailable=None if availability == AVAILABLE else PassedOver(str(availability)),
    )

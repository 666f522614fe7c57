"""Seats: the operators of an open channel in the order of the policy, read only as far as a plan needs.

On a large roster, whoever could not be given anything rests: he is not looked at again until something changes for him
(`wake`), and in any case every two minutes. So a plan costs the same with ten operators and with thousands, all busy.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from psycopg.rows import TupleRow

from crm_store import timers
from crm_store.database import Connection
from crm_store.queries import Queries
from tracker.channels import OpenChannelSettings
from tracker.distribution import PassedOver, RosterOperator

_SQL = Queries("seats")

AVAILABLE = "available"

LEAST_READ = 32
"""Seats that are read at once, at least."""

SMALL = 50
"""Seats of a roster that is read whole for each plan, so that a decision names everybody who was passed over."""


class Order(StrEnum):
    """In which the seats are read: D2 for first assignments, D2 for all others, D3 and D4."""

    TURN = "by_turn"
    GIVEN = "by_given"
    POSITION = "by_position"


Slot = tuple[int, int]
"""An operator, and the open channel of the dialog that he has no more, or that counts no more."""


@dataclass(frozen=True, slots=True)
class Seated:
    """Operators as they were read. wakes: by operator, to tell whether something has changed for him since."""

    operators: list[RosterOperator] = field(default_factory=list)
    wakes: dict[int, int] = field(default_factory=dict)

    def joined(self, other: "Seated") -> "Seated":
        """Both together, each operator once."""
        operators = {one.operator_id: one for one in (*self.operators, *other.operators)}
        return Seated(list(operators.values()), other.wakes | self.wakes)


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
    connection: Connection,
    open_channel_id: int,
    settings: OpenChannelSettings,
    order: Order,
    wanted: int,
    *,
    everybody: bool = True,
) -> Seated:
    """The seats of an open channel in this order, up to the `wanted`th eligible operator; all if there are fewer.

    everybody: those who rest, too.
    """
    found = Seated()
    eligible = 0
    for rows in _pages(connection, open_channel_id, settings, order, max(wanted, LEAST_READ), everybody=everybody):
        for row in rows:
            operator = _operator(row, settings)
            found.operators.append(operator)
            found.wakes[operator.operator_id] = row[4]
            eligible += operator.ineligible(settings.check_availability) is None
            if eligible == wanted:
                return found
    return found


def first(
    connection: Connection, open_channel_id: int, settings: OpenChannelSettings, limit: int
) -> list[RosterOperator]:
    """The first `limit` of the roster, eligible or not."""
    pages = _pages(connection, open_channel_id, settings, Order.POSITION, limit, everybody=True)
    return [_operator(row, settings) for row in next(pages)]


def _pages(
    connection: Connection,
    open_channel_id: int,
    settings: OpenChannelSettings,
    order: Order,
    limit: int,
    *,
    everybody: bool,
) -> Iterator[list[TupleRow]]:
    after, place = -1, -1
    parameters = {
        "open_channel_id": open_channel_id,
        "max_dialogs": settings.max_dialogs,
        "counted": settings.counted,
        "limit": limit,
        "everybody": everybody,
    }
    while True:
        rows = connection.execute(_SQL[order], {**parameters, "after": after, "place": place}).fetchall()
        yield rows
        if len(rows) < limit:
            return
        _, place, turn, given, *_ = rows[-1]
        after = {Order.TURN: turn, Order.GIVEN: given, Order.POSITION: 0}[order]


def read_some(
    connection: Connection, open_channel_id: int, settings: OpenChannelSettings, operator_ids: Collection[int]
) -> Seated:
    """Certain operators as they stand now. Who has no seat here has position -1."""
    rows = connection.execute(
        _SQL["some"],
        {
            "open_channel_id": open_channel_id,
            "max_dialogs": settings.max_dialogs,
            "counted": settings.counted,
            "operator_ids": sorted(operator_ids),
        },
    ).fetchall()
    return Seated([_operator(row, settings) for row in rows], {row[0]: row[4] for row in rows})


def rest(connection: Connection, open_channel_id: int, wakes: Mapping[int, int]) -> None:
    """These operators could not be given anything when they were read, so by operator their `wakes` of then."""
    if wakes:
        parameters = {"open_channel_id": open_channel_id, "operator_ids": list(wakes), "wakes": list(wakes.values())}
        connection.execute(_SQL["rest"], parameters)


def wake(connection: Connection, operator_ids: Collection[int]) -> None:
    """Something has changed for these operators: they may be able to have dialogs."""
    connection.execute(_SQL["wake"], {"operator_ids": sorted(operator_ids), "small": SMALL})


def free_slots(connection: Connection, slots: Collection[Slot], also: Collection[int] = ()) -> None:
    """Operators have room again: what waits where they can be given more is due (D7, D8). also: open channels besides.

    Once in a transaction, and last: seats, then backlogs, each in their order, are locked after all else.
    """
    for_places = places_of(connection, slots) if slots else set()
    timers.set_backlogs(connection, for_places | set(also), 0.0)


def places_of(connection: Connection, slots: Collection[Slot]) -> set[int]:
    """Wake the seats that these slots are of, and return the open channels whose backlogs may use them."""
    given = {"operator_ids": [who for who, _ in slots], "open_channel_ids": [place for _, place in slots]}
    connection.execute(_SQL["wake_slots"], {**given, "small": SMALL})
    return {row[0] for row in connection.execute(_SQL["places_of_slots"], given).fetchall()}


def wake_all(connection: Connection, open_channel_ids: Collection[int]) -> None:
    """Something has changed for everybody on these locked open channels, or it is time to look at all of them."""
    parameters = {"open_channel_ids": sorted(open_channel_ids)}
    connection.execute(_SQL["wake_all"], parameters)
    connection.execute(_SQL["set_woken"], parameters)


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


def _operator(row: TupleRow, settings: OpenChannelSettings) -> RosterOperator:
    operator_id, position, turn, given, _, availability, personal_limit, held, personal_held = row
    return RosterOperator(
        operator_id=operator_id,
        position=position,
        turn=turn,
        given=given,
        held=held,
        limit=settings.max_dialogs,
        personal_held=personal_held,
        personal_limit=personal_limit,
        unavailable=None if availability == AVAILABLE else PassedOver(availability),
    )

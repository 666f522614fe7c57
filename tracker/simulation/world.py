"""The desk while it is simulated: dialogs, operators and open channels, and who holds how many."""

import heapq
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from tracker.channels import Counted, Distribution, OpenChannelSettings
from tracker.dialogs import DialogStatus
from tracker.distribution import PassedOver, RosterOperator, WaitingDialog
from tracker.simulation.figures import Tally
from tracker.simulation.recording import Absence, Arrival, Course

OFF_ROSTER = -1
"""The place of a responsible person who is not on the roster (D9)."""


@dataclass(eq=False, slots=True)
class Dialog:
    """age: its place in the order of age. edition: grows with every change that makes what was scheduled void.

    let_pass: who has lost it here, ever; passed_by: since it last began at the head (D3). progress: seconds of its
    course that are over; resumed_at: since when it goes on. step: how many changes of its course have happened.
    arrived_within: it arrived in the period, not before. due: its hand-over clock has run out.
    """

    arrival: Arrival
    desk: "Desk"
    age: int
    course: Course
    status: DialogStatus = DialogStatus.QUEUED
    holder_id: int | None = None
    edition: int = 0
    passed_by: set[int] = field(default_factory=set)
    let_pass: set[int] = field(default_factory=set)
    first: bool = True
    answered: bool = False
    counts: bool = False
    progress: float = 0.0
    resumed_at: float = 0.0
    step: int = 0
    arrived_within: bool = True
    ever_accepted: bool = False

    @property
    def waits(self) -> bool:
        """Nobody has it."""
        return self.status in (DialogStatus.QUEUED, DialogStatus.OFFERED)

    def counts_as(self) -> bool:
        """Whether it counts against its holder's limits (D7)."""
        if self.status is DialogStatus.ASSIGNED:
            return True
        match self.desk.settings.counted:
            case Counted.WITHOUT_ANSWERED:
                return not self.answered
            case Counted.WITHOUT_AWAITING_CUSTOMER:
                return self.status is not DialogStatus.AWAITING_CUSTOMER
            case Counted.WITHOUT_CLOSING:
                return self.status is not DialogStatus.CLOSING
            case Counted.ALL:
                return True

    def as_waiting(self) -> WaitingDialog:
        """As the policies see it."""
        return WaitingDialog(
            self.arrival.dialog_id,
            frozenset(self.passed_by),
            first=self.first,
            preferred_id=self.arrival.responsible_id if self.desk.settings.to_responsible else None,
            holder_id=self.holder_id,
        )


@dataclass(eq=False, slots=True)
class Operator:
    """desks: of whose rosters he is. dialogs: what he has, by id."""

    id: int
    personal_limit: int | None
    unavailable: Absence
    desks: "list[Desk]" = field(default_factory=list)
    personal_held: int = 0
    dialogs: dict[int, Dialog] = field(default_factory=dict)

    def is_full(self, desk: "Desk") -> bool:
        """Whether one of his limits is reached (D7)."""
        limit = desk.settings.max_dialogs
        if limit is not None and desk.held.get(self.id, 0) >= limit:
            return True
        return self.personal_limit is not None and self.personal_held >= self.personal_limit


@dataclass(eq=False, slots=True)
class Seat:
    """A place of a roster. full_since: since when he is available and at a limit."""

    operator: Operator
    position: int
    turn: int
    given: int
    full_since: float | None = None


@dataclass(eq=False, slots=True)
class Desk:
    """An open channel. by_turn, by_given: its seats in these orders, which are the orders of the dictionaries.

    held: dialogs that count, by operator, on the roster or not. due: those whose hand-over clock has run out.
    waiting: how many dialogs nobody has.
    """

    id: int
    settings: OpenChannelSettings
    active: bool
    turn: int
    seats: dict[int, Seat]
    by_turn: dict[int, Seat] = field(init=False)
    by_given: dict[int, Seat] = field(init=False)
    held: dict[int, int] = field(default_factory=dict)
    due: dict[int, Dialog] = field(default_factory=dict)
    waiting: int = 0
    tally: Tally = field(default_factory=Tally)
    _queue: list[tuple[int, int, Dialog]] = field(default_factory=list)
    _ready: list[tuple[int, int, Dialog]] = field(default_factory=list)

    def __post_init__(self) -> None:
        seats = self.seats.values()
        self.by_turn = {one.operator.id: one for one in sorted(seats, key=lambda seat: (seat.turn, seat.position))}
        self.by_given = {one.operator.id: one for one in sorted(seats, key=lambda seat: (seat.given, seat.position))}

    # The backlog

    def queue(self, dialog: Dialog) -> None:
        """It waits, in its place by age."""
        heapq.heappush(self._queue, (dialog.age, dialog.edition, dialog))

    def oldest(self, n: int) -> list[Dialog]:
        """The oldest that are queued, at most n, oldest first."""
        return _oldest(self._queue, n, DialogStatus.QUEUED)

    def is_ready(self, dialog: Dialog) -> None:
        """Somebody would accept the offer by now, if he had room (D4)."""
        heapq.heappush(self._ready, (dialog.age, dialog.edition, dialog))

    def next_offer(self) -> Dialog | None:
        """The oldest offer that is ready."""
        return next(iter(_oldest(self._ready, 1, DialogStatus.OFFERED)), None)

    @property
    def any_queued(self) -> bool:
        """Whether anything is queued."""
        return bool(self.oldest(1))

    # The roster

    def snapshot(self, operator: Operator) -> RosterOperator:
        """An operator as the policies see him."""
        seat = self.seats.get(operator.id)
        return RosterOperator(
            operator.id,
            seat.position if seat else OFF_ROSTER,
            seat.turn if seat else 0,
            seat.given if seat else 0,
            held=self.held.get(operator.id, 0),
            limit=self.settings.max_dialogs,
            personal_held=operator.personal_held,
            personal_limit=operator.personal_limit,
            unavailable=operator.unavailable,
        )

    def has_room(self, operator: Operator) -> bool:
        """Whether he may be given a dialog here now (D6, D7)."""
        return not self.is_absent(operator) and not operator.is_full(self)

    def is_absent(self, operator: Operator) -> bool:
        """Whether he may be given nothing, whatever he holds (D6)."""
        why = operator.unavailable
        return why is not None and (self.settings.check_availability or why is PassedOver.DISMISSED)

    def slots(self, enough: int) -> int:
        """How many dialogs the roster could be given; counted up to `enough`."""
        found = 0
        for seat in self.seats.values():
            if self.has_room(seat.operator):
                found += self.snapshot(seat.operator).free
                if found >= enough:
                    return enough
        return found

    def candidates(self, dialogs: Collection[Dialog]) -> list[RosterOperator]:
        """Of the roster, in the order of the policy, as many eligible ones as a plan for these dialogs can need."""
        let_pass = set().union(*(one.passed_by for one in dialogs), *({one.holder_id} for one in dialogs))
        wanted = len(dialogs) + len(let_pass)
        found = {}
        for order in self._orders(dialogs):
            for n, seat in enumerate(self._eligible(order)):
                if n == wanted:
                    break
                found[seat.operator.id] = seat
        return [self.snapshot(seat.operator) for seat in found.values()]

    def _orders(self, dialogs: Collection[Dialog]) -> Iterator[dict[int, Seat]]:
        if self.settings.distribution is not Distribution.EVENLY:
            yield self.seats
            return
        if any(one.first for one in dialogs):
            yield self.by_turn
        if not all(one.first for one in dialogs):
            yield self.by_given

    def _eligible(self, order: dict[int, Seat]) -> Iterator[Seat]:
        return (seat for seat in order.values() if self.has_room(seat.operator))

    def note_turns(self, turns: dict[int, tuple[int, int]], turn: int) -> None:
        """The new turns of who was given something; they are later than all others'."""
        self.turn = turn
        mine = [(self.seats[one], *new) for one, new in turns.items() if one in self.seats]
        for seat, new, _ in sorted(mine, key=lambda entry: entry[1]):
            if new != seat.turn:
                seat.turn = new
                self.by_turn[seat.operator.id] = self.by_turn.pop(seat.operator.id)
        for seat, _, given in sorted(mine, key=lambda entry: entry[2]):
            seat.given = given
            self.by_given[seat.operator.id] = self.by_given.pop(seat.operator.id)


def _oldest(queue: list[tuple[int, int, Dialog]], n: int, status: DialogStatus) -> list[Dialog]:
    """The first n of a queue by age that still stand in it; they stay there."""
    entries: list[tuple[int, int, Dialog]] = []
    while queue and len(entries) < n:
        entry = heapq.heappop(queue)
        if entry[1] == entry[2].edition and entry[2].status is status:
            entries.append(entry)
    for entry in entries:
        heapq.heappush(queue, entry)
    return [dialog for _, _, dialog in entries]

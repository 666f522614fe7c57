"""Carrying out what the policies decide: for each open channel one plan for all that waits or is to be handed over.

Lock order: open channels by id (by the caller), operators with a personal limit by id (`prepare`), then dialogs and
timers (`serve`).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from crm_store import desks, events, planning, seats, timers
from crm_store.database import Connection, in_one_trip
from crm_store.desks import LockedOpenChannel
from crm_store.events import Event
from crm_store.planning import Assignment, DecisionRecord, PlannedDialog
from crm_store.seats import Order, Seated, Slot
from crm_store.timers import BacklogTimer, BacklogWish, NewClock
from tracker.channels import Distribution
from tracker.dialogs import Clock, DialogStatus
from tracker.distribution import Decision, Plan, RosterOperator, free_slots, plan

BACKLOG_RETRY = 120.0
"""Seconds after which a backlog is tried again in any case (D8)."""

MOST_AT_ONCE = 1000
"""Waiting dialogs that one plan takes; the rest is planned by the next."""

SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Demand:
    """What will ask for operators besides the present backlog.

    n: new dialogs. preferred: whom they prefer (D9). leaving: dialogs that are to lose their operators (D5, D11).
    """

    n: int = 0
    preferred: Collection[int] = ()
    leaving: Collection[int] = ()


@dataclass(frozen=True, slots=True)
class HandOver:
    """Dialogs of one open channel that are to lose their operators (D5), for what cause and by whom."""

    dialog_ids: Collection[int] = ()
    cause: str = "handover"
    actor: str = SYSTEM


NO_DEMAND = Demand()
NO_HAND_OVER = HandOver()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A locked open channel with as much of its roster as a plan can need; who has a personal limit is locked.

    backlog: its timer, read before all else. responsible: whom dialogs prefer. wakes: see `seats.Seated`. wanted: so
    many eligible operators the plan can need. cut: the roster was not read to its end, because so many were found.
    """

    desk: LockedOpenChannel
    backlog: BacklogTimer | None
    roster: Sequence[RosterOperator]
    responsible: Mapping[int, RosterOperator]
    wakes: Mapping[int, int]
    wanted: int
    cut: bool

    @property
    def is_short(self) -> bool:
        """Whether some have filled up since they were found, so that others who could have something were not read."""
        available = self.desk.settings.check_availability
        return self.cut and sum(one.ineligible(available) is None for one in self.roster) < self.wanted


@dataclass(slots=True)
class Served:
    """handed: dialogs that have changed hands. kept: those that nobody else can have. more: where more is to be done.

    freed: slots. wishes: when the backlogs are to be tried again.
    """

    handed: list[int] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    more: set[int] = field(default_factory=set)
    freed: list[Slot] = field(default_factory=list)
    wishes: list[BacklogWish] = field(default_factory=list)


def lock_and_serve(connection: Connection, open_channel_id: int) -> bool:
    """Lock one open channel and distribute what waits in it. Returns whether there is more at once."""
    locked = desks.lock_open_channels(connection, [open_channel_id])
    prepared = prepare(connection, locked, timers.backlogs(connection, [open_channel_id]))
    return bool(serve_each(connection, prepared).more)


def prepare(
    connection: Connection,
    locked: Iterable[LockedOpenChannel],
    backlogs: Mapping[int, BacklogTimer],
    demands: Mapping[int, Demand] | None = None,
) -> list[Prepared]:
    """Read the rosters of locked open channels as far as their plans can need them (D7).

    backlogs: their timers, read before anything else. demands: by open channel id.
    """
    prepared = [
        _read(connection, desk, backlogs.get(desk.id), (demands or {}).get(desk.id, NO_DEMAND)) for desk in locked
    ]
    limited = set().union(*(_limited(one) for one in prepared))
    if not limited:
        return prepared
    # They may be given dialogs elsewhere at this moment, or leave: lock, and look again.
    desks.lock_operators(connection, limited)
    return [look_again(connection, one, _limited(one)) for one in prepared]


def serve_each(
    connection: Connection,
    prepared: Sequence[Prepared],
    hand_over: HandOver = NO_HAND_OVER,
    *,
    freed: Collection[Slot] = (),
    due: Collection[int] = (),
) -> Served:
    """One plan after the other: what an operator is given by one counts for the next.

    hand_over: of the only open channel. freed, due: slots and backlogs that the caller has made free and due besides:
    they are woken and set at the end of all, with those of the plans, in one order.
    """
    served = Served(freed=list(freed))
    for place, one in enumerate(prepared):
        _serve(connection, look_again(connection, one, _limited(one)) if place else one, hand_over, served)
    at_once = seats.places_of(connection, served.freed) if served.freed else set()
    known = {wish.open_channel_id: wish for wish in served.wishes}
    for place in sorted(at_once.union(due)):
        generation = known[place].generation if place in known else None
        known[place] = BacklogWish(place, 0.0, generation)
    timers.settle_backlogs(connection, list(known.values()))
    return served


def _read(connection: Connection, desk: LockedOpenChannel, backlog: BacklogTimer | None, demand: Demand) -> Prepared:
    waiting, n_again = planning.count_waiting(connection, desk.id, MOST_AT_ONCE)
    n = min(waiting + demand.n, MOST_AT_ONCE) + 2 * len(demand.leaving)  # each of these and its holder
    if n and desk.settings.distribution is Distribution.STRICTLY:
        n += planning.most_passed(connection, desk.id, waiting, demand.leaving)
    if desk.settings.distribution is Distribution.ALL:
        n = min(n, 2)  # one who sees the offers is enough, besides a holder
    preferred = set(demand.preferred)
    if desk.settings.to_responsible:
        preferred.update(planning.preferred(connection, desk.id, demand.leaving))
    responsible = seats.read_some(connection, desk.id, desk.settings, preferred) if preferred else Seated()
    again = n_again + len(demand.leaving) > 0
    roster = _read_roster(connection, desk, n, again=again) if n else Seated()
    by_id = {one.operator_id: one for one in responsible.operators}
    found = sum(one.ineligible(desk.settings.check_availability) is None for one in roster.operators)
    cut = desk.seats > seats.SMALL and found >= n > 0
    return Prepared(desk, backlog, roster.operators, by_id, roster.wakes, n, cut)


def _read_roster(connection: Connection, desk: LockedOpenChannel, n: int, *, again: bool) -> Seated:
    """As many eligible operators, in the order of the policy, as there may be dialogs: each gets at least one.

    again: some dialogs had an operator before, and go by another order (D2). A small roster is read whole.
    """
    if desk.seats <= seats.SMALL:
        return seats.read(connection, desk.id, desk.settings, Order.POSITION, desk.seats + 1)
    if desk.drowsy:
        seats.wake_all(connection, [desk.id])

    def read(order: Order, wanted: int) -> Seated:
        return seats.read(connection, desk.id, desk.settings, order, wanted, everybody=False)

    match desk.settings.distribution:
        case Distribution.EVENLY:
            first = read(Order.TURN, n)
            return first.joined(read(Order.GIVEN, n)) if again else first
        case Distribution.STRICTLY | Distribution.ALL:
            return read(Order.POSITION, n)


def _limited(prepared: Prepared) -> set[int]:
    """Operators whose loads are changed by others than who has locked the open channel."""
    with_limit = {one.operator_id for one in prepared.roster if one.personal_limit is not None}
    return with_limit | prepared.responsible.keys()


def look_again(connection: Connection, prepared: Prepared, operator_ids: Collection[int]) -> Prepared:
    """Read anew what these operators have; others stay as they were read."""
    known = {one.operator_id for one in prepared.roster} | prepared.responsible.keys()
    wanted = known.intersection(operator_ids)
    if not wanted:
        return prepared
    read = seats.read_some(connection, prepared.desk.id, prepared.desk.settings, wanted)
    again = {one.operator_id: one for one in read.operators}
    return replace(
        prepared,
        roster=[again.get(one.operator_id, one) for one in prepared.roster],
        responsible={who: again.get(who, one) for who, one in prepared.responsible.items()},
        wakes={**prepared.wakes, **{who: read.wakes[who] for who in again if who in prepared.wakes}},
    )


def _serve(connection: Connection, prepared: Prepared, hand_over: HandOver, served: Served) -> None:
    """One plan: the backlog and what is to be handed over, oldest first, as far as there are free slots."""
    desk = prepared.desk
    waiting = _waiting(connection, prepared, len(hand_over.dialog_ids))
    passing = planning.lock_assigned(connection, desk.id, hand_over.dialog_ids) if hand_over.dialog_ids else []
    planned = {one.id: one for one in sorted((*waiting, *passing), key=lambda one: one.id)}
    placed = False
    available = desk.settings.check_availability
    spent = {one.operator_id for one in prepared.roster if one.ineligible(available) is not None}
    if planned:
        responsible = desk.settings.to_responsible
        made = plan(
            desk.settings.distribution,
            [one.waiting if responsible else replace(one.waiting, preferred_id=None) for one in planned.values()],
            prepared.roster,
            desk.turn,
            available,
            responsible=prepared.responsible.values(),
            unread=max(0, desk.seats - len(prepared.roster)),
        )
        placed = _carry_out(connection, prepared, planned, made, hand_over, served)
        spent.update(who for ids in made.full.values() for who in ids)
    if desk.seats > seats.SMALL:
        seats.rest(connection, desk.id, {who: n for who, n in prepared.wakes.items() if who in spent})
    left = planning.waits_on(connection, desk.id)
    if left and (prepared.is_short or (placed and len(waiting) >= MOST_AT_ONCE)):
        served.more.add(desk.id)
    seconds = (0.0 if desk.id in served.more else BACKLOG_RETRY) if left else None
    generation = prepared.backlog.generation if prepared.backlog else None
    served.wishes.append(BacklogWish(desk.id, seconds, generation))


def _waiting(connection: Connection, prepared: Prepared, n_leaving: int) -> list[PlannedDialog]:
    """The oldest dialogs, as many as there are slots; and those that prefer somebody who can have them (D9).

    n_leaving: dialogs that may free a slot in the plan.
    """
    desk, available = prepared.desk, prepared.desk.settings.check_availability
    slots = free_slots(prepared.roster, available)
    if desk.settings.distribution is Distribution.ALL and slots:
        slots = MOST_AT_ONCE
    able = {who: one.free for who, one in prepared.responsible.items() if one.ineligible(available) is None}
    preferring = planning.waiting_for(connection, desk.id, able, min(MOST_AT_ONCE, max(able.values()))) if able else []
    # Each of the oldest takes a slot of the roster or is among those that prefer somebody: none is overtaken (D8).
    limit = min(slots + len(preferring) + n_leaving, MOST_AT_ONCE)
    oldest = planning.waiting(connection, desk.id, limit) if limit else []
    known = {one.id for one in oldest}
    return [*oldest, *(one for one in preferring if one.id not in known)]


def _carry_out(
    connection: Connection,
    prepared: Prepared,
    planned: Mapping[int, PlannedDialog],
    made: Plan,
    hand_over: HandOver,
    served: Served,
) -> bool:
    """Write what was decided; returns whether anybody was given anything."""
    desk = prepared.desk
    changed = [one for one in made.decisions if one.offered or (one.operator_id is not None and not one.kept)]
    # What was decided from a roster that has run short is decided again, from the next of it.
    newly_kept = [
        one for one in made.decisions if one.kept and not planned[one.dialog_id].kept and not prepared.is_short
    ]
    served.kept += [one.dialog_id for one in made.decisions if one.kept]
    served.handed += [one.dialog_id for one in changed if planned[one.dialog_id].operator_id is not None]
    with in_one_trip(connection):
        if changed:
            planning.assign(connection, [_assignment(planned[one.dialog_id], one) for one in changed])
        if newly_kept:
            planning.keep(connection, [one.dialog_id for one in newly_kept])
        if changed or newly_kept:
            moved = {one.dialog_id for one in (*changed, *newly_kept)}
            told = [one for one in made.decisions if one.dialog_id in moved]  # each was decided by what the former left
            ineligible = {why.value: ids for why, ids in made.ineligible.items()}
            plan_id = planning.insert_plan(connection, desk.id, ineligible) if ineligible else None
            planning.explain(connection, [_record(planned[one.dialog_id], one, hand_over) for one in told], plan_id)
            events.log(connection, [_event(desk, planned[one.dialog_id], one, hand_over) for one in told])
        _set_clocks(connection, prepared, planned, made.decisions)
        if made.turns:
            seats.set_turns(connection, desk.id, made.turns)
            desks.set_open_channel_turn(connection, desk.id, made.turn)
    freed = {planned[one.dialog_id].operator_id for one in changed}
    served.freed += [(who, desk.id) for who in sorted(who for who in freed if who is not None)]
    return bool(changed)


def _assignment(dialog: PlannedDialog, decision: Decision) -> Assignment:
    passed_by = [] if decision.restarted else [*dialog.passed_by]
    if dialog.operator_id is not None and not decision.restarted:
        passed_by.append(dialog.operator_id)
    return Assignment(dialog.id, _became(dialog, decision), decision.operator_id, passed_by)


def _became(dialog: PlannedDialog, decision: Decision) -> DialogStatus:
    if decision.kept:
        return dialog.status
    return DialogStatus.OFFERED if decision.offered else DialogStatus.ASSIGNED


def _record(dialog: PlannedDialog, decision: Decision, hand_over: HandOver) -> DecisionRecord:
    return DecisionRecord(
        dialog.id,
        decision.rule,
        "waiting" if dialog.operator_id is None else hand_over.cause,
        dialog.operator_id if decision.kept else decision.operator_id,
        {why.value: ids for why, ids in decision.passed_over.items()},
        {why.value: n for why, n in decision.unnamed.items()},
    )


def _event(desk: LockedOpenChannel, dialog: PlannedDialog, decision: Decision, hand_over: HandOver) -> Event:
    waited = dialog.operator_id is None
    details: dict[str, str | int] = {"rule": decision.rule}
    if decision.operator_id is not None or decision.kept:
        details["handover_after"] = desk.settings.handover_after
    return Event(
        dialog.id,
        desk.id,
        SYSTEM if waited else hand_over.actor,
        decision.rule if waited else "kept" if decision.kept else hand_over.cause,
        dialog.status,
        _became(dialog, decision),
        dialog.operator_id,
        dialog.operator_id if decision.kept else decision.operator_id,
        details,
    )


def _set_clocks(
    connection: Connection, prepared: Prepared, planned: Mapping[int, PlannedDialog], decisions: Sequence[Decision]
) -> None:
    """Whoever has it now has the whole time (D5)."""
    desk = prepared.desk
    after = desk.settings.handover_after
    clocks = [
        NewClock(Clock.HANDOVER, desk.id, one.dialog_id, 0.0 if one.kept and prepared.is_short else after)
        for one in decisions
        if one.operator_id is not None or one.kept
    ]
    timers.set_clocks(connection, clocks)
    stopped = [one.dialog_id for one in decisions if one.offered and planned[one.dialog_id].operator_id is not None]
    if stopped:
        timers.stop_clocks(connection, stopped, (Clock.HANDOVER,))

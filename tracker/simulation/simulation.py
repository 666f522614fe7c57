"""The simulation: what happens in the order of time, and what follows from it.

It is driven from outside: each arrival is handed in, in the order of time, so that a recording of any length is never
held at once, and several simulations can share one reading of it.
"""

import heapq
from collections.abc import Iterable

from tracker.channels import Distribution
from tracker.dialogs import UNANSWERED, DialogStatus
from tracker.distribution import Decision, PassedOver, plan
from tracker.simulation.agenda import Agenda, Kind
from tracker.simulation.configuration import Configuration, SimulatedOpenChannel
from tracker.simulation.crew import Crew
from tracker.simulation.figures import Figures, figures_of
from tracker.simulation.loads import Loads
from tracker.simulation.recording import Arrival, OpenDialog, Recording, Turn
from tracker.simulation.world import Desk, Dialog, Operator, Seat

_GONE = frozenset({PassedOver.OFFLINE, PassedOver.WORKDAY_NOT_STARTED, PassedOver.ON_LEAVE, PassedOver.DISMISSED})
"""Merely unavailable, as D11 has it; away and paused are not gone."""


class Simulation:
    """One period under one configuration. Hand in all arrivals, then take the figures, once."""

    def __init__(self, recording: Recording, configuration: Configuration) -> None:
        self._recording = recording
        self._configuration = configuration
        self._age = 0
        self._agenda = Agenda()
        self._crew = Crew(recording, configuration, self._agenda, self._presence_changed)
        self._loads = Loads(self._agenda, self._crew.operators)
        self._wanted: dict[int, dict[int, Dialog]] = {}
        self._freed: list[Desk] = []
        self._desks = {one.id: self._make_desk(one) for one in configuration.open_channels.values()}
        self._begin()

    # The beginning

    def _make_desk(self, open_channel: SimulatedOpenChannel) -> Desk:
        seats = {}
        for position, operator_id in enumerate(open_channel.roster):
            turn = self._recording.turns.get((open_channel.id, operator_id), Turn())
            seats[operator_id] = Seat(self._crew.get(operator_id), position, turn.turn, turn.given)
        turn_now = max((max(seat.turn, seat.given) for seat in seats.values()), default=0)
        desk = Desk(open_channel.id, open_channel.settings, open_channel.active, turn_now, seats)
        for seat in seats.values():
            seat.operator.desks.append(desk)
        return desk

    def _begin(self) -> None:
        """What was open: in the order of age; holders keep theirs, but for those who have left (D11)."""
        for open_dialog in sorted(
            self._recording.open_dialogs, key=lambda one: (one.arrival.at, one.arrival.dialog_id)
        ):
            self._resume(open_dialog)
        for desk in self._desks.values():
            self._serve(desk)
        for operator in list(self._crew.operators.values()):
            self._loads.note_limits(operator)

    def _resume(self, was: OpenDialog) -> None:
        dialog = self._make_dialog(was.arrival)
        if dialog is None:
            return
        dialog.arrived_within = False
        dialog.first = was.first
        dialog.passed_by = set(was.passed_by)
        desk, holder_id = dialog.desk, was.holder_id
        if was.accepted_at is not None:
            dialog.ever_accepted = True
            dialog.progress = -was.accepted_at
            dialog.step = sum(after <= dialog.progress for after, _ in dialog.course)
            dialog.answered = any(
                status is DialogStatus.AWAITING_CUSTOMER for _, status in dialog.course[: dialog.step]
            )
        stays = holder_id in desk.seats or (holder_id is not None and holder_id == was.arrival.responsible_id)
        if holder_id is None or not stays or holder_id in self._configuration.dismissed:
            self._waits(dialog)
            return
        self._loads.hold(
            dialog, self._crew.get(holder_id), was.status if was.accepted_at is not None else DialogStatus.ASSIGNED
        )
        if was.accepted_at is not None:
            self._go_on(dialog)
        else:
            self._watch(dialog, holder_id, was.assigned_at)

    def _make_dialog(self, arrival: Arrival) -> Dialog | None:
        """None if no open channel of the configuration takes it (C5)."""
        open_channel_id = self._configuration.moved.get(arrival.channel_id, arrival.open_channel_id)
        desk = self._desks.get(open_channel_id)
        if desk is None or not desk.active:
            return None
        self._age += 1
        return Dialog(arrival, desk, self._age, self._recording.course_of(arrival))

    # From outside

    def arrive(self, arrival: Arrival) -> None:
        """The next dialog begins; none is older than the one before."""
        self._agenda.run(arrival.at)
        dialog = self._make_dialog(arrival)
        if dialog is not None:
            dialog.desk.tally.arrivals += 1
            self._waits(dialog)
            self._serve(dialog.desk)

    def finish(self) -> Figures:
        """The period is over."""
        self._agenda.run(self._recording.length)
        for operator in self._crew.operators.values():
            for desk in operator.desks:
                seat = desk.seats[operator.id]
                if seat.full_since is not None:
                    desk.tally.of(operator.id).seconds_at_limit += self._agenda.now - seat.full_since
            for dialog in operator.dialogs.values():
                dialog.desk.tally.cut_off += 1
        for desk in self._desks.values():
            desk.tally.never_assigned = desk.waiting
            for operator_id in desk.seats:
                desk.tally.of(operator_id)
        return figures_of({one: desk.tally for one, desk in self._desks.items()}, limits=True)

    # Distribution

    def _serve(self, desk: Desk) -> None:
        """Distribute what waits, and what is to be handed on, as far as there are slots (D5, D8)."""
        while True:
            due, desk.due = desk.due, {}
            queued = desk.oldest(self._takes(desk))
            named = {one.arrival.dialog_id: one for one in (*due.values(), *queued, *self._preferring(desk))}
            dialogs = sorted(named.values(), key=lambda one: one.age)
            holders = [self._loads.holder(one) for one in dialogs if one.holder_id is not None]
            given = bool(dialogs) and self._plan(desk, dialogs)
            losers = [one for one in holders if one.personal_limit is not None]  # also where it is offered to all now
            for other in sorted({each.id: each for one in losers for each in one.desks if each is not desk}.items()):
                self._freed.append(other[1])
            if not given:
                break
        desk.tally.longest_backlog = max(desk.tally.longest_backlog, desk.waiting)
        while self._freed:
            freed = self._freed.pop(0)
            self._take_offers(freed)
            self._serve(freed)

    def _takes(self, desk: Desk) -> int:
        """How many queued dialogs a plan may find operators for; offers use up no slots (D4)."""
        if not desk.any_queued:
            return 0
        slots = desk.slots(desk.waiting)
        return desk.waiting if slots and desk.settings.distribution is Distribution.ALL else slots

    def _preferring(self, desk: Desk) -> Iterable[Dialog]:
        """Queued dialogs whose responsible person has room; he need not be on the roster (D9)."""
        if not desk.settings.to_responsible:
            return
        for operator_id, dialogs in self._wanted.items():
            if dialogs and desk.has_room(self._crew.get(operator_id)):
                here = (one for one in dialogs.values() if one.desk is desk and operator_id not in one.passed_by)
                free = desk.snapshot(self._crew.get(operator_id)).free
                yield from heapq.nsmallest(free, here, key=lambda one: one.age)

    def _plan(self, desk: Desk, dialogs: list[Dialog]) -> bool:
        """Plan with the product's own policies, and carry it out. Returns whether anybody was given anything."""
        waiting = [one.as_waiting() for one in dialogs]
        preferred = sorted({one.preferred_id for one in waiting if one.preferred_id is not None})
        made = plan(
            desk.settings.distribution,
            waiting,
            desk.candidates(dialogs),
            desk.turn,
            desk.settings.check_availability,
            responsible=[desk.snapshot(self._crew.get(one)) for one in preferred],
        )
        desk.note_turns(dict(made.turns), made.turn)
        for dialog, decision in zip(dialogs, made.decisions, strict=True):
            self._carry_out(dialog, decision)
        return any(one.operator_id is not None for one in made.decisions)

    def _carry_out(self, dialog: Dialog, decision: Decision) -> None:
        if decision.kept:
            self._kept(dialog)
            return
        if decision.operator_id is None and not decision.offered:
            return
        holder_id = dialog.holder_id
        if holder_id is not None:
            if dialog.status is DialogStatus.ASSIGNED:
                dialog.passed_by.add(holder_id)
                dialog.let_pass.add(holder_id)
                dialog.desk.tally.of(holder_id).handovers_lost += 1
            self._loads.release(dialog)
        if decision.restarted:
            dialog.passed_by.clear()
        if decision.operator_id is None:
            self._offer(dialog)
        else:
            self._assign(dialog, self._crew.get(decision.operator_id))

    def _kept(self, dialog: Dialog) -> None:
        """Nobody else can have it: his clock starts again, and now he accepts it (D5)."""
        if dialog.status is DialogStatus.ASSIGNED and dialog.holder_id is not None:
            holder_id = dialog.holder_id
            was_expected = self._reaction(dialog, holder_id) is not None
            dialog.let_pass.add(holder_id)
            if was_expected:
                self._start_clock(dialog, self._agenda.now)
            else:
                self._watch(dialog, holder_id, self._agenda.now)

    def _assign(self, dialog: Dialog, operator: Operator) -> None:
        self._count_assignment(dialog, operator)
        self._no_longer_waits(dialog)
        self._loads.hold(dialog, operator, DialogStatus.ASSIGNED)
        self._watch(dialog, operator.id, self._agenda.now)

    def _count_assignment(self, dialog: Dialog, operator: Operator) -> None:
        waited = self._agenda.now - dialog.arrival.at if dialog.arrived_within else None
        dialog.desk.tally.assigned(operator.id, waited, first=dialog.first)
        dialog.first = False

    def _watch(self, dialog: Dialog, operator_id: int, since: float) -> None:
        """He accepts it in his time, or loses it."""
        reaction = self._reaction(dialog, operator_id)
        if reaction is not None:
            self._agenda.add(max(self._agenda.now, since + reaction), Kind.ACCEPT, lambda: self._accept(dialog), dialog)
        self._start_clock(dialog, since)

    def _start_clock(self, dialog: Dialog, since: float) -> None:
        due = max(self._agenda.now, since + dialog.desk.settings.handover_after)
        self._agenda.add(due, Kind.HANDOVER, lambda: self._is_due(dialog), dialog)

    def _reaction(self, dialog: Dialog, operator_id: int) -> float | None:
        """Seconds until he accepts; None if he lets it pass, as he really did. Nobody lets one dialog pass twice."""
        arrival = dialog.arrival
        if operator_id in arrival.let_pass and operator_id not in dialog.let_pass:
            return None
        reaction = arrival.accepted_after if not dialog.ever_accepted else None
        if reaction is None:
            reaction = self._recording.reaction_of(operator_id)
        return min(reaction, dialog.desk.settings.handover_after) if operator_id in dialog.let_pass else reaction

    def _is_due(self, dialog: Dialog) -> None:
        dialog.desk.due[dialog.arrival.dialog_id] = dialog
        self._serve(dialog.desk)

    # Offers, by D4

    def _offer(self, dialog: Dialog) -> None:
        if not dialog.waits:
            dialog.desk.waiting += 1
        self._unwanted(dialog)
        dialog.edition += 1
        dialog.status = DialogStatus.OFFERED
        reaction = dialog.arrival.accepted_after if not dialog.ever_accepted else None
        if reaction is None:
            reaction = self._recording.reaction_of(None)
        self._agenda.add(self._agenda.now + reaction, Kind.ACCEPT, lambda: self._offer_is_ready(dialog), dialog)

    def _offer_is_ready(self, dialog: Dialog) -> None:
        dialog.desk.is_ready(dialog)
        self._take_offers(dialog.desk)

    def _take_offers(self, desk: Desk) -> None:
        """Offers that are ready, the oldest first, go to the eligible operator with the least load."""
        while (dialog := desk.next_offer()) is not None:
            eligible = [seat for seat in desk.seats.values() if desk.has_room(seat.operator)]
            if not eligible:
                return
            seat = min(eligible, key=lambda one: (desk.held.get(one.operator.id, 0), one.position))
            self._count_assignment(dialog, seat.operator)
            self._no_longer_waits(dialog)
            self._loads.hold(dialog, seat.operator, DialogStatus.ASSIGNED)
            self._accept(dialog)

    # What holders do

    def _accept(self, dialog: Dialog) -> None:
        holder = self._loads.holder(dialog)
        if dialog.arrived_within and not dialog.ever_accepted:
            waited = self._agenda.now - dialog.arrival.at
            dialog.desk.tally.of(holder.id).to_acceptance.append(waited)
        dialog.ever_accepted = True
        dialog.edition += 1
        self._becomes(dialog, DialogStatus.ACCEPTED)
        self._go_on(dialog)

    def _go_on(self, dialog: Dialog) -> None:
        """Its course goes on where it was."""
        dialog.resumed_at = self._agenda.now
        self._schedule_step(dialog)

    def _schedule_step(self, dialog: Dialog) -> None:
        if dialog.step < len(dialog.course):
            after, _ = dialog.course[dialog.step]
            at = dialog.resumed_at + max(0.0, after - dialog.progress)
            self._agenda.add(at, Kind.COURSE, lambda: self._step(dialog), dialog)

    def _step(self, dialog: Dialog) -> None:
        after, status = dialog.course[dialog.step]
        dialog.step += 1
        dialog.progress = max(dialog.progress, after)
        dialog.resumed_at = self._agenda.now
        if status is DialogStatus.CLOSED:
            self._close(dialog)
            return
        self._becomes(dialog, status)
        self._schedule_step(dialog)
        if status in (DialogStatus.AWAITING_OPERATOR, DialogStatus.ACCEPTED):
            self._customer_wrote(dialog)

    def _customer_wrote(self, dialog: Dialog) -> None:
        """D11: from somebody who is merely gone it goes back."""
        operator = self._loads.holder(dialog)
        if operator.unavailable in _GONE and dialog.desk.settings.check_availability:
            self._loads.release(dialog)
            self._waits(dialog)
            self._serve(dialog.desk)

    def _becomes(self, dialog: Dialog, status: DialogStatus) -> None:
        if self._loads.become(dialog, status):
            self._slot_is_free(self._loads.holder(dialog), dialog.desk)

    def _close(self, dialog: Dialog) -> None:
        holder = self._loads.release(dialog)
        dialog.edition += 1
        dialog.status = DialogStatus.CLOSED
        self._slot_is_free(holder, dialog.desk)

    def _slot_is_free(self, operator: Operator, desk: Desk) -> None:
        """What waits is tried at once, wherever he could be given it (D8)."""
        desks = {desk.id: desk}
        if operator.personal_limit is not None:
            desks |= {one.id: one for one in operator.desks}
        desks |= {one.desk.id: one.desk for one in self._wanted.get(operator.id, {}).values()}
        for _, one in sorted(desks.items()):
            self._take_offers(one)
            self._serve(one)

    # The backlog

    def _waits(self, dialog: Dialog) -> None:
        dialog.edition += 1
        dialog.status = DialogStatus.QUEUED
        dialog.desk.waiting += 1
        dialog.desk.queue(dialog)
        if dialog.desk.settings.to_responsible and dialog.arrival.responsible_id is not None:
            self._wanted.setdefault(dialog.arrival.responsible_id, {})[dialog.arrival.dialog_id] = dialog

    def _no_longer_waits(self, dialog: Dialog) -> None:
        if dialog.waits:
            dialog.desk.waiting -= 1
        self._unwanted(dialog)

    def _unwanted(self, dialog: Dialog) -> None:
        responsible_id = dialog.arrival.responsible_id
        if responsible_id is not None:
            self._wanted.get(responsible_id, {}).pop(dialog.arrival.dialog_id, None)

    # Presence, by D6 and D11

    def _presence_changed(self, operator: Operator, leaves: bool) -> None:
        self._loads.note_limits(operator)
        everything = operator.unavailable is PassedOver.DISMISSED
        if everything or leaves:
            self._hand_back(operator, everything=everything)
        if not everything:  # all who come at this moment are there before any of them is given something
            self._agenda.add(self._agenda.now, Kind.PRESENT, lambda: self._is_there(operator))

    def _is_there(self, operator: Operator) -> None:
        desks = [*operator.desks, *(one.desk for one in self._wanted.get(operator.id, {}).values())]
        for _, desk in sorted({one.id: one for one in desks}.items()):
            self._take_offers(desk)
            self._serve(desk)

    def _hand_back(self, operator: Operator, *, everything: bool) -> None:
        touched = {}
        for dialog in list(operator.dialogs.values()):
            if everything and dialog.status is DialogStatus.CLOSING:
                self._close(dialog)
            elif everything or dialog.status in UNANSWERED:
                self._loads.release(dialog)
                self._waits(dialog)
                touched[dialog.desk.id] = dialog.desk
        for _, desk in sorted(touched.items()):
            self._serve(desk)

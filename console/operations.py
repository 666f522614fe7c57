"""What operators do with dialogs. Each act is one transaction; what it makes possible is hinted after its commit.

Lock order: chat, cards, open channels, operators, dialog, timers, outbox. The chat's lock keeps the dialog's open
channel, the chat's cards and whether somebody has accepted it as they were read. What can raise somebody's load holds
the open channel's lock and his (D7).
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial

from config.topology import Step
from console import access
from console.acting import Asked, Done, carry_out
from console.dependencies import Dependencies
from console.problems import unknown
from console.security import Operator
from crm_store import cards, chats, desks, dialogs, events, matching, outbox, planning, seats, timers
from crm_store.database import Connection
from crm_store.desks import LockedOpenChannel
from crm_store.dialogs import LockedDialog
from crm_store.planning import DecisionRecord
from crm_store.timers import NewClock
from crm_store.views import dialogs as views
from crm_store.views.dialogs import DialogSummary
from tracker.access import Standing
from tracker.channels import OpenChannelSettings
from tracker.dialogs import (
    ActRefusedError,
    Clock,
    DialogStatus,
    after_hold,
    check_accept,
    check_answer,
    check_charge,
    check_reopen,
    check_skip,
    check_take,
    check_transfer,
)
from tracker.distribution import PassedOver, RosterOperator
from worker.closing import say, wind_up
from worker.distribution import Demand, HandOver, prepare, serve_each
from worker.senders import SENDABLE_KINDS

NOT_ON_ROSTER = "not_on_roster"
NOT_FIRST = "not_first"
"""Why an operator to whom a dialog was offered does not have it: another accepted first (D4, D12)."""

MOST_NAMED = 50
"""Operators of the roster whom the record of an accepted offer names."""

_WHY_NOT = {
    PassedOver.DISMISSED: "was dismissed",
    PassedOver.ON_LEAVE: "is on leave",
    PassedOver.WORKDAY_NOT_STARTED: "has not started the workday, or has ended it",
    PassedOver.WORKDAY_PAUSED: "has paused the workday",
    PassedOver.OFFLINE: "is offline",
    PassedOver.AWAY: "is away",
    PassedOver.AT_LIMIT: "has as many dialogs of this open channel as allowed",
    PassedOver.AT_PERSONAL_LIMIT: "has as many dialogs over all open channels as allowed",
}


@dataclass(frozen=True, slots=True)
class Target:
    """Where a transfer goes: to an operator, to another open channel, or (neither) back to the backlog (D10)."""

    operator_id: int | None = None
    open_channel_id: int | None = None


@dataclass(frozen=True, slots=True)
class _Scene:
    """A dialog and all that an act on it has locked.

    settings: of its open channel; seats: operators on its roster. card_ids: live ones of its chat, if they may change
    now. other: the open channel to which it is transferred.
    """

    dialog: LockedDialog
    settings: OpenChannelSettings
    card_ids: Collection[int]
    standing: Standing
    actor: str
    other: LockedOpenChannel | None = None
    seats: int = 0


def accept(needs: Dependencies, asked: Asked, operator: Operator, dialog_id: int) -> DialogSummary:
    """Accept a dialog that is offered to the operator or assigned to him (D4, D7, C4, D12)."""

    def work(connection: Connection) -> Done:
        scene = _enter(connection, asked, dialog_id, operator_ids=[operator.id])
        dialog = scene.dialog
        check_accept(dialog.status, dialog.operator_id, operator.id)
        if dialog.status is DialogStatus.OFFERED:
            _accept_offer(connection, scene, operator)
        counted = dialogs.counts(connection, dialog_id)
        _hold(connection, scene, operator, "accept")
        return Done(hints=frozenset(_free_slot(connection, dialog, counted=counted)))

    return _act(needs, asked, work, dialog_id)


def skip(needs: Dependencies, asked: Asked, operator: Operator, dialog_id: int) -> DialogSummary:
    """Let an assigned dialog pass at once (D5)."""

    def work(connection: Connection) -> Done:
        # Before anything is locked or prepared: who skips what is not his holds up nobody.
        peeked = _show(dialog_id, connection, {})
        check_skip(peeked.status, peeked.operator.id if peeked.operator else None, operator.id)
        _, open_channel_id = _place(connection, dialog_id, lock_chat=True)
        locked = desks.lock_open_channels(connection, [open_channel_id])
        backlogs = timers.backlogs(connection, [open_channel_id])
        (prepared,) = prepare(connection, locked, backlogs, {open_channel_id: Demand(leaving=[dialog_id])})
        dialog = _lock(connection, dialog_id)
        check_skip(dialog.status, dialog.operator_id, operator.id)
        served = serve_each(connection, [prepared], HandOver([dialog_id], "skip", asked.actor))
        if dialog_id in served.kept:
            raise ActRefusedError("nobody_else", "no other operator can have it now, so it stays yours")
        return Done(hints=frozenset({Step.DISTRIBUTE}))

    return _act(needs, asked, work, dialog_id)


def answer(needs: Dependencies, asked: Asked, operator: Operator, dialog_id: int, text: str) -> DialogSummary:
    """Answer the customer; answering an assigned dialog accepts it (D5, S1, S3, S5, C4)."""

    def work(connection: Connection) -> Done:
        scene = _enter(connection, asked, dialog_id, lock_desk=False)
        dialog = scene.dialog
        check_answer(dialog.status, dialog.operator_id, operator.id)
        counted = dialogs.counts(connection, dialog_id)
        if dialog.accepted_at is None:  # assigned; or closed before, and his customer came back
            dialog = replace(dialog, status=_hold(connection, scene, operator, "accept"))
        entry = say(connection, dialog, text, operator.id)
        dialogs.answered(connection, dialog_id)
        became = DialogStatus.AWAITING_CUSTOMER
        events.log(connection, [dialog.event(scene.actor, "answer", became, operator.id)])
        timers.stop_clocks(connection, [dialog_id], (Clock.UNANSWERED, Clock.CLOSING))
        _start_auto_close(connection, scene, pinned=dialog.pinned)
        freed = _free_slot(connection, dialog, counted=counted)
        outbox.insert(connection, [entry], SENDABLE_KINDS)
        return Done(hints=frozenset({Step.DELIVER} | freed))

    return _act(needs, asked, work, dialog_id)


def take(needs: Dependencies, asked: Asked, operator: Operator, dialog_id: int) -> DialogSummary:
    """Take a dialog that waits, or as a supervisor any; above a limit if need be, which is marked (D7, D12)."""

    def work(connection: Connection) -> Done:
        scene = _enter(connection, asked, dialog_id, operator_ids=[operator.id])
        dialog = scene.dialog
        check_take(dialog.status, dialog.operator_id, scene.standing)
        me = _seat_of(connection, scene, operator.id)
        _check_there(me, scene, "you")
        over = not me.free
        counted = dialogs.counts(connection, dialog_id)
        _hold(connection, scene, operator, "take", over_limit=over)
        _explain(connection, dialog.id, "take", operator.id, over_limit=over)
        return Done(hints=frozenset(_free_slot(connection, dialog, counted=counted, left=True)))

    return _act(needs, asked, work, dialog_id)


def transfer(needs: Dependencies, asked: Asked, dialog_id: int, target: Target) -> DialogSummary:
    """Transfer a dialog to an operator, to the roster of another open channel, or back to the backlog (D10)."""

    def work(connection: Connection) -> Done:
        operator_ids = [] if target.operator_id is None else [target.operator_id]
        other_id = target.open_channel_id
        scene = _enter(
            connection, asked, dialog_id, operator_ids=operator_ids, other_id=other_id, lock_cards=bool(operator_ids)
        )
        dialog = scene.dialog
        check_transfer(dialog.status, dialog.operator_id, scene.standing)
        counted = dialogs.counts(connection, dialog_id)
        due: list[int] = []
        if target.operator_id is not None:
            _transfer_to_operator(connection, scene, target.operator_id)
        else:
            due.append(_transfer_to_roster(connection, scene))
        return Done(hints=frozenset(_free_slot(connection, dialog, counted=counted, left=True, due=due)))

    return _act(needs, asked, work, dialog_id)


def close(needs: Dependencies, asked: Asked, dialog_id: int) -> DialogSummary:
    """Close a dialog: with a closing text it is closing for a while (S4); its slot is free for the backlog (D8)."""

    def work(connection: Connection) -> Done:
        scene = _enter(connection, asked, dialog_id)
        dialog = scene.dialog
        check_charge(dialog.status, dialog.operator_id, scene.standing)
        counted = dialogs.counts(connection, dialog_id)
        told = wind_up(connection, dialog, scene.settings, scene.settings.closing_text, scene.actor, "close")
        freed = _free_slot(connection, dialog, counted=counted)
        return Done(hints=frozenset(told | freed))

    return _act(needs, asked, work, dialog_id)


def spam(needs: Dependencies, asked: Asked, dialog_id: int) -> DialogSummary:
    """Mark a dialog as spam and close it at once, without a text (S1)."""

    def work(connection: Connection) -> Done:
        scene = _enter(connection, asked, dialog_id)
        dialog = scene.dialog
        check_charge(dialog.status, dialog.operator_id, scene.standing)
        counted = dialogs.counts(connection, dialog_id)
        dialogs.close(connection, [dialog_id], spam=True)
        events.log(connection, [dialog.event(scene.actor, "spam", DialogStatus.CLOSED, dialog.operator_id)])
        outbox.expire_held(connection, [dialog_id])
        return Done(hints=frozenset(_free_slot(connection, dialog, counted=counted)))

    return _act(needs, asked, work, dialog_id)


def reopen(needs: Dependencies, asked: Asked, dialog_id: int) -> DialogSummary:
    """Reopen a dialog that is closing or closed: it is the caller's again, or, for a service, waits (S4, D7)."""

    def work(connection: Connection) -> Done:
        caller = asked.caller
        operator_ids = [caller.id] if isinstance(caller, Operator) else []
        scene = _enter(connection, asked, dialog_id, operator_ids=operator_ids)
        dialog = scene.dialog
        check_reopen(dialog.status, dialog.operator_id, scene.standing)
        if dialogs.has_other_open(connection, dialog.chat_id, dialog_id):
            raise ActRefusedError("chat_has_dialog", "the chat has another dialog, which is open")
        counted = dialogs.counts(connection, dialog_id)
        if not isinstance(caller, Operator):
            dialogs.queue(connection, [dialog], scene.actor, "reopen")
            due = [dialog.open_channel_id]
            return Done(hints=frozenset(_free_slot(connection, dialog, counted=counted, left=True, due=due)))
        mine = dialog.operator_id == caller.id
        me = _seat_of(connection, scene, caller.id)
        _check_there(me, scene, "you")
        if not (counted and mine) and not me.free:
            raise _cannot(me.first_limit, "you")
        _hold(connection, scene, caller, "reopen")
        if not mine:
            _explain(connection, dialog.id, "reopen", caller.id, over_limit=False)
        return Done(hints=frozenset(_free_slot(connection, dialog, counted=counted, left=not mine)))

    return _act(needs, asked, work, dialog_id)


def pin(needs: Dependencies, asked: Asked, dialog_id: int, *, pinned: bool) -> DialogSummary:
    """Pin a dialog to its operator, or not: that suspends the auto-close (S3), and the hand-on to others (D11)."""

    def work(connection: Connection) -> Done:
        scene = _enter(connection, asked, dialog_id)
        dialog = scene.dialog
        check_charge(dialog.status, dialog.operator_id, scene.standing)
        if dialog.operator_id is None:
            raise ActRefusedError("nobodys", "nobody has the dialog: there is nobody to pin it to")
        if dialog.pinned is not pinned:
            dialogs.set_pinned(connection, dialog_id, pinned=pinned)
            cause = "pin" if pinned else "unpin"
            events.log(connection, [dialog.event(scene.actor, cause, dialog.status, dialog.operator_id)])
            if dialog.status is DialogStatus.AWAITING_CUSTOMER:
                _start_auto_close(connection, scene, pinned=pinned)
        return Done()

    return _act(needs, asked, work, dialog_id)


def _act(needs: Dependencies, asked: Asked, work: Callable[[Connection], Done], dialog_id: int) -> DialogSummary:
    """Every act answers with the dialog as it is then. Raises ProblemError (unknown_dialog) and ActRefusedError."""
    return carry_out(needs, asked, work, partial(_show, dialog_id))


def _show(dialog_id: int, connection: Connection, _ids: Mapping[str, int]) -> DialogSummary:
    shown = views.summary(connection, dialog_id)
    if shown is None:
        raise unknown("dialog", dialog_id)
    return shown


def _enter(
    connection: Connection,
    asked: Asked,
    dialog_id: int,
    *,
    operator_ids: Collection[int] = (),
    other_id: int | None = None,
    lock_desk: bool = True,
    lock_cards: bool = False,
) -> _Scene:
    """Lock a dialog and what an act on it needs, in the order of all locks. operator_ids: who may be given it.

    lock_desk: for whatever may change a dialog that waits, or somebody's load. lock_cards: also if somebody has
    accepted the dialog, upon which no other becomes responsible but by a transfer (C4, D10). Raises ProblemError.
    """
    chat_id, open_channel_id = _place(connection, dialog_id, lock_chat=True)
    open_to_others = lock_cards or not dialogs.is_accepted(connection, dialog_id)
    card_ids = _lock_cards(connection, chat_id, dialog_id) if open_to_others else ()
    other, n_seats = None, 0
    if lock_desk:
        locked = desks.lock_open_channels(connection, {open_channel_id} | ({other_id} if other_id else set()))
        by_id = {desk.id: desk for desk in locked}
        settings, n_seats = by_id[open_channel_id].settings, by_id[open_channel_id].seats
        if other_id is not None and other_id not in by_id:
            raise unknown("open_channel", other_id)
        other = by_id[other_id] if other_id is not None else None
    else:
        settings = desks.settings_of(connection, [open_channel_id])[open_channel_id]
    if operator_ids:
        desks.lock_operators(connection, operator_ids)
    dialog = _lock(connection, dialog_id)
    standing = access.standing(connection, asked.caller, dialog)
    return _Scene(dialog, settings, card_ids, standing, asked.actor, other, n_seats)


def _place(connection: Connection, dialog_id: int, *, lock_chat: bool) -> tuple[int, int]:
    """Chat and open channel of a dialog; the latter may change until the chat is locked."""
    place = dialogs.peek(connection, dialog_id)
    if place is not None and lock_chat:
        chats.lock(connection, place[0])
        place = dialogs.peek(connection, dialog_id)
    if place is None:
        raise unknown("dialog", dialog_id)
    return place


def _lock(connection: Connection, dialog_id: int) -> LockedDialog:
    dialog = dialogs.lock(connection, dialog_id)
    if dialog is None:
        raise unknown("dialog", dialog_id)
    return dialog


def _lock_cards(connection: Connection, chat_id: int, dialog_id: int) -> set[int]:
    """Card and deal of the locked chat, locked: whoever takes the dialog may become responsible (C4, D10)."""
    context = chats.contexts(connection, [chat_id]).get(chat_id)
    if context is None:  # its customer was erased while this act waited for the chat
        raise unknown("dialog", dialog_id)
    own = {card_id for card_id in (context.card_id, context.deal_id) if card_id is not None}
    return set(matching.lock_live_cards(connection, own).values()) if own else set()


def _accept_offer(connection: Connection, scene: _Scene, operator: Operator) -> None:
    """Whether it is offered to him is computed here, from fresh loads (D4, D7). Raises ActRefusedError."""
    dialog, available = scene.dialog, scene.settings.check_availability
    mine = _seat_of(connection, scene, operator.id)
    if mine.position < 0:
        raise ActRefusedError(NOT_ON_ROSTER, "you are not on the roster of the dialog's open channel")
    why_not = mine.ineligible(available)
    if why_not is not None:
        raise _cannot(why_not, "you")
    others = seats.first(connection, dialog.open_channel_id, scene.settings, MOST_NAMED)
    passed_over: dict[str, list[int]] = {}
    for other in others:
        if other.operator_id != operator.id:
            passed_over.setdefault(other.ineligible(available) or NOT_FIRST, []).append(other.operator_id)
    unread = scene.seats - len({operator.id, *(other.operator_id for other in others)})
    unnamed = {PassedOver.NOT_REACHED.value: unread} if unread else {}
    record = DecisionRecord(dialog.id, "D4", "accept", operator.id, passed_over, unnamed)
    planning.explain(connection, [record])


def _seat_of(connection: Connection, scene: _Scene, operator_id: int) -> RosterOperator:
    """A locked operator as he stands in the dialog's open channel. Raises ProblemError."""
    found = seats.read_some(connection, scene.dialog.open_channel_id, scene.settings, [operator_id])
    if not found.operators:
        raise unknown("operator", operator_id)
    return found.operators[0]


def _check_there(operator: RosterOperator, scene: _Scene, who: str) -> None:
    """From whoever has left it would go back at once (D11). Raises ActRefusedError."""
    why_not = operator.absent(scene.settings.check_availability)
    if why_not in (PassedOver.DISMISSED, PassedOver.ON_LEAVE, PassedOver.WORKDAY_NOT_STARTED):
        raise _cannot(why_not, who)


def _cannot(why: PassedOver, who: str) -> ActRefusedError:
    """who: `you`, or of whom the caller is told."""
    said = _WHY_NOT[why]
    if who == "you":
        said = said.replace("was ", "were ").replace("is ", "are ").replace("has ", "have ")
    return ActRefusedError(why, f"{who} {said}")


def _hold(
    connection: Connection, scene: _Scene, operator: Operator, cause: str, *, over_limit: bool = False
) -> DialogStatus:
    """The dialog is his from now on, and the card if he is the first, or it was transferred (C4, D10).

    Returns its status.
    """
    dialog = scene.dialog
    if scene.card_ids:
        cards.accepted_by(connection, scene.card_ids, operator.id)
        if dialog.transferred and scene.settings.transfer_changes_responsible:
            cards.transferred_to(connection, scene.card_ids, dialog.chat_id, operator.id)
    dialogs.hold(connection, dialog.id, operator.id, over_limit=over_limit)
    timers.stop_clocks(connection, [dialog.id], (Clock.HANDOVER, Clock.AUTO_CLOSE, Clock.CLOSING))
    became = after_hold(awaits_customer=dialog.awaits_customer)
    marked = over_limit or None
    events.log(connection, [dialog.event(scene.actor, cause, became, operator.id, over_limit=marked)])
    if became is DialogStatus.AWAITING_CUSTOMER:
        _start_auto_close(connection, scene, pinned=dialog.pinned and dialog.operator_id == operator.id)
    return became


def _transfer_to_operator(connection: Connection, scene: _Scene, operator_id: int) -> None:
    """A supervisor may pass a limit, which is marked (D7). Raises ProblemError and ActRefusedError."""
    dialog, settings = scene.dialog, scene.settings
    his = _seat_of(connection, scene, operator_id)
    if operator_id == dialog.operator_id:
        raise ActRefusedError("has_it_already", "this operator has the dialog already")
    _check_there(his, scene, "the operator")
    why_not = None if scene.standing.supervises else his.ineligible(settings.check_availability)
    if why_not is not None:
        raise _cannot(why_not, "the operator")
    over = not his.free
    dialogs.hand_to(connection, dialog, operator_id, over_limit=over)
    timers.stop_clocks(connection, [dialog.id], (Clock.AUTO_CLOSE,))
    clock = NewClock(Clock.HANDOVER, dialog.open_channel_id, dialog.id, settings.handover_after)
    timers.set_clocks(connection, [clock])
    if scene.card_ids and settings.transfer_changes_responsible:
        cards.transferred_to(connection, scene.card_ids, dialog.chat_id, operator_id)
    _explain(connection, dialog.id, "transfer", operator_id, over_limit=over)
    details = {"handover_after": settings.handover_after, "over_limit": over or None}
    events.log(connection, [dialog.event(scene.actor, "transfer", DialogStatus.ASSIGNED, operator_id, **details)])


def _transfer_to_roster(connection: Connection, scene: _Scene) -> int:
    """To another open channel, where nobody has let it pass so far; or back to the backlog. Raises ActRefusedError.

    Returns the open channel where it waits.
    """
    dialog, other = scene.dialog, scene.other
    if other is None or other.id == dialog.open_channel_id:
        if dialog.status is DialogStatus.QUEUED:
            raise ActRefusedError("waits_already", "the dialog waits in this backlog already")
        dialogs.queue(connection, [dialog], scene.actor, "transfer", passed=True)
    else:
        if not other.active:
            raise ActRefusedError("inactive", "the open channel is not active")
        dialogs.move(connection, dialog.id, other.id)
        moved = replace(dialog, open_channel_id=other.id, passed_by=())
        dialogs.queue(connection, [moved], scene.actor, "transfer", was_open_channel_id=dialog.open_channel_id)
    dialogs.mark_transferred(connection, dialog.id)
    return dialog.open_channel_id if other is None else other.id


def _start_auto_close(connection: Connection, scene: _Scene, *, pinned: bool) -> None:
    """The operator has spoken last (S3); a pin suspends it."""
    dialog, after = scene.dialog, scene.settings.close_after
    if pinned or after is None:
        timers.stop_clocks(connection, [dialog.id], (Clock.AUTO_CLOSE,))
    else:
        timers.set_clocks(connection, [NewClock(Clock.AUTO_CLOSE, dialog.open_channel_id, dialog.id, after)])


def _explain(connection: Connection, dialog_id: int, rule: str, operator_id: int, *, over_limit: bool) -> None:
    """A person decided (D12)."""
    record = DecisionRecord(dialog_id, rule, rule, operator_id, {}, {}, over_limit)
    planning.explain(connection, [record])


def _free_slot(
    connection: Connection, dialog: LockedDialog, *, counted: bool, left: bool = False, due: Collection[int] = ()
) -> set[Step]:
    """If the dialog counted and does so no more, the backlogs that can use the slot are tried at once (D7, D8).

    left: its operator has it no more. due: open channels whose backlogs are due besides. The last of an act's locks.
    Returns the steps that have work then.
    """
    slots = []
    if dialog.operator_id is not None and counted and (left or not dialogs.counts(connection, dialog.id)):
        slots.append((dialog.operator_id, dialog.open_channel_id))
    if not slots and not due:
        return set()
    seats.free_slots(connection, slots, due)
    return {Step.DISTRIBUTE}

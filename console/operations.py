"""What operators do with dialogs. Each act is one transaction; what it makes possible is hinted after its commit.

Lock order: `console.scene`.
"""

from dataclasses import replace

from config.topology import Step
from console.acting import Asked, Done
from console.dependencies import Dependencies
from console.scene import (
    Scene,
    act,
    cannot,
    check_there,
    enter,
    explain,
    free_slot,
    hold,
    lock,
    place,
    seat_of,
    show,
    start_auto_close,
)
from console.security import Operator
from crm_store import desks, dialogs, events, outbox, planning, seats, timers
from crm_store.database import Connection
from crm_store.planning import DecisionRecord
from crm_store.views.dialogs import DialogSummary
from tracker.dialogs import (
    ActRefusedError,
    Clock,
    DialogStatus,
    check_accept,
    check_answer,
    check_charge,
    check_reopen,
    check_skip,
    check_take,
)
from tracker.distribution import PassedOver
from worker.closing import say, wind_up
from worker.distribution import Demand, HandOver, prepare, serve_each
from worker.senders import SENDABLE_KINDS

NOT_ON_ROSTER = "not_on_roster"
NOT_FIRST = "not_first"
"""Why an operator to whom a dialog was offered does not have it: another accepted first (D4, D12)."""

MOST_NAMED = 50
"""Operators of the roster whom the record of an accepted offer names."""


def accept(needs: Dependencies, asked: Asked, operator: Operator, dialog_id: int) -> DialogSummary:
    """Accept a dialog that is offered to the operator or assigned to him (D4, D7, C4, D12)."""

    def work(connection: Connection) -> Done:
        scene = enter(connection, asked, dialog_id, operator_ids=[operator.id])
        dialog = scene.dialog
        check_accept(dialog.status, dialog.operator_id, operator.id)
        if dialog.status is DialogStatus.OFFERED:
            _accept_offer(connection, scene, operator)
        counted = dialogs.counts(connection, dialog_id)
        hold(connection, scene, operator, "accept")
        return Done(hints=frozenset(free_slot(connection, dialog, counted=counted)))

    return act(needs, asked, work, dialog_id)


def skip(needs: Dependencies, asked: Asked, operator: Operator, dialog_id: int) -> DialogSummary:
    """Let an assigned dialog pass at once (D5)."""

    def work(connection: Connection) -> Done:
        # Before anything is locked or prepared: who skips what is not his holds up nobody.
        peeked = show(dialog_id, connection, {})
        check_skip(peeked.status, peeked.operator.id if peeked.operator else None, operator.id)
        _, open_channel_id = place(connection, dialog_id, lock_chat=True)
        locked = desks.lock_open_channels(connection, [open_channel_id])
        backlogs = timers.backlogs(connection, [open_channel_id])
        (prepared,) = prepare(connection, locked, backlogs, {open_channel_id: Demand(leaving=[dialog_id])})
        dialog = lock(connection, dialog_id)
        check_skip(dialog.status, dialog.operator_id, operator.id)
        served = serve_each(connection, [prepared], HandOver([dialog_id], "skip", asked.actor))
        if dialog_id in served.kept:
            raise ActRefusedError("nobody_else", "no other operator can have it now, so it stays yours")
        return Done(hints=frozenset({Step.DISTRIBUTE}))

    return act(needs, asked, work, dialog_id)


def answer(needs: Dependencies, asked: Asked, operator: Operator, dialog_id: int, text: str) -> DialogSummary:
    """Answer the customer; answering an assigned dialog accepts it (D5, S1, S3, S5, C4)."""

    def work(connection: Connection) -> Done:
        scene = enter(connection, asked, dialog_id, lock_desk=False)
        dialog = scene.dialog
        check_answer(dialog.status, dialog.operator_id, operator.id)
        counted = dialogs.counts(connection, dialog_id)
        if dialog.accepted_at is None:  # assigned; or closed before, and his customer came back
            dialog = replace(dialog, status=hold(connection, scene, operator, "accept"))
        entry = say(connection, dialog, text, operator.id)
        dialogs.answered(connection, dialog_id)
        became = DialogStatus.AWAITING_CUSTOMER
        events.log(connection, [dialog.event(scene.actor, "answer", became, operator.id)])
        timers.stop_clocks(connection, [dialog_id], (Clock.UNANSWERED, Clock.CLOSING))
        start_auto_close(connection, scene, pinned=dialog.pinned)
        freed = free_slot(connection, dialog, counted=counted)
        outbox.insert(connection, [entry], SENDABLE_KINDS)
        return Done(hints=frozenset({Step.DELIVER} | freed))

    return act(needs, asked, work, dialog_id)


def take(needs: Dependencies, asked: Asked, operator: Operator, dialog_id: int) -> DialogSummary:
    """Take a dialog that waits, or as a supervisor any; above a limit if need be, which is marked (D7, D12)."""

    def work(connection: Connection) -> Done:
        scene = enter(connection, asked, dialog_id, operator_ids=[operator.id])
        dialog = scene.dialog
        check_take(dialog.status, dialog.operator_id, scene.standing)
        me = seat_of(connection, scene, operator.id)
        check_there(me, scene, "you")
        over = not me.free
        counted = dialogs.counts(connection, dialog_id)
        hold(connection, scene, operator, "take", over_limit=over)
        explain(connection, dialog.id, "take", operator.id, over_limit=over)
        return Done(hints=frozenset(free_slot(connection, dialog, counted=counted, left=True)))

    return act(needs, asked, work, dialog_id)


def close(needs: Dependencies, asked: Asked, dialog_id: int) -> DialogSummary:
    """Close a dialog: with a closing text it is closing for a while (S4); its slot is free for the backlog (D8)."""

    def work(connection: Connection) -> Done:
        scene = enter(connection, asked, dialog_id)
        dialog = scene.dialog
        check_charge(dialog.status, dialog.operator_id, scene.standing)
        counted = dialogs.counts(connection, dialog_id)
        told = wind_up(connection, dialog, scene.settings, scene.settings.closing_text, scene.actor, "close")
        freed = free_slot(connection, dialog, counted=counted)
        return Done(hints=frozenset(told | freed))

    return act(needs, asked, work, dialog_id)


def spam(needs: Dependencies, asked: Asked, dialog_id: int) -> DialogSummary:
    """Mark a dialog as spam and close it at once, without a text (S1)."""

    def work(connection: Connection) -> Done:
        scene = enter(connection, asked, dialog_id)
        dialog = scene.dialog
        check_charge(dialog.status, dialog.operator_id, scene.standing)
        counted = dialogs.counts(connection, dialog_id)
        dialogs.close(connection, [dialog_id], spam=True)
        events.log(connection, [dialog.event(scene.actor, "spam", DialogStatus.CLOSED, dialog.operator_id)])
        outbox.expire_held(connection, [dialog_id])
        return Done(hints=frozenset(free_slot(connection, dialog, counted=counted)))

    return act(needs, asked, work, dialog_id)


def reopen(needs: Dependencies, asked: Asked, dialog_id: int) -> DialogSummary:
    """Reopen a dialog that is closing or closed: it is the caller's again, or, for a service, waits (S4, D7)."""

    def work(connection: Connection) -> Done:
        caller = asked.caller
        operator_ids = [caller.id] if isinstance(caller, Operator) else []
        scene = enter(connection, asked, dialog_id, operator_ids=operator_ids)
        dialog = scene.dialog
        check_reopen(dialog.status, dialog.operator_id, scene.standing)
        if dialogs.has_other_open(connection, dialog.chat_id, dialog_id):
            raise ActRefusedError("chat_has_dialog", "the chat has another dialog, which is open")
        counted = dialogs.counts(connection, dialog_id)
        if not isinstance(caller, Operator):
            dialogs.queue(connection, [dialog], scene.actor, "reopen")
            due = [dialog.open_channel_id]
            return Done(hints=frozenset(free_slot(connection, dialog, counted=counted, left=True, due=due)))
        mine = dialog.operator_id == caller.id
        me = seat_of(connection, scene, caller.id)
        check_there(me, scene, "you")
        if not (counted and mine) and not me.free:
            raise cannot(me.first_limit, "you")
        hold(connection, scene, caller, "reopen")
        if not mine:
            explain(connection, dialog.id, "reopen", caller.id, over_limit=False)
        return Done(hints=frozenset(free_slot(connection, dialog, counted=counted, left=not mine)))

    return act(needs, asked, work, dialog_id)


def pin(needs: Dependencies, asked: Asked, dialog_id: int, *, pinned: bool) -> DialogSummary:
    """Pin a dialog to its operator, or not: that suspends the auto-close (S3), and the hand-on to others (D11)."""

    def work(connection: Connection) -> Done:
        scene = enter(connection, asked, dialog_id)
        dialog = scene.dialog
        check_charge(dialog.status, dialog.operator_id, scene.standing)
        if dialog.operator_id is None:
            raise ActRefusedError("nobodys", "nobody has the dialog: there is nobody to pin it to")
        if dialog.pinned is not pinned:
            dialogs.set_pinned(connection, dialog_id, pinned=pinned)
            cause = "pin" if pinned else "unpin"
            events.log(connection, [dialog.event(scene.actor, cause, dialog.status, dialog.operator_id)])
            if dialog.status is DialogStatus.AWAITING_CUSTOMER:
                start_auto_close(connection, scene, pinned=pinned)
        return Done()

    return act(needs, asked, work, dialog_id)


def _accept_offer(connection: Connection, scene: Scene, operator: Operator) -> None:
    """Whether it is offered to him is computed here, from fresh loads (D4, D7). Raises ActRefusedError."""
    dialog, available = scene.dialog, scene.settings.check_availability
    mine = seat_of(connection, scene, operator.id)
    if mine.position < 0:
        raise ActRefusedError(NOT_ON_ROSTER, "you are not on the roster of the dialog's open channel")
    why_not = mine.ineligible(available)
    if why_not is not None:
        raise cannot(why_not, "you")
    others = seats.first(connection, dialog.open_channel_id, scene.settings, MOST_NAMED)
    passed_over: dict[str, list[int]] = {}
    for other in others:
        if other.operator_id != operator.id:
            passed_over.setdefault(other.ineligible(available) or NOT_FIRST, []).append(other.operator_id)
    unread = scene.seats - len({operator.id, *(other.operator_id for other in others)})
    unnamed = {PassedOver.NOT_REACHED.value: unread} if unread else {}
    record = DecisionRecord(dialog.id, "D4", "accept", operator.id, passed_over, unnamed)
    planning.explain(connection, [record])

"""Transfers: to an operator, to the roster of another open channel, or back to the backlog (D10)."""

from dataclasses import dataclass, replace

from console.acting import Asked, Done
from console.dependencies import Dependencies
from console.scene import Scene, act, cannot, check_there, enter, explain, free_slot, seat_of
from crm_store import cards, dialogs, events, timers
from crm_store.database import Connection
from crm_store.timers import NewClock
from crm_store.views.dialogs import DialogSummary
from tracker.dialogs import (
    ActRefusedError,
    Clock,
    DialogStatus,
    check_transfer,
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a transfer goes: to an operator, to another open channel, or (neither) back to the backlog (D10)."""

    operator_id: int | None = None
    open_channel_id: int | None = None


def transfer(needs: Dependencies, asked: Asked, dialog_id: int, target: Target) -> DialogSummary:
    """Transfer a dialog to an operator, to the roster of another open channel, or back to the backlog (D10)."""

    def work(connection: Connection) -> Done:
        operator_ids = [] if target.operator_id is None else [target.operator_id]
        other_id = target.open_channel_id
        scene = enter(
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
        return Done(hints=frozenset(free_slot(connection, dialog, counted=counted, left=True, due=due)))

    return act(needs, asked, work, dialog_id)


def _transfer_to_operator(connection: Connection, scene: Scene, operator_id: int) -> None:
    """A supervisor may pass a limit, which is marked (D7). Raises ProblemError and ActRefusedError."""
    dialog, settings = scene.dialog, scene.settings
    his = seat_of(connection, scene, operator_id)
    if operator_id == dialog.operator_id:
        raise ActRefusedError("has_it_already", "this operator has the dialog already")
    check_there(his, scene, "the operator")
    why_not = None if scene.standing.supervises else his.ineligible(settings.check_availability)
    if why_not is not None:
        raise cannot(why_not, "the operator")
    over = not his.free
    dialogs.hand_to(connection, dialog, operator_id, over_limit=over)
    timers.stop_clocks(connection, [dialog.id], (Clock.AUTO_CLOSE,))
    clock = NewClock(Clock.HANDOVER, dialog.open_channel_id, dialog.id, settings.handover_after)
    timers.set_clocks(connection, [clock])
    if scene.card_ids and settings.transfer_changes_responsible:
        cards.transferred_to(connection, scene.card_ids, dialog.chat_id, operator_id)
    explain(connection, dialog.id, "transfer", operator_id, over_limit=over)
    details = {"handover_after": settings.handover_after, "over_limit": over or None}
    events.log(connection, [dialog.event(scene.actor, "transfer", DialogStatus.ASSIGNED, operator_id, **details)])


def _transfer_to_roster(connection: Connection, scene: Scene) -> int:
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

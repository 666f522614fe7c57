"""The scene of an act: a dialog, and all that must be locked before anything is done to it.

Lock order: chat, cards, open channels, operators, dialog, timers, outbox. The chat's lock keeps the dialog's open
channel, the chat's cards and whether somebody has accepted it as they were read. What can raise somebody's load holds
the open channel's lock and his (D7).
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

from config.topology import Step
from console import access
from console.acting import Asked, Done, carry_out
from console.dependencies import Dependencies
from console.problems import unknown
from console.security import Operator
from crm_store import cards, chats, desks, dialogs, events, matching, planning, seats, timers
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
)
from tracker.distribution import PassedOver, RosterOperator

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
class Scene:
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


def enter(
    connection: Connection,
    asked: Asked,
    dialog_id: int,
    *,
    operator_ids: Collection[int] = (),
    other_id: int | None = None,
    lock_desk: bool = True,
    lock_cards: bool = False,
) -> Scene:
    """Lock a dialog and what an act on it needs, in the order of all locks. operator_ids: who may be given it.

    lock_desk: for whatever may change a dialog that waits, or somebody's load. lock_cards: also if somebody has
    accepted the dialog, upon which no other becomes responsible but by a transfer (C4, D10). Raises ProblemError.
    """
    chat_id, open_channel_id = place(connection, dialog_id, lock_chat=True)
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
    dialog = lock(connection, dialog_id)
    standing = access.standing(connection, asked.caller, dialog)
    return Scene(dialog, settings, card_ids, standing, asked.actor, other, n_seats)


def place(connection: Connection, dialog_id: int, *, lock_chat: bool) -> tuple[int, int]:
    """Chat and open channel of a dialog; the latter may change until the chat is locked."""
    place = dialogs.peek(connection, dialog_id)
    if place is not None and lock_chat:
        chats.lock(connection, place[0])
        place = dialogs.peek(connection, dialog_id)
    if place is None:
        raise unknown("dialog", dialog_id)
    return place


def lock(connection: Connection, dialog_id: int) -> LockedDialog:
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


def seat_of(connection: Connection, scene: Scene, operator_id: int) -> RosterOperator:
    """A locked operator as he stands in the dialog's open channel. Raises ProblemError."""
    found = seats.read_some(connection, scene.dialog.open_channel_id, scene.settings, [operator_id])
    if not found.operators:
        raise unknown("operator", operator_id)
    return found.operators[0]


def check_there(operator: RosterOperator, scene: Scene, who: str) -> None:
    """From whoever has left it would go back at once (D11). Raises ActRefusedError."""
    why_not = operator.absent(scene.settings.check_availability)
    if why_not in (PassedOver.DISMISSED, PassedOver.ON_LEAVE, PassedOver.WORKDAY_NOT_STARTED):
        raise cannot(why_not, who)


def cannot(why: PassedOver, who: str) -> ActRefusedError:
    """who: `you`, or of whom the caller is told."""
    said = _WHY_NOT[why]
    if who == "you":
        said = said.replace("was ", "were ").replace("is ", "are ").replace("has ", "have ")
    return ActRefusedError(why, f"{who} {said}")


def hold(
    connection: Connection, scene: Scene, operator: Operator, cause: str, *, over_limit: bool = False
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
        start_auto_close(connection, scene, pinned=dialog.pinned and dialog.operator_id == operator.id)
    return became


def start_auto_close(connection: Connection, scene: Scene, *, pinned: bool) -> None:
    """The operator has spoken last (S3); a pin suspends it."""
    dialog, after = scene.dialog, scene.settings.close_after
    if pinned or after is None:
        timers.stop_clocks(connection, [dialog.id], (Clock.AUTO_CLOSE,))
    else:
        timers.set_clocks(connection, [NewClock(Clock.AUTO_CLOSE, dialog.open_channel_id, dialog.id, after)])


def explain(connection: Connection, dialog_id: int, rule: str, operator_id: int, *, over_limit: bool) -> None:
    """A person decided (D12)."""
    record = DecisionRecord(dialog_id, rule, rule, operator_id, {}, {}, over_limit)
    planning.explain(connection, [record])


def free_slot(
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


def act(needs: Dependencies, asked: Asked, work: Callable[[Connection], Done], dialog_id: int) -> DialogSummary:
    """Every act answers with the dialog as it is then. Raises ProblemError (unknown_dialog) and ActRefusedError."""
    return carry_out(needs, asked, work, partial(show, dialog_id))


def show(dialog_id: int, connection: Connection, _ids: Mapping[str, int]) -> DialogSummary:
    shown = views.summary(connection, dialog_id)
    if shown is None:
        raise unknown("dialog", dialog_id)
    return shown

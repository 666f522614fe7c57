"""What operators do with dialogs. Each act is one transaction; what it makes possible is hinted after its commit.

Lock order: chat, cards, open channel, operator, dialog, timers, outbox. An act that may be the first to take a
dialog holds the chat's lock, so that the chat's cards and whether somebody has accepted it stay as they were read.
"""

from config.topology import Step
from console.dependencies import Dependencies
from console.problems import unknown
from console.security import Operator
from crm_store import cards, chats, desks, dialogs, matching, outbox
from crm_store.chats import OutboundEntry
from crm_store.database import Connection
from crm_store.desks import LockedOpenChannel
from crm_store.dialogs import DialogEvent, LockedDialog
from crm_store.views import dialogs as views
from crm_store.views.dialogs import DialogSummary
from tracker.dialogs import ActRefusedError, DialogStatus, check_accept, check_answer, check_close
from tracker.distribution import PassedOver, RosterOperator
from worker.senders import SENDABLE_KINDS
from worker.steps.distribute import as_operators

NOT_ON_ROSTER = "not_on_roster"
NOT_FIRST = "not_first"
"""Why an operator to whom a dialog was offered does not have it: another accepted first (D4, D12)."""

_WHY_NOT = {
    PassedOver.DISMISSED: "you were dismissed",
    PassedOver.OFFLINE: "you are offline; go online first",
    PassedOver.AT_LIMIT: "you have as many dialogs of this open channel as you may",
    PassedOver.AT_PERSONAL_LIMIT: "you have as many dialogs over all open channels as you may",
}


def accept(needs: Dependencies, operator: Operator, dialog_id: int) -> DialogSummary:
    """Accept a dialog that is offered to the operator or assigned to him (D4, D7, C4, D12).

    Raises ProblemError (unknown_dialog) and ActRefusedError.
    """
    with needs.database.transaction() as connection:
        chat_id, open_channel_id = _place(connection, dialog_id)
        chats.lock(connection, chat_id)
        card_ids = _lock_cards(connection, chat_id, dialog_id)
        (desk,) = desks.lock_open_channels(connection, [open_channel_id])
        desks.lock_operators(connection, [operator.id])
        dialog = _lock(connection, dialog_id)
        check_accept(dialog.status, dialog.operator_id, operator.id)
        if dialog.status is DialogStatus.OFFERED:
            _accept_offer(connection, desk, dialog, operator)
        _take(connection, dialog, operator, card_ids)
        return _shown(connection, dialog_id)


def answer(needs: Dependencies, operator: Operator, dialog_id: int, text: str) -> DialogSummary:
    """Answer the customer; answering an assigned dialog accepts it (D5, S1, S5, C4).

    Raises ProblemError (unknown_dialog) and ActRefusedError.
    """
    with needs.database.transaction() as connection:
        chat_id, _ = _place(connection, dialog_id)
        chats.lock(connection, chat_id)
        card_ids = _lock_cards(connection, chat_id, dialog_id)
        dialog = _lock(connection, dialog_id)
        check_answer(dialog.status, dialog.operator_id, operator.id)
        counted = dialogs.counts(connection, dialog_id)
        was = dialog.status
        if was is DialogStatus.ASSIGNED:
            was = _take(connection, dialog, operator, card_ids)
        seq = chats.take_seqs(connection, {chat_id: 1})[chat_id]
        entry = OutboundEntry(chat_id, seq, text, dialog_id, operator.id)
        chats.append_outbound(connection, [entry])
        dialogs.answered(connection, dialog_id)
        _log(connection, dialog_id, operator, "answer", was, DialogStatus.AWAITING_CUSTOMER)
        freed = _free_slot(connection, dialog, operator, counted=counted)
        outbox.insert(connection, [entry], SENDABLE_KINDS)
        shown = _shown(connection, dialog_id)
    needs.hint(Step.DELIVER)
    if freed:
        needs.hint(Step.DISTRIBUTE)
    return shown


def close(needs: Dependencies, operator: Operator, dialog_id: int) -> DialogSummary:
    """Close a dialog; what could not be sent in it expires, and its slot is free for the backlog (D8, S1).

    Raises ProblemError (unknown_dialog) and ActRefusedError.
    """
    with needs.database.transaction() as connection:
        dialog = _lock(connection, dialog_id)
        check_close(dialog.status, dialog.operator_id, operator.id)
        counted = dialogs.counts(connection, dialog_id)
        dialogs.close(connection, dialog_id)
        _log(connection, dialog_id, operator, "close", dialog.status, DialogStatus.CLOSED)
        freed = _free_slot(connection, dialog, operator, counted=counted)
        outbox.expire_held(connection, dialog_id)
        shown = _shown(connection, dialog_id)
    if freed:
        needs.hint(Step.DISTRIBUTE)
    return shown


def _place(connection: Connection, dialog_id: int) -> tuple[int, int]:
    """Chat and open channel of a dialog, which are locked before it."""
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
    """Card and deal of the locked chat, locked, if nobody has accepted the dialog so far: else nobody changes them."""
    if dialogs.is_accepted(connection, dialog_id):
        return set()
    context = chats.contexts(connection, [chat_id]).get(chat_id)
    if context is None:  # its customer was erased while this act waited for the chat
        raise unknown("dialog", dialog_id)
    own = {card_id for card_id in (context.card_id, context.deal_id) if card_id is not None}
    return set(matching.lock_live_cards(connection, own).values()) if own else set()


def _accept_offer(connection: Connection, desk: LockedOpenChannel, dialog: LockedDialog, operator: Operator) -> None:
    """Whether it is offered to him is computed here, from fresh loads (D4, D7). Raises ActRefusedError."""
    roster = desks.read_rosters(connection, [desk.id]).get(desk.id, [])
    loads = dialogs.loads(connection, desk.id, [row.operator_id for row in roster])
    operators = as_operators(desk.settings, desk.turn, roster, loads)
    available = desk.settings.check_availability
    mine = next((candidate for candidate in operators if candidate.operator_id == operator.id), None)
    if mine is None:
        raise ActRefusedError(NOT_ON_ROSTER, "you are not on the roster of the dialog's open channel")
    why_not = mine.ineligible(available)
    if why_not is not None:
        raise ActRefusedError(why_not, _WHY_NOT.get(why_not, "the dialog is not offered to you"))
    passed_over = _passed_over(operators, operator.id, check_availability=available)
    dialogs.explain(connection, dialog.id, "D4", operator.id, passed_over)


def _passed_over(
    operators: list[RosterOperator], acceptor_id: int, *, check_availability: bool
) -> dict[str, list[int]]:
    """The others by the reason for which they do not have the dialog (D12)."""
    others: dict[str, list[int]] = {}
    for candidate in operators:
        if candidate.operator_id != acceptor_id:
            why = candidate.ineligible(check_availability) or NOT_FIRST
            others.setdefault(why, []).append(candidate.operator_id)
    return others


def _take(connection: Connection, dialog: LockedDialog, operator: Operator, card_ids: set[int]) -> DialogStatus:
    """The dialog is his from now on, and the card if he is the first (C4)."""
    if dialog.accepted_at is None and card_ids:
        cards.accepted_by(connection, card_ids, operator.id)
    dialogs.accept(connection, dialog.id, operator.id)
    _log(connection, dialog.id, operator, "accept", dialog.status, DialogStatus.ACCEPTED)
    return DialogStatus.ACCEPTED


def _free_slot(connection: Connection, dialog: LockedDialog, operator: Operator, *, counted: bool) -> bool:
    """If the dialog counted and does so no more, the backlogs that can use the slot are tried at once (D7, D8)."""
    if not counted or dialogs.counts(connection, dialog.id):
        return False
    served = desks.open_channels_of_slot(connection, operator.id, dialog.open_channel_id)
    timers.set_backlogs(connection, {dialog.open_channel_id, *served}, 0.0)
    return True


def _log(
    connection: Connection,
    dialog_id: int,
    operator: Operator,
    cause: str,
    was: DialogStatus,
    became: DialogStatus,
) -> None:
    """A change of status is an event; an act that changes none is not (S1)."""
    if was is not became:
        event = DialogEvent(dialog_id, f"operator:{operator.id}", cause, was, became)
        dialogs.log_events(connection, [event])


def _shown(connection: Connection, dialog_id: int) -> DialogSummary:
    shown = views.summary(connection, dialog_id)
    if shown is None:
        raise unknown("dialog", dialog_id)
    return shown

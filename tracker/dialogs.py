"""The life of a dialog (S1): which status follows which act, and which acts are refused."""

from enum import StrEnum

from tracker.access import Standing
from tracker.channels import OpenChannelSettings


class DialogStatus(StrEnum):
    """S1."""

    QUEUED = "queued"
    OFFERED = "offered"
    ASSIGNED = "assigned"
    ACCEPTED = "accepted"
    AWAITING_CUSTOMER = "awaiting_customer"
    AWAITING_OPERATOR = "awaiting_operator"
    CLOSING = "closing"
    CLOSED = "closed"


HELD = frozenset(
    {
        DialogStatus.ACCEPTED,
        DialogStatus.AWAITING_CUSTOMER,
        DialogStatus.AWAITING_OPERATOR,
        DialogStatus.CLOSING,
    }
)
"""An operator has taken it."""

UNANSWERED = frozenset({DialogStatus.ASSIGNED, DialogStatus.ACCEPTED, DialogStatus.AWAITING_OPERATOR})
"""The customer waits for the operator who has it (D11)."""

WAITING = frozenset({DialogStatus.QUEUED, DialogStatus.OFFERED})
"""Nobody has it."""


class Clock(StrEnum):
    """Timers of dialogs (D5, S2, S3, S4)."""

    HANDOVER = "handover"
    UNANSWERED = "unanswered"
    AUTO_CLOSE = "auto_close"
    CLOSING = "closing"


class ActRefusedError(Exception):
    """An operator's act that the rules do not allow. `reason` is stable."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def after_customer_message(status: DialogStatus) -> DialogStatus:
    """The status once the customer has written again (S1, S4)."""
    if status in (DialogStatus.AWAITING_CUSTOMER, DialogStatus.CLOSING):
        return DialogStatus.AWAITING_OPERATOR
    return status


def after_hold(*, awaits_customer: bool) -> DialogStatus:
    """The status once an operator has it. awaits_customer: we have spoken last, whoever had it then (S1, S3)."""
    return DialogStatus.AWAITING_CUSTOMER if awaits_customer else DialogStatus.ACCEPTED


def after_close(settings: OpenChannelSettings, text: str, holder_id: int | None) -> DialogStatus:
    """The status once it was closed with this text to the customer (S4). What nobody has, nobody can come back to."""
    returns = text and settings.full_close_after and holder_id is not None
    return DialogStatus.CLOSING if returns else DialogStatus.CLOSED


def check_accept(status: DialogStatus, holder_id: int | None, operator_id: int) -> None:
    """Whether this operator may accept the dialog; an offered one anybody to whom it is offered (D4).

    Raises ActRefusedError.
    """
    match status:
        case DialogStatus.OFFERED:
            return
        case DialogStatus.ASSIGNED if holder_id == operator_id:
            return
        case DialogStatus.QUEUED:
            raise ActRefusedError("not_assigned", "the dialog waits in the backlog and was not given to you")
        case DialogStatus.CLOSED:
            raise ActRefusedError("closed", "the dialog is closed")
        case _ if holder_id == operator_id:
            raise ActRefusedError("already_yours", "you have accepted this dialog already")
        case _:
            raise ActRefusedError("taken", "another operator has this dialog")


def check_skip(status: DialogStatus, holder_id: int | None, operator_id: int) -> None:
    """Whether this operator may let the dialog pass at once (D5). Raises ActRefusedError."""
    if status is DialogStatus.CLOSED:
        raise ActRefusedError("closed", "the dialog is closed")
    if holder_id != operator_id:
        raise ActRefusedError("not_yours", "the dialog is not assigned to you")
    if status is not DialogStatus.ASSIGNED:
        raise ActRefusedError("already_yours", "you have accepted this dialog; transfer it instead")


def check_answer(status: DialogStatus, holder_id: int | None, operator_id: int) -> None:
    """Whether this operator may answer in the dialog; answering an assigned one accepts it (D5).

    Raises ActRefusedError.
    """
    if status is DialogStatus.CLOSED:
        raise ActRefusedError("closed", "the dialog is closed; a new message of the customer starts another")
    if holder_id != operator_id:
        raise ActRefusedError("not_yours", "the dialog is not yours; accept it first")
    if status is DialogStatus.CLOSING:
        raise ActRefusedError("closing", "the dialog is closing; reopen it first")


def check_take(status: DialogStatus, holder_id: int | None, standing: Standing) -> None:
    """Whether he may take the dialog, above a limit if need be (D7). Raises ActRefusedError."""
    if status is DialogStatus.CLOSED:
        raise ActRefusedError("closed", "the dialog is closed; reopen it")
    if holder_id == standing.operator_id:
        raise ActRefusedError("already_yours", "you have this dialog")
    if standing.supervises:
        return
    if status not in WAITING:
        raise ActRefusedError("taken", "another operator has this dialog")
    if not standing.on_roster:
        raise ActRefusedError("not_on_roster", "you are not on the roster of the dialog's open channel")


def check_charge(status: DialogStatus, holder_id: int | None, standing: Standing) -> None:
    """Whether he may transfer, close, pin or mark the dialog: its holder, or a supervisor. Raises ActRefusedError."""
    if status is DialogStatus.CLOSED:
        raise ActRefusedError("closed", "the dialog is closed")
    if standing.supervises:
        return
    if holder_id is None or holder_id != standing.operator_id:
        raise ActRefusedError("not_yours", "only the operator who has the dialog, or a supervisor, may do this")


def check_transfer(status: DialogStatus, holder_id: int | None, standing: Standing) -> None:
    """Whether he may transfer the dialog (D10). Raises ActRefusedError."""
    check_charge(status, holder_id, standing)
    if status is DialogStatus.CLOSING:
        raise ActRefusedError("closing", "the dialog is closing; reopen it first")


def check_reopen(status: DialogStatus, holder_id: int | None, standing: Standing) -> None:
    """Whether he may reopen the dialog: who had it last, or a supervisor. Raises ActRefusedError."""
    if status not in (DialogStatus.CLOSED, DialogStatus.CLOSING):
        raise ActRefusedError("open", "the dialog is open")
    if not standing.supervises and (holder_id is None or holder_id != standing.operator_id):
        raise ActRefusedError("not_yours", "only the operator who had the dialog last, or a supervisor, may reopen it")

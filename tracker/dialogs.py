"""The life of a dialog (S1): which status follows which act, and which acts are refused."""

from enum import StrEnum


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


def check_answer(status: DialogStatus, holder_id: int | None, operator_id: int) -> None:
    """Whether this operator may answer in the dialog; answering an assigned one accepts it (D5).

    Raises ActRefusedError.
    """
    if status is DialogStatus.CLOSED:
        raise ActRefusedError("closed", "the dialog is closed; a new message of the customer starts another")
    if holder_id != operator_id:
        raise ActRefusedError("not_yours", "the dialog is not yours; accept it first")


def check_close(status: DialogStatus, holder_id: int | None, operator_id: int) -> None:
    """Whether this operator may close the dialog. Raises ActRefusedError."""
    if status is DialogStatus.CLOSED:
        raise ActRefusedError("closed", "the dialog is closed already")
    if holder_id != operator_id:
        raise ActRefusedError("not_yours", "only the operator who has the dialog may close it")

"""Acts over HTTP: routes that translate only. A refusal by the rules is 409 with its reason."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Response
from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from console import card_creation, operations, transfers
from console.acting import Asking
from console.card_creation import MadeCard
from console.dependencies import Needs
from console.pages import RowId
from console.problems import documented
from console.security import OperatorOnly
from console.tracker_bodies import Act
from console.transfers import Target
from crm_store.views.dialogs import DialogSummary
from tracker.cards import CardType
from tracker.texts import clean_text

LONGEST_ANSWER = 4000
"""Characters; the smallest limit among the messengers is 4096."""

PositiveId = Annotated[int, Field(ge=1, le=2**63 - 1, strict=True)]

router = APIRouter(prefix="/api", tags=["acts"], responses=documented(401, 403, 404, 409, 422, 503))


class Answer(Act):
    """What the operator writes to the customer."""

    text: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_ANSWER),
        BeforeValidator(clean_text),
    ]


class Transfer(Act):
    """Where the dialog goes: one of the three."""

    operator: PositiveId | None = None
    open_channel: PositiveId | None = None
    backlog: Literal[True] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(target is not None for target in (self.operator, self.open_channel, self.backlog)) != 1:
            raise ValueError("give exactly one of `operator`, `open_channel` and `backlog`")
        return self


class WantedType(StrEnum):
    """A deal comes with its contact (C1)."""

    LEAD = "lead"
    DEAL = "deal"


class WantedCard(Act):
    """What is to be made (C2)."""

    type: WantedType


@router.post("/dialogs/{dialog_id}/accept")
def accept(
    needs: Needs, asking: Asking, operator: OperatorOnly, dialog_id: RowId, body: Act | None = None
) -> DialogSummary:
    """Take a dialog that is offered or assigned to you (D4).

    Refused: taken, already_yours, not_assigned, closed; for an offer also not_on_roster, at_limit, at_personal_limit,
    and why you are not available.
    """
    return operations.accept(needs, asking.to("accept", {"dialog_id": dialog_id}, body or Act()), operator, dialog_id)


@router.post("/dialogs/{dialog_id}/skip")
def skip(
    needs: Needs, asking: Asking, operator: OperatorOnly, dialog_id: RowId, body: Act | None = None
) -> DialogSummary:
    """Let a dialog that is assigned to you pass to another (D5).

    Refused: not_yours, already_yours, closed, nobody_else.
    """
    return operations.skip(needs, asking.to("skip", {"dialog_id": dialog_id}, body or Act()), operator, dialog_id)


@router.post("/dialogs/{dialog_id}/answer")
def answer(needs: Needs, asking: Asking, operator: OperatorOnly, dialog_id: RowId, body: Answer) -> DialogSummary:
    """Write to the customer (S5). Refused: not_yours, closed."""
    return operations.answer(needs, asking.to("answer", {"dialog_id": dialog_id}, body), operator, dialog_id, body.text)


@router.post("/dialogs/{dialog_id}/take")
def take(
    needs: Needs, asking: Asking, operator: OperatorOnly, dialog_id: RowId, body: Act | None = None
) -> DialogSummary:
    """Take a dialog that waits; a supervisor any that is open. It may pass a limit (D7).

    Refused: taken, already_yours, not_on_roster, closed.
    """
    return operations.take(needs, asking.to("take", {"dialog_id": dialog_id}, body or Act()), operator, dialog_id)


@router.post("/dialogs/{dialog_id}/transfer")
def transfer(needs: Needs, asking: Asking, dialog_id: RowId, body: Transfer) -> DialogSummary:
    """Give the dialog to another operator, to another open channel, or back to the backlog (D10).

    Refused: not_yours, closed, closing, has_it_already, waits_already, inactive, and why the operator cannot have it.
    """
    target = Target(body.operator, body.open_channel)
    return transfers.transfer(needs, asking.to("transfer", {"dialog_id": dialog_id}, body), dialog_id, target)


@router.post("/dialogs/{dialog_id}/close")
def close(needs: Needs, asking: Asking, dialog_id: RowId, body: Act | None = None) -> DialogSummary:
    """End the dialog; with a closing text it is closing for a while (S4). Refused: not_yours, closed."""
    return operations.close(needs, asking.to("close", {"dialog_id": dialog_id}, body or Act()), dialog_id)


@router.post("/dialogs/{dialog_id}/spam")
def spam(needs: Needs, asking: Asking, dialog_id: RowId, body: Act | None = None) -> DialogSummary:
    """Mark the dialog as spam, and end it at once. Refused: not_yours, closed."""
    return operations.spam(needs, asking.to("spam", {"dialog_id": dialog_id}, body or Act()), dialog_id)


@router.post("/dialogs/{dialog_id}/reopen")
def reopen(needs: Needs, asking: Asking, dialog_id: RowId, body: Act | None = None) -> DialogSummary:
    """Go on with a dialog that was ended. Refused: open, not_yours, chat_has_dialog, at_limit, at_personal_limit."""
    return operations.reopen(needs, asking.to("reopen", {"dialog_id": dialog_id}, body or Act()), dialog_id)


@router.post("/dialogs/{dialog_id}/pin")
def pin(needs: Needs, asking: Asking, dialog_id: RowId, body: Act | None = None) -> DialogSummary:
    """Keep it with its operator, and open (S3, D11). Refused: not_yours, nobodys, closed."""
    return operations.pin(needs, asking.to("pin", {"dialog_id": dialog_id}, body or Act()), dialog_id, pinned=True)


@router.post("/dialogs/{dialog_id}/unpin")
def unpin(needs: Needs, asking: Asking, dialog_id: RowId, body: Act | None = None) -> DialogSummary:
    """Undo a pin. Refused: not_yours, nobodys, closed."""
    return operations.pin(needs, asking.to("unpin", {"dialog_id": dialog_id}, body or Act()), dialog_id, pinned=False)


@router.post("/chats/{chat_id}/card", status_code=201, responses={200: {"model": MadeCard}})
def create_card(needs: Needs, asking: Asking, chat_id: RowId, body: WantedCard, response: Response) -> MadeCard:
    """Make the card of a chat that has none yet (C2); 200 if the look-up, repeated now, found one.

    Refused: card_exists (with `card_id`), not_yours, not_processed.
    """
    asked = asking.to("create_card", {"chat_id": chat_id}, body)
    made = card_creation.create_card(needs, asked, chat_id, CardType(body.type))
    if not made.made:
        response.status_code = 200
    return made

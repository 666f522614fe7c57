"""Acts over HTTP: routes that translate only. A refusal by the rules is 409 with its reason."""

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints

from console import card_creation, operations
from console.card_creation import MadeCard
from console.dependencies import Needs
from console.pages import RowId
from console.problems import documented
from console.security import AnyCaller, OperatorOnly
from crm_store.views.dialogs import DialogSummary
from tracker.cards import CardType
from tracker.texts import clean_text

LONGEST_ANSWER = 4000
"""Characters; the smallest limit among the messengers is 4096."""

router = APIRouter(prefix="/api", tags=["acts"], responses=documented(401, 403, 404, 409, 422, 503))


class Answer(BaseModel):
    """What the operator writes to the customer."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    text: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_ANSWER),
        BeforeValidator(clean_text),
    ]


class WantedType(StrEnum):
    """A deal comes with its contact (C1)."""

    LEAD = "lead"
    DEAL = "deal"


class WantedCard(BaseModel):
    """What is to be made (C2)."""

    model_config = ConfigDict(extra="forbid")

    type: WantedType


@router.post("/dialogs/{dialog_id}/accept")
def accept(needs: Needs, operator: OperatorOnly, dialog_id: RowId) -> DialogSummary:
    """Take a dialog that is offered or assigned to you.

    Refused: taken, already_yours, not_assigned, closed, not_on_roster, offline, at_limit, at_personal_limit.
    """
    return operations.accept(needs, operator, dialog_id)


@router.post("/dialogs/{dialog_id}/answer")
def answer(needs: Needs, operator: OperatorOnly, dialog_id: RowId, body: Answer) -> DialogSummary:
    """Write to the customer. Refused: not_yours, closed."""
    return operations.answer(needs, operator, dialog_id, body.text)


@router.post("/dialogs/{dialog_id}/close")
def close(needs: Needs, operator: OperatorOnly, dialog_id: RowId) -> DialogSummary:
    """End the dialog. Refused: not_yours, closed."""
    return operations.close(needs, operator, dialog_id)


@router.post("/chats/{chat_id}/card", status_code=201, responses={200: {"model": MadeCard}})
def create_card(needs: Needs, caller: AnyCaller, chat_id: RowId, body: WantedCard, response: Response) -> MadeCard:
    """Make the card of a chat that has none yet (C2); 200 if the look-up, repeated now, found one.

    Refused: card_exists (with `card_id`), not_yours, not_processed.
    """
    made = card_creation.create_card(needs, caller, chat_id, CardType(body.type))
    if not made.made:
        response.status_code = 200
    return made

"""Bodies of the tracker's routes."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from console.auditing import masked
from console.identifying import Region
from tracker.extraction import extract
from tracker.texts import NAME_LENGTH, clean_name, clean_text

LONGEST_REASON = 1000
"""Characters."""


def _no_identifier(name: str) -> str:
    if masked(name) != name or extract(name, None):
        raise ValueError("a person's name is wanted here, no phone and no e-mail: it stays in the audit")
    return name


Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_REASON),
    BeforeValidator(clean_text),
]
Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=LONGEST_REASON), BeforeValidator(clean_text)]
Person = Annotated[
    str, StringConstraints(min_length=1, max_length=100), BeforeValidator(clean_name), AfterValidator(_no_identifier)
]
CardId = Annotated[int, Field(ge=1, le=2**63 - 1, strict=True)]
Written = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=512), BeforeValidator(clean_text)
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Act(_Body):
    """An act by the service. by: for whom, as the caller's system names him."""

    by: Person | None = None


class Accepting(Act):
    """A review is accepted."""

    note: Note = ""


class Rejecting(Act):
    """A review is rejected: the two are kept apart for ever, so it must be said why."""

    note: Reason


class ReasonedAct(Act):
    """An act with its reason."""

    reason: Reason


class Merging(ReasonedAct):
    """Two cards are one customer's."""

    card_id: CardId
    other_id: CardId


class Detaching(ReasonedAct):
    """An identifier is not this customer's."""

    identifier: Written
    region: Region | None = None


class Blocking(ReasonedAct):
    """A value never matches."""

    value: Written
    region: Region | None = None


class Unblocking(Act):
    """A value may match again."""

    value: Written
    region: Region | None = None


class Renaming(Act):
    """A card's name."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=NAME_LENGTH), BeforeValidator(clean_name)]


class GivenIdentifier(Act):
    """An identifier on a card."""

    identifier: Written
    region: Region | None = None

"""Channels and open channels as the rules see them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


@dataclass(frozen=True, slots=True)
class Channel:
    """One connected account: a Telegram bot, a WhatsApp number, a web form.

    key: its name in the webhook's URL. account_id: the provider's id of the account, empty where it has none.
    region: ISO 3166 code in which national phone numbers are read. secrets: the valid ones, newest first (two
    during a rotation). config: what the adapter of this kind needs besides. unreadable: the secrets are encrypted with
    a key that this process does not have, so nothing of the channel can be verified or signed now.
    """

    id: int
    key: str
    kind: str
    name: str
    open_channel_id: int
    account_id: str = ""
    region: str | None = None
    secrets: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    active: bool = True
    unreadable: bool = False


class CardMode(StrEnum):
    """C1."""

    LEAD = "lead"
    DEAL = "deal"


class DealPolicy(StrEnum):
    """C1: what happens under a contact that has an active deal."""

    REUSE = "reuse"
    ALWAYS_NEW = "always_new"


class CreateMode(StrEnum):
    """C2."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


class CreateWhen(StrEnum):
    """C3."""

    FIRST_MESSAGE = "first_message"
    CONTACT_DETAILS = "contact_details"
    FULL_DETAILS = "full_details"


class Distribution(StrEnum):
    """D2, D3, D4."""

    EVENLY = "evenly"
    STRICTLY = "strictly"
    ALL = "all"


class Counted(StrEnum):
    """D7: which accepted dialogs count against `max_dialogs`; assigned ones always do."""

    ALL = "all"
    WITHOUT_ANSWERED = "without_answered"
    WITHOUT_AWAITING_CUSTOMER = "without_awaiting_customer"
    WITHOUT_CLOSING = "without_closing"


class TypedIdentifiers(StrEnum):
    """T8: what an identifier that somebody only typed may do."""

    BIND = "bind"
    SUGGEST = "suggest"


AUTOMATIC_SOURCE = "automatic"

Text = Annotated[str, Field(max_length=4000)]
"""A text to the customer; the smallest limit among the messengers is 4096 characters."""


def _nothing_or_a_minute(seconds: int) -> int:
    if 0 < seconds < 60:
        raise ValueError("must be 0, or at least 60")
    return seconds


class OpenChannelSettings(BaseModel):
    """What an open channel is set to; the defaults are those of BEHAVIOUR.

    create_when: None takes the default of the channel's kind (C3). source: `automatic` is the channel's kind and
    name (C4). max_dialogs: per operator on this open channel; None is no limit (D7). nobody_available_text: sent
    once per dialog when nobody is eligible (D8); empty sends nothing. max_claimants: so many people may claim one phone
    or e-mail before it is nobody's (T9). handover_after, mark_unanswered_after, close_after, full_close_after: seconds
    (D5, S2-S4); None never. unanswered_text, closing_text, auto_close_text: empty sends nothing (S2, A5).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    check_client_in_crm: bool = True
    chat_tracker: bool = True
    typed_identifiers: TypedIdentifiers = TypedIdentifiers.BIND
    max_claimants: int = Field(5, ge=1, le=1000)
    mode: CardMode = CardMode.LEAD
    deals: DealPolicy = DealPolicy.REUSE
    create: CreateMode = CreateMode.AUTOMATIC
    create_when: CreateWhen | None = None
    source: str = Field(AUTOMATIC_SOURCE, min_length=1, max_length=200)
    distribution: Distribution = Distribution.EVENLY
    check_availability: bool = True
    max_dialogs: int | None = Field(None, ge=1)
    counted: Counted = Counted.ALL
    nobody_available_text: Text = ""
    handover_after: int = Field(60, ge=60, le=12 * 3600)
    to_responsible: bool = False
    transfer_changes_responsible: bool = False
    mark_unanswered_after: int | None = Field(None, ge=300, le=3600)
    unanswered_text: Text = ""
    close_after: int | None = Field(None, ge=60, le=365 * 24 * 3600)
    auto_close_text: Text = ""
    closing_text: Text = ""
    full_close_after: Annotated[int, AfterValidator(_nothing_or_a_minute)] = Field(0, ge=0, le=24 * 3600)

"""Cards as the rules see them, and when one is made (C1-C4)."""

from dataclasses import dataclass
from enum import StrEnum

from tracker.channels import CardMode, CreateMode, CreateWhen, DealPolicy, OpenChannelSettings


class CardType(StrEnum):
    """What a card is, in the order in which a match prefers it (T2). Nobody sees a provisional one."""

    CONTACT = "contact"
    COMPANY = "company"
    DEAL = "deal"
    LEAD = "lead"
    PROVISIONAL = "provisional"


CARD_TYPE_RANK = {card_type: rank for rank, card_type in enumerate(CardType)}

_WAITS_FOR_DETAILS = frozenset({"livechat"})


@dataclass(frozen=True, slots=True)
class CardDetails:
    """What is known of a customer when it is decided whether to make a card."""

    type: CardType
    name: str
    has_phone: bool
    has_email: bool


@dataclass(frozen=True, slots=True)
class DealState:
    """The deals of a chat's contact. used: the chat's deal belongs to a dialog that is closed already."""

    chat_deal_id: int | None
    chat_deal_used: bool
    active_deal_id: int | None


@dataclass(frozen=True, slots=True)
class DealDecision:
    """deal_id: the deal to go on with; None asks for a new one."""

    deal_id: int | None


def create_when(settings: OpenChannelSettings, channel_kind: str) -> CreateWhen:
    """The moment of creation, with the default of the channel's kind (C3)."""
    if settings.create_when is not None:
        return settings.create_when
    return CreateWhen.CONTACT_DETAILS if channel_kind in _WAITS_FOR_DETAILS else CreateWhen.FIRST_MESSAGE


def becomes(details: CardDetails, settings: OpenChannelSettings, channel_kind: str) -> CardType | None:
    """What a provisional card becomes now, or None if it stays what it is (C1-C3)."""
    if details.type is not CardType.PROVISIONAL or settings.create is CreateMode.MANUAL:
        return None
    if not _details_suffice(details, create_when(settings, channel_kind)):
        return None
    return card_type_of(settings.mode)


def card_type_of(mode: CardMode) -> CardType:
    """The card on which identifiers and chats hang (C1)."""
    return CardType.CONTACT if mode is CardMode.DEAL else CardType.LEAD


def _details_suffice(details: CardDetails, when: CreateWhen) -> bool:
    match when:
        case CreateWhen.FIRST_MESSAGE:
            return True
        case CreateWhen.CONTACT_DETAILS:
            return details.has_phone or details.has_email
        case CreateWhen.FULL_DETAILS:
            return details.has_phone and len(details.name.split()) >= 2


def choose_deal(state: DealState, policy: DealPolicy) -> DealDecision:
    """Which deal a message belongs to, under a contact in deal mode (C1).

    A deal is new per dialog under `always_new`: the chat keeps its deal until a dialog with it has been closed.
    """
    if policy is DealPolicy.REUSE:
        return DealDecision(state.active_deal_id)
    return DealDecision(None if state.chat_deal_used else state.chat_deal_id)

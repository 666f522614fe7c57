"""When a card is made, and which deal goes on (C1-C3)."""

import pytest

from tracker.cards import (
    CardDetails,
    CardType,
    DealDecision,
    DealState,
    becomes,
    card_type_of,
    choose_deal,
    create_when,
)
from tracker.channels import CardMode, CreateMode, CreateWhen, DealPolicy, OpenChannelSettings

pytestmark = pytest.mark.unit

CONTACT, LEAD, PROVISIONAL = CardType.CONTACT, CardType.LEAD, CardType.PROVISIONAL


def details(
    name: str = "", *, phone: bool = False, email: bool = False, card_type: CardType = PROVISIONAL
) -> CardDetails:
    return CardDetails(card_type, name, phone, email)


@pytest.mark.parametrize(("mode", "made"), [(CardMode.LEAD, LEAD), (CardMode.DEAL, CONTACT)])
def test_the_mode_decides_what_is_made(mode, made):
    """C1: a lead, or the contact under which the deals hang."""
    assert card_type_of(mode) is made
    assert becomes(details(), OpenChannelSettings(mode=mode), "telegram") is made


@pytest.mark.parametrize("card_type", [t for t in CardType if t is not PROVISIONAL])
def test_only_a_provisional_card_becomes_something(card_type):
    """C1: what is a card already stays what it is, in the other mode too."""
    known = details("Ann Smith", phone=True, card_type=card_type)
    assert becomes(known, OpenChannelSettings(mode=CardMode.DEAL), "telegram") is None


def test_manual_makes_nothing_whatever_is_known():
    """C2: the operator makes it."""
    settings = OpenChannelSettings(create=CreateMode.MANUAL, create_when=CreateWhen.FIRST_MESSAGE)
    assert becomes(details("Ann Smith", phone=True, email=True), settings, "telegram") is None


@pytest.mark.parametrize(
    ("kind", "when"),
    [
        ("telegram", CreateWhen.FIRST_MESSAGE),
        ("whatsapp", CreateWhen.FIRST_MESSAGE),
        ("webform", CreateWhen.FIRST_MESSAGE),
        ("custom", CreateWhen.FIRST_MESSAGE),
        ("livechat", CreateWhen.CONTACT_DETAILS),
    ],
)
def test_the_default_moment_is_the_channels(kind, when):
    """C3: messengers at once, live chat with a phone or an e-mail; a setting goes before both."""
    assert create_when(OpenChannelSettings(), kind) is when
    assert create_when(OpenChannelSettings(create_when=CreateWhen.FULL_DETAILS), kind) is CreateWhen.FULL_DETAILS


@pytest.mark.parametrize(
    ("when", "known", "made"),
    [
        (CreateWhen.FIRST_MESSAGE, details(), LEAD),
        (CreateWhen.CONTACT_DETAILS, details("Ann Smith"), None),
        (CreateWhen.CONTACT_DETAILS, details(phone=True), LEAD),
        (CreateWhen.CONTACT_DETAILS, details(email=True), LEAD),
        (CreateWhen.FULL_DETAILS, details("Ann Smith", email=True), None),
        (CreateWhen.FULL_DETAILS, details("Ann", phone=True), None),
        (CreateWhen.FULL_DETAILS, details("  Ann  ", phone=True), None),
        (CreateWhen.FULL_DETAILS, details(phone=True), None),
        (CreateWhen.FULL_DETAILS, details("Ann Smith", phone=True), LEAD),
        (CreateWhen.FULL_DETAILS, details("Ann Mary Smith", phone=True, email=True), LEAD),
    ],
)
def test_the_moment_of_creation(when, known, made):
    """C3: first message; phone or e-mail; name, surname and phone."""
    assert becomes(known, OpenChannelSettings(create_when=when), "livechat") is made


@pytest.mark.parametrize(
    ("policy", "state", "deal"),
    [
        (DealPolicy.REUSE, DealState(None, chat_deal_used=False, active_deal_id=None), None),
        (DealPolicy.REUSE, DealState(None, chat_deal_used=False, active_deal_id=5), 5),
        (DealPolicy.REUSE, DealState(4, chat_deal_used=True, active_deal_id=5), 5),
        (DealPolicy.REUSE, DealState(4, chat_deal_used=False, active_deal_id=None), None),
        (DealPolicy.ALWAYS_NEW, DealState(None, chat_deal_used=False, active_deal_id=5), None),
        (DealPolicy.ALWAYS_NEW, DealState(4, chat_deal_used=False, active_deal_id=5), 4),
        (DealPolicy.ALWAYS_NEW, DealState(4, chat_deal_used=True, active_deal_id=4), None),
    ],
)
def test_which_deal_goes_on(policy, state, deal):
    """C1: the contact's active deal, or a new one per dialog; None asks for a new one."""
    assert choose_deal(state, policy) == DealDecision(deal)

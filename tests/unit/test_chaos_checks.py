"""The order that must hold in a chat, and the oracle of the cards: by hand, where the right verdict is known."""

import pytest

from chaos.checks import cards, histories
from chaos.checks.seen import ChatSeen, Entry, Item, Seen
from chaos.record import Message, Record
from crm_store.ledger import Ledger

pytestmark = pytest.mark.unit


def _record(*sent: tuple[str, float, float | None]) -> Record:
    record = Record()
    for name, first_sent, answered in sent:
        message = Message("one", name, "c-1", "hello")
        record.sending([message], first_sent)
        if answered is not None:
            record.answered([message], 200, answered)
    return record


def _history(*names: str) -> Seen:
    entries = [Entry(1, seq, name, "hello", seq) for seq, name in enumerate(names, 1)]
    items = [Item(one.seq, "one", one.external_id, b"", "done", "", 1, one.seq, 0) for one in entries]
    return Seen(Ledger(), items, entries, {1: ChatSeen("one", "c-1", 1)}, {})


def test_an_answer_before_the_next_sending_fixes_the_order() -> None:
    """m1 precedes m2 if m1 was answered before m2 was first sent; no other order is right."""
    record = _record(("m1", 1.0, 2.0), ("m2", 3.0, 4.0))
    assert list(histories.order(_history("m1", "m2"), record)) == []
    assert "m1" in "".join(histories.order(_history("m2", "m1"), record))


def test_what_was_under_way_together_has_any_order() -> None:
    """Where m2 was sent before m1 was answered, both orders are right."""
    record = _record(("m1", 1.0, 3.5), ("m2", 3.0, 4.0))
    assert list(histories.order(_history("m1", "m2"), record)) == []
    assert list(histories.order(_history("m2", "m1"), record)) == []


def test_an_order_over_several_messages_is_kept() -> None:
    """m1 is before m4 although those between them have no order with either."""
    record = _record(("m1", 1.0, 2.0), ("m2", 1.5, 9.0), ("m3", 1.6, None), ("m4", 3.0, 4.0))
    assert list(histories.order(_history("m3", "m1", "m2", "m4"), record)) == []
    assert "m1" in "".join(histories.order(_history("m4", "m3", "m2", "m1"), record))


PHONE, EMAIL = ("phone", "+49151"), ("email", "a@b.example")


def _cards(*card_of: int | None) -> Seen:
    chats = {chat: ChatSeen("one", f"c-{chat}", card) for chat, card in enumerate(card_of, 1)}
    entries = [Entry(chat, 1, f"m{chat}", "hello", chat) for chat in chats]
    facts = {
        card: frozenset().union(*(_gives(chat) for chat, its in enumerate(card_of, 1) if its == card))
        for card in card_of
        if card is not None
    }
    return Seen(Ledger(), [], entries, chats, facts)


def _gives(chat: int) -> frozenset[tuple[str, str]]:
    """Chats 1 and 2 have the phone in common, 2 and 3 the e-mail, 4 has nothing with anybody."""
    return frozenset({1: {PHONE}, 2: {PHONE, EMAIL}, 3: {EMAIL}, 4: {("messenger", "custom/one/4")}}[chat])


def _told(seen: Seen) -> str:
    record = Record()
    for chat in seen.chats:
        record.sending([Message("one", f"m{chat}", f"c-{chat}", "hello", _gives(chat))], 1.0)
    return " ".join(cards.as_the_oracle_says(seen, record))


def test_chats_are_joined_over_others() -> None:
    """Chats that have nothing in common are one customer's, if a third has something with both."""
    assert _told(_cards(7, 7, 7, 8)) == ""


@pytest.mark.parametrize(
    ("card_of", "told"),
    [
        ((7, 7, 9, 8), "customers on several cards: 1"),
        ((7, 7, 7, 7), "cards of several customers: 1 (7)"),
        ((7, 7, 7, None), "chats without a card: 1 (one/c-4)"),
    ],
)
def test_wrong_cards_are_told(card_of: tuple[int | None, ...], told: str) -> None:
    """One customer apart, two on one card, a chat on none."""
    assert told in _told(_cards(*card_of))

"""The benchmark's oracle: what is right passes, and every effect that is missing, doubled or wrong is told."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bench.oracle import ChatSeen, Effects, expected, faults
from bench.stream import Stream, make_stream

pytestmark = pytest.mark.unit

STREAM = make_stream(3, 100)
RIGHT = expected(STREAM)


def with_chat(number: int, **changes: object) -> Effects:
    """All right but one chat."""
    chats = list(RIGHT.chats)
    chats[number] = replace(chats[number], **changes)  # type: ignore[arg-type]
    return replace(RIGHT, chats=chats)


def long_chat(stream: Stream) -> int:
    """A chat with several messages."""
    return next(number for number, chat in enumerate(RIGHT.chats) if len(chat.history) > 2)


def told(seen: Effects) -> str:
    """What is wrong, in one text; something is."""
    found = faults(STREAM, seen)
    assert found
    return "\n".join(found)


CHAT = long_chat(STREAM)
HISTORY = RIGHT.chats[CHAT].history


def test_a_tiny_stream_by_hand() -> None:
    """The oracle's own figures: all messages once, chats on cards by customer."""
    assert (RIGHT.accepted, RIGHT.done, RIGHT.unfinished) == (100, 100, 0)
    assert sorted(tag for chat in RIGHT.chats for tag in chat.history) == sorted(
        {tag for chat in RIGHT.chats for tag in chat.history}
    )
    assert len(RIGHT.chats) == 20
    assert len(RIGHT.cards) == 15
    assert len({chat.card for chat in RIGHT.chats}) == 15


def test_what_is_right_passes_whatever_the_ids() -> None:
    """Sides give ids of their own, and other operators to other chats."""
    moved = replace(
        RIGHT,
        chats=[replace(chat, card=None if chat.card is None else chat.card + 1000) for chat in reversed(RIGHT.chats)],
        cards={card + 1000: details for card, details in RIGHT.cards.items()},
    )
    assert faults(STREAM, RIGHT) == []
    assert faults(STREAM, moved) == []


@pytest.mark.parametrize(
    ("changes", "told_of"),
    [
        ({"accepted": 101}, "ledger"),
        ({"done": 99, "unfinished": 1}, "ledger"),
        ({"unfinished": 1}, "ledger"),
    ],
)
def test_the_ledger(changes: dict[str, int], told_of: str) -> None:
    """A lost, unfinished or extra message."""
    assert told_of in told(replace(RIGHT, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("history", "told_of"),
    [
        (HISTORY[1:], "missing in the history"),
        ((*HISTORY, HISTORY[0]), "more than once"),
        ((*HISTORY, "zzzzz"), "nobody wrote"),
        ((HISTORY[1], HISTORY[0], *HISTORY[2:]), "out of order"),
    ],
)
def test_the_history(history: Sequence[str], told_of: str) -> None:
    """Exactly once, and in order."""
    assert told_of in told(with_chat(CHAT, history=tuple(history)))


def test_a_message_in_the_wrong_chat() -> None:
    """Moved from one conversation to another, it is still there once."""
    chats = list(RIGHT.chats)
    other = CHAT - 1
    chats[CHAT] = replace(chats[CHAT], history=HISTORY[1:])
    chats[other] = replace(chats[other], history=(*chats[other].history, HISTORY[0]))
    assert "not one conversation" in told(replace(RIGHT, chats=chats))


def test_a_chat_that_was_made_twice() -> None:
    """An empty chat beside the right one."""
    assert "not one conversation" in told(replace(RIGHT, chats=[*RIGHT.chats, ChatSeen("bench-custom", (), 1, (1,))]))


def test_a_customer_on_two_cards() -> None:
    """The second chat did not find the card."""
    second = next(chat.number for chat in STREAM.chats if chat.number != chat.customer)
    doubled = with_chat(second, card=999)
    assert "without one card" in told(replace(doubled, cards={**RIGHT.cards, 999: frozenset()}))


def test_two_customers_on_one_card() -> None:
    """A wrong merge."""
    cards = {card: details for card, details in RIGHT.cards.items() if card != 1}
    chats = [replace(chat, card=0) if chat.card == 1 else chat for chat in RIGHT.chats]
    assert "without one card" in told(replace(RIGHT, chats=chats, cards=cards))


def test_a_card_too_many() -> None:
    """One on which no chat hangs."""
    assert "cards: 16" in told(replace(RIGHT, cards={**RIGHT.cards, 999: frozenset()}))


def test_a_detail_that_is_missing_or_wrong() -> None:
    """Phones and e-mails that were given stand on the card, and no others."""
    card = next(card for card, details in RIGHT.cards.items() if details)
    assert "should have" in told(replace(RIGHT, cards={**RIGHT.cards, card: frozenset()}))
    assert "should have" in told(replace(RIGHT, cards={**RIGHT.cards, card: frozenset({("phone", "+1")})}))


@pytest.mark.parametrize(
    ("dialogs", "told_of"),
    [
        ((), "not one dialog"),
        ((1, 2), "not one dialog"),
        ((None,), "without an operator"),
        ((77,), "not on the roster"),
    ],
)
def test_dialogs(dialogs: tuple[int | None, ...], told_of: str) -> None:
    """One per chat, with an operator of the roster."""
    assert told_of in told(with_chat(CHAT, dialogs=dialogs))


def test_unfairness() -> None:
    """Everything to one operator."""
    assert "evenly" in told(replace(RIGHT, chats=[replace(chat, dialogs=(7,)) for chat in RIGHT.chats]))

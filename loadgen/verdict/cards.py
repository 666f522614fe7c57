"""Cards: the chats of a customer on one, those of different customers on different ones, as the oracle says.

Families on one number, which they only type, are expected on one card: no desk can tell them apart (T8).
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime

from loadgen.evaluation.oracle import cards_of
from loadgen.evaluation.said import Message
from loadgen.report_data import Finding
from loadgen.streams.desk import kinds_of_channels
from loadgen.streams.making import WRITTEN_FROM
from loadgen.verdict.finding import found
from loadgen.verdict.histories import name_of_entry
from loadgen.verdict.seen import Seen
from loadgen.verdict.truth import Sending, Truth

Conversation = tuple[str, str]
"""The channel's key, and the chat as the stream knows it."""


def cards(truth: Truth, seen: Seen) -> Iterator[Finding]:
    """Duplicate cards, wrong merges, chats without a card, and chats of nobody who is a customer."""
    right = _right_cards(truth)
    chats = _chats(truth, seen)
    by_right: dict[int, set[int]] = defaultdict(set)
    by_card: dict[int, set[int]] = defaultdict(set)
    without = []
    for conversation, chat_id in chats.items():
        card_id = seen.chats[chat_id].card_id
        if card_id is None:
            without.append(f"{conversation[0]}/{conversation[1]}")
            continue
        by_right[right[conversation]].add(card_id)
        by_card[card_id].add(right[conversation])
    yield found(
        "duplicate cards",
        (f"cards {sorted(held)} are one customer's" for held in by_right.values() for _ in range(len(held) - 1)),
    )
    yield found("wrong merges", (f"card {card_id}" for card_id, customers in by_card.items() if len(customers) > 1))
    yield found("chats without a card", without)
    known = set(chats.values())
    strangers = (chat for chat in seen.chats.values() if chat.id not in known)
    yield found("chats of bots, groups or nobody", (f"{one.channel_key}/{one.external_id}" for one in strangers))


def customers_in(truth: Truth) -> int:
    """How many cards there should be."""
    return len(set(_right_cards(truth).values()))


def _right_cards(truth: Truth) -> dict[Conversation, int]:
    """The oracle's card of each conversation."""
    kinds = kinds_of_channels()
    messages = [_message(kinds[name[0]], one) for name, one in truth.messages.items()]
    return {(channel.partition("/")[2], chat): card for (channel, chat), card in cards_of(messages).items()}


def _message(kind: str, sending: Sending) -> Message:
    meaning = sending.request.meaning
    return Message(
        customer=meaning.customer,
        channel=f"{kind}/{sending.request.channel}",
        chat=meaning.chat,
        sent_at=datetime.fromtimestamp(WRITTEN_FROM + sending.request.at, UTC),
        name=meaning.name,
        text=meaning.text,
        identity=tuple(given for given in meaning.gives if given.evidence == "proven"),
        says=tuple(given for given in meaning.gives if given.evidence != "proven"),
    )


def _chats(truth: Truth, seen: Seen) -> dict[Conversation, int]:
    """Where each conversation is at the desk."""
    chats: dict[Conversation, int] = {}
    messages = truth.messages
    for entry in seen.history:
        if sending := messages.get(name_of_entry(seen, entry)):
            chats.setdefault((sending.request.channel, sending.request.meaning.chat), entry.chat_id)
    return chats

"""All that an evaluation says: the product's cards, held against the oracle's and against the truth."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from loadgen.evaluation.causes import causes
from loadgen.evaluation.measures import Conversation, Figures, measure
from loadgen.evaluation.said import Message

ChatKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """See `Figures` and `causes`. cards: of the product. rules: the oracle's own figures, which no tracker beats."""

    customers: int
    chats: int
    messages: int
    cards: int
    figures: Figures
    rules: Figures
    causes: Mapping[str, Mapping[str, float]]

    @property
    def passed(self) -> bool:
        """Whether the product did what the rules say, to the message."""
        return self.figures.deviations == 0 and self.figures.avoidable_over_merges == 0

    def as_json(self) -> dict[str, Any]:
        """For machines; shares and rates have six digits."""
        return {
            "customers": self.customers,
            "chats": self.chats,
            "messages": self.messages,
            "cards": self.cards,
            **_rounded(asdict(self.figures)),
            "causes": {what: _rounded(dict(shares)) for what, shares in self.causes.items()},
        }


def judge(messages: Sequence[Message], product: Mapping[ChatKey, int], oracle: Mapping[ChatKey, int]) -> Verdict:
    """product, oracle: the card of each chat. A chat without a card, which should not be, is alone on one."""
    conversations = _conversations(messages, product, oracle)
    return Verdict(
        customers=len({one.customer for one in conversations}),
        chats=len({message.chat_key for message in messages}),
        messages=len(messages),
        cards=len({one.card for one in conversations}),
        figures=measure(conversations),
        rules=measure(_conversations(messages, oracle, oracle)),
        causes=causes(conversations),
    )


def deviating_chats(
    messages: Sequence[Message], product: Mapping[ChatKey, int], oracle: Mapping[ChatKey, int]
) -> list[list[ChatKey]]:
    """Chats that some difference concerns, those that hang together through cards of either side in one list."""
    of_card: dict[tuple[str, int], list[ChatKey]] = defaultdict(list)
    chats = list(dict.fromkeys(message.chat_key for message in messages))
    for chat in chats:
        of_card["product", product.get(chat, -1)].append(chat)
        of_card["oracle", oracle[chat]].append(chat)
    seen: set[ChatKey] = set()
    found: list[list[ChatKey]] = []
    for chat in chats:
        if chat in seen:
            continue
        together, new = [], [chat]
        seen.add(chat)
        while new:
            one = new.pop()
            together.append(one)
            for card in (("product", product.get(one, -1)), ("oracle", oracle[one])):
                fresh = [other for other in of_card[card] if other not in seen]
                seen.update(fresh)
                new.extend(fresh)
        if len({product.get(one, -1) for one in together}) > 1 or len({oracle[one] for one in together}) > 1:
            found.append(sorted(together))
    return found


def _conversations(
    messages: Sequence[Message], cards: Mapping[ChatKey, int], oracle: Mapping[ChatKey, int]
) -> list[Conversation]:
    grouped: dict[tuple[ChatKey, str], list[Message]] = defaultdict(list)
    for message in messages:
        grouped[message.chat_key, message.customer].append(message)
    return [
        Conversation(
            card=cards.get(chat, chat),
            right=oracle[chat],
            customer=customer,
            messages=len(written),
            traps=frozenset(message.trap for message in written if message.trap),
        )
        for (chat, customer), written in grouped.items()
    ]


def _rounded(figures: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in figures.items()}

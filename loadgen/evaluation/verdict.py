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
    """See `Figures` and `causes`. cards: of the product. rules: the oracle's own figures, which no tracker beats.

    deviating: chats that hang together by a card of the product or of the oracle, and that the two part differently.
    """

    customers: int
    chats: int
    messages: int
    cards: int
    figures: Figures
    rules: Figures
    causes: Mapping[str, Mapping[str, float]]
    deviating: Sequence[Sequence[ChatKey]]

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
        deviating=_deviating(messages, product, oracle),
    )


def _deviating(
    messages: Sequence[Message], product: Mapping[ChatKey, int], oracle: Mapping[ChatKey, int]
) -> list[list[ChatKey]]:
    on_card: dict[tuple[str, int | None], list[ChatKey]] = defaultdict(list)
    chats = list(dict.fromkeys(message.chat_key for message in messages))
    for chat in chats:
        for card in _both(chat, product, oracle):
            on_card[card].append(chat)
    seen: set[ChatKey] = set()
    found: list[list[ChatKey]] = []
    for chat in chats:
        together: list[ChatKey] = []
        waiting = [chat]
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                together.append(one)
                waiting += [other for card in _both(one, product, oracle) for other in on_card.pop(card, ())]
        if len({card for one in together for card in _both(one, product, oracle)}) > 2:
            found.append(together)
    return found


def _both(
    chat: ChatKey, product: Mapping[ChatKey, int], oracle: Mapping[ChatKey, int]
) -> tuple[tuple[str, int | None], tuple[str, int | None]]:
    return ("product", product.get(chat)), ("oracle", oracle[chat])


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

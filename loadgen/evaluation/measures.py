"""How good a partition is: the product's cards against the oracle's, and against who the customers really are.

What is partitioned are *conversations*: what one customer wrote in one chat. Mostly that is the chat; where a recycled
number gives a chat another owner, its two owners have a conversation each. Pairs of conversations are counted, not of
messages: a pair within a chat is right by itself, and talkative customers would drown the others. `deviations` alone
counts messages.

All counts come from contingency tables, so the time grows with the number of conversations, not of pairs.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Conversation:
    """card: the product's. right: the oracle's. customer: the truth. traps: what makes it hard."""

    card: Hashable
    right: Hashable
    customer: Hashable
    messages: int = 1
    traps: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Figures:
    """deviations: messages that are not on the card on which the oracle has them (see `deviations`).

    precision, recall: of pairs of conversations on one card, against pairs of one customer. f05: of both, precision
    counting double. bcubed_f: mean over conversations, harmonic. over_merge_rate: share of the cards that hold more
    than one customer. duplicates_left: cards beyond the first of each customer. avoidable_over_merges: pairs of
    different customers' conversations on one card that the oracle keeps apart.
    """

    deviations: int
    precision: float
    recall: float
    f05: float
    bcubed_f: float
    over_merge_rate: float
    duplicates_left: int
    avoidable_over_merges: int


def measure(conversations: Sequence[Conversation]) -> Figures:
    """All figures. Of an empty partition, everything is right."""
    cards = Counter(one.card for one in conversations)
    customers = Counter(one.customer for one in conversations)
    both = Counter((one.card, one.customer) for one in conversations)
    together, wanted, right = _pairs(cards), _pairs(customers), _pairs(both)
    precision, recall = _share(right, together), _share(right, wanted)
    on_card = Counter(card for card, _ in both)
    return Figures(
        deviations=deviations(conversations),
        precision=precision,
        recall=recall,
        f05=_f(precision, recall, 0.5),
        bcubed_f=_bcubed(both, cards, customers),
        over_merge_rate=sum(held > 1 for held in on_card.values()) / len(on_card) if on_card else 0.0,
        duplicates_left=len(both) - len(customers),
        avoidable_over_merges=_avoidable(conversations, together - right),
    )


def deviations(conversations: Iterable[Conversation]) -> int:
    """Messages that the product has on another card than the oracle; 0 if and only if the partitions are equal.

    Numbers of cards mean nothing, so the cards of both are matched: the pair that shares most messages first, each
    card once. A message deviates if its two cards are not matched with each other.
    """
    shared: Counter[tuple[Hashable, Hashable]] = Counter()
    for one in conversations:
        shared[one.card, one.right] += one.messages
    cards: set[Hashable] = set()
    rights: set[Hashable] = set()
    matched = 0
    # Equal pairs in the order in which they came, so that the count is the same each time.
    for (card, right), messages in sorted(shared.items(), key=lambda item: -item[1]):
        if card not in cards and right not in rights:
            cards.add(card)
            rights.add(right)
            matched += messages
    return shared.total() - matched


def _avoidable(conversations: Sequence[Conversation], over_merged: int) -> int:
    """Over-merged pairs, less those that the oracle has too."""
    together = _pairs(Counter((one.card, one.right) for one in conversations))
    same = _pairs(Counter((one.card, one.right, one.customer) for one in conversations))
    return over_merged - (together - same)


def _pairs(sizes: Mapping[Any, int]) -> int:
    return sum(size * (size - 1) // 2 for size in sizes.values())


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 1.0


def _f(precision: float, recall: float, beta: float) -> float:
    squared = beta * beta
    below = squared * precision + recall
    return (1 + squared) * precision * recall / below if below else 0.0


def _bcubed(both: Counter[tuple[Hashable, Hashable]], cards: Counter[Hashable], customers: Counter[Hashable]) -> float:
    total = cards.total()
    if not total:
        return 1.0
    precision = sum(size * size / cards[card] for (card, _), size in both.items()) / total
    recall = sum(size * size / customers[customer] for (_, customer), size in both.items()) / total
    return _f(precision, recall, 1.0)

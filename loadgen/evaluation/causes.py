"""Why cards hold several customers, and customers have several cards: the share of each cause.

A *joining* is a customer on a card beyond its main one, the one with most conversations there; a *split* is a card of
a customer beyond his main one. The cause of each is read off the traps of the conversations concerned.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence

from loadgen.evaluation.measures import Conversation

JOINING_CAUSES = ("family", "switchboard", "recycled", "stranger", "typo", "two_proven")
SPLIT_CAUSES = (
    "never_identified",
    "placeholder",
    "typo",
    "second_phone",
    "two_proven",
    "switchboard",
    "recycled",
    "family",
    "stranger",
)
OTHER = "other"
"""No trap explains it: the customer gave different things in his chats, mostly a phone here and an e-mail there."""


def causes(conversations: Sequence[Conversation]) -> dict[str, dict[str, float]]:
    """The share of each cause among the joinings (`over_merges`) and the splits (`duplicates`), largest first."""
    return {
        "over_merges": _shares(_joinings(conversations)),
        "duplicates": _shares(_splits(conversations)),
    }


def _joinings(conversations: Iterable[Conversation]) -> Iterator[str]:
    on_cards: dict[Hashable, dict[Hashable, list[Conversation]]] = defaultdict(lambda: defaultdict(list))
    for one in conversations:
        on_cards[one.card][one.customer].append(one)
    for customers in on_cards.values():
        main, *others = sorted(customers.values(), key=len, reverse=True)
        for other in others:
            yield _cause(JOINING_CAUSES, other, main)


def _splits(conversations: Iterable[Conversation]) -> Iterator[str]:
    of_customers: dict[Hashable, dict[Hashable, list[Conversation]]] = defaultdict(lambda: defaultdict(list))
    for one in conversations:
        of_customers[one.customer][one.card].append(one)
    for cards in of_customers.values():
        main, *others = sorted(cards.values(), key=len, reverse=True)
        for other in others:
            yield _cause(SPLIT_CAUSES, other, main)


def _cause(known: Sequence[str], concerned: Iterable[Conversation], else_of: Iterable[Conversation]) -> str:
    """The first known cause among the traps of those concerned, or else of the main ones."""
    for group in (concerned, else_of):
        traps = {trap for one in group for trap in one.traps}
        for cause in known:
            if cause in traps:
                return cause
    return OTHER


def _shares(found: Iterable[str]) -> dict[str, float]:
    counted = Counter(found)
    return {cause: count / counted.total() for cause, count in counted.most_common()}

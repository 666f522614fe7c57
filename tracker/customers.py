"""Customers as the tracker knows them: cards that merges join, and the facts that stand on them (T4, T7, T8).

A fact is: this chat gave this identifier, with this evidence. See docs/tracker.md for the words.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tracker.cards import CARD_TYPE_RANK, CardType
from tracker.identifiers import EVIDENCE_RANK, Evidence, Identifier, IdentifierKind

IdentifierKey = tuple[IdentifierKind, str]
"""Kind and key: what is compared."""

PROVABLE = (IdentifierKind.PHONE, IdentifierKind.EMAIL)
"""Kinds of which two customers may have contradicting proofs (T8)."""


def key_of(identifier: Identifier) -> IdentifierKey:
    """What is compared of an identifier."""
    return identifier.kind, identifier.key


def is_stronger(evidence: Evidence, than: Evidence | None) -> bool:
    """Whether evidence adds something to what is there, if anything is."""
    return than is None or EVIDENCE_RANK[evidence] < EVIDENCE_RANK[than]


def weaker(one: Evidence, other: Evidence) -> Evidence:
    """The weaker of two."""
    return max(one, other, key=EVIDENCE_RANK.__getitem__)


@dataclass(slots=True)
class KnownCard:
    """A card with its facts, by identifier and chat (0: a person entered it).

    live_id: the card that stands for its customer; its own id while it lives. matched: false if nothing ever matches
    it (T1). untouched: made by the tracker, and edited by nobody (T7). remembers: it has a first phone (T5).
    """

    id: int
    type: CardType
    name: str
    created_at: datetime
    live_id: int = 0
    matched: bool = True
    untouched: bool = True
    remembers: bool = False
    facts: dict[IdentifierKey, dict[int, Evidence]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.live_id = self.live_id or self.id

    @property
    def age(self) -> tuple[bool, datetime, int]:
        """Sorts cards, the oldest first; a provisional one, which nobody has seen, is younger than every other."""
        return self.type is CardType.PROVISIONAL, self.created_at, self.id


@dataclass(slots=True)
class Customer:
    """All cards that merges join."""

    cards: list[KnownCard]

    @property
    def live(self) -> KnownCard:
        """The card that stands for all: the oldest."""
        return min(self.cards, key=lambda card: card.age)

    @property
    def preference(self) -> tuple[int, datetime, int]:
        """Sorts the customers that one identifier matches: by type, then the oldest (T2). See docs/tracker.md."""
        live = self.live
        card_type = CardType.LEAD if live.type is CardType.PROVISIONAL else live.type
        return CARD_TYPE_RANK[card_type], live.created_at, live.id

    @property
    def untouched(self) -> bool:
        """No person has made or edited one of the cards (T7)."""
        return all(card.untouched for card in self.cards)

    @property
    def remembers(self) -> bool:
        """Whether a first phone is remembered for one of the cards (T5)."""
        return any(card.remembers for card in self.cards)

    @property
    def card_ids(self) -> set[int]:
        """Ids of all cards."""
        return {card.id for card in self.cards}

    def with_strongest(self, key: IdentifierKey) -> KnownCard | None:
        """The card with the strongest fact of an identifier, the oldest of several; None if there is no fact of it."""
        having = (card for card in self.cards if key in card.facts)
        return min(
            having,
            key=lambda card: (min(EVIDENCE_RANK[evidence] for evidence in card.facts[key].values()), card.age),
            default=None,
        )

    def strongest(self, key: IdentifierKey) -> Evidence | None:
        """The strongest evidence that there is for an identifier."""
        given = (evidence for card in self.cards for evidence in card.facts.get(key, {}).values())
        return min(given, key=EVIDENCE_RANK.__getitem__, default=None)

    def proofs(self) -> set[IdentifierKey]:
        """The phones and e-mails that a channel proved."""
        return {
            key
            for card in self.cards
            for key, by_chat in card.facts.items()
            if key[0] in PROVABLE and Evidence.PROVEN in by_chat.values()
        }


def contradict(proofs: Collection[IdentifierKey], others: Collection[IdentifierKey]) -> bool:
    """T8: whether two sides each have a proven phone and none in common, or the same for e-mails."""
    for kind in PROVABLE:
        ours = {key for key in proofs if key[0] is kind}
        theirs = {key for key in others if key[0] is kind}
        if ours and theirs and not ours & theirs:
            return True
    return False


def joined(card_ids: Iterable[int], links: Iterable[tuple[int, int]]) -> list[set[int]]:
    """Which cards are one customer's, given the pairs that merges join."""
    neighbours: dict[int, set[int]] = {card_id: set() for card_id in card_ids}
    for one, other in links:
        neighbours[one].add(other)
        neighbours[other].add(one)
    parts: list[set[int]] = []
    seen: set[int] = set()
    for start in neighbours:
        if start not in seen:
            part = set(_reachable(start, neighbours))
            seen |= part
            parts.append(part)
    return parts


def live_cards(cards: Sequence[KnownCard], links: Iterable[tuple[int, int]]) -> dict[int, int]:
    """The live card of each card, given the pairs that merges join."""
    by_id = {card.id: card for card in cards}
    live: dict[int, int] = {}
    for part in joined(by_id, links):
        oldest = min((by_id[card_id] for card_id in part), key=lambda card: card.age)
        live.update(dict.fromkeys(part, oldest.id))
    return live


def _reachable(start: int, neighbours: Mapping[int, set[int]]) -> Iterator[int]:
    waiting, seen = [start], {start}
    while waiting:
        card_id = waiting.pop()
        yield card_id
        for neighbour in neighbours[card_id] - seen:
            seen.add(neighbour)
            waiting.append(neighbour)

"""Which card a chat belongs to, and what a message adds to it (T1-T8).

A Book holds what is known of the identifiers and cards that a batch of messages touches. Messages are shown to
it in order; it answers with a Binding and remembers its own answers, so that five hundred first messages with
one phone end on one card (T10). It has no I/O: the caller locks, reads, and writes the answers down.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tracker.cards import CARD_TYPE_RANK, CardType
from tracker.identifiers import EVIDENCE_RANK, Evidence, Identifier, IdentifierKind

IdentifierKey = tuple[IdentifierKind, str]
"""Kind and key: what is compared."""


@dataclass(slots=True)
class KnownCard:
    """A live card. on_card: its identifiers with their evidence. has_memory: a first phone is remembered for it."""

    id: int
    type: CardType
    name: str
    created_at: datetime
    on_card: dict[IdentifierKey, Evidence] = field(default_factory=dict)
    has_memory: bool = False

    @property
    def preference(self) -> tuple[int, datetime, int]:
        """Sorts the cards that one identifier matches: by type, then the oldest (T2)."""
        return CARD_TYPE_RANK[self.type], self.created_at, self.id

    def proven(self, kind: IdentifierKind) -> set[str]:
        """Keys of this kind that the channel itself proved."""
        return {key for (k, key), evidence in self.on_card.items() if k is kind and evidence is Evidence.PROVEN}


@dataclass(frozen=True, slots=True)
class MatchingRules:
    """T1: what the open channel allows."""

    check_client_in_crm: bool
    chat_tracker: bool


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one message tells of its customer."""

    inbox_id: int
    chat_id: int
    name: str
    identifiers: tuple[Identifier, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class Addition:
    """An identifier that goes on a card, or is there already with weaker evidence."""

    card_id: int
    identifier: Identifier
    inbox_id: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Binding:
    """Where a message belongs. bound_by: why the chat is bound to this card; empty if it was bound before."""

    card_id: int
    bound_by: str = ""
    is_new: bool = False


class Book:
    """See the module. Not safe for use by several threads."""

    def __init__(
        self,
        cards: Iterable[KnownCard],
        remembered: Mapping[IdentifierKey, int],
        new_card_ids: Iterator[int],
        owners: Mapping[IdentifierKey, Iterable[int]],
    ) -> None:
        """All that is known of the identifiers that will be sighted.

        cards: those that have one of the identifiers, or to which a chat is bound. remembered: first phones (T5).
        new_card_ids: as many as there are chats to bind. owners: live cards that may match, by identifier.
        """
        self._cards = {card.id: card for card in cards}
        self._remembered = dict(remembered)
        self._new_card_ids = new_card_ids
        self._owners = {key: set(card_ids) for key, card_ids in owners.items()}
        self._bound: dict[int, int] = {}
        self.additions: list[Addition] = []
        self.newly_remembered: dict[IdentifierKey, int] = {}
        self.filled_names: dict[int, str] = {}

    def bind(self, sighting: Sighting, bound_to: int | None, rules: MatchingRules) -> Binding:
        """Bind the sighting's chat, or follow its binding, and add what the message brings.

        bound_to: the live card that the chat is bound to in the store, if any.
        """
        card_id = self._bound.get(sighting.chat_id, bound_to)
        if card_id is not None:
            binding = Binding(card_id)
        else:
            binding = self._match(sighting, rules) or self._new_card(sighting)
            self._bound[sighting.chat_id] = binding.card_id
        self._enrich(self._cards[binding.card_id], sighting, rules)
        return binding

    def card(self, card_id: int) -> KnownCard:
        """A card as it is after all that was shown so far."""
        return self._cards[card_id]

    def _match(self, sighting: Sighting, rules: MatchingRules) -> Binding | None:
        """T2: proven before signed before typed; remembered phone, phone, e-mail, messenger id."""
        if not rules.chat_tracker:
            return None
        for evidence in Evidence:
            given = [identifier for identifier in sighting.identifiers if identifier.evidence is evidence]
            for rule, identifier, candidates in self._candidates(given, rules):
                for card in candidates:
                    if not _contradicted(sighting, evidence, card):
                        return Binding(card.id, f"{rule} {evidence} {identifier.kind}")
        return None

    def _candidates(
        self, given: list[Identifier], rules: MatchingRules
    ) -> Iterator[tuple[str, Identifier, list[KnownCard]]]:
        for identifier in given:
            remembered = self._remembered.get(_key(identifier))
            if remembered is not None:
                yield "T5", identifier, [self._cards[remembered]]
        for kind in IdentifierKind:
            if kind is not IdentifierKind.MESSENGER and not rules.check_client_in_crm:
                continue
            for identifier in given:
                if identifier.kind is kind:
                    owners = [self._cards[card_id] for card_id in self._owners.get(_key(identifier), ())]
                    yield "T2", identifier, sorted(owners, key=lambda card: card.preference)

    def _new_card(self, sighting: Sighting) -> Binding:
        """T6."""
        card = KnownCard(next(self._new_card_ids), CardType.PROVISIONAL, sighting.name, sighting.at)
        self._cards[card.id] = card
        return Binding(card.id, "T6", is_new=True)

    def _enrich(self, card: KnownCard, sighting: Sighting, rules: MatchingRules) -> None:
        """T4, T5, T6: missing identifiers are added and an empty name is filled; nothing is overwritten."""
        if not card.name and sighting.name:
            card.name = self.filled_names[card.id] = sighting.name
        for identifier in sighting.identifiers:
            if not self._belongs_elsewhere(card, identifier, rules):
                self._add(card, identifier, sighting, rules)
                self._remember(card, identifier, rules)

    def _belongs_elsewhere(self, card: KnownCard, identifier: Identifier, rules: MatchingRules) -> bool:
        """Whether it is another card's, as far as the open channel looks there: then nothing moves (T7)."""
        key = _key(identifier)
        if not rules.chat_tracker or key in card.on_card:
            return False
        if self._remembered.get(key, card.id) != card.id:
            return True
        looked_up = rules.check_client_in_crm or identifier.kind is IdentifierKind.MESSENGER
        return looked_up and bool(self._owners.get(key))

    def _add(self, card: KnownCard, identifier: Identifier, sighting: Sighting, rules: MatchingRules) -> None:
        key = _key(identifier)
        present = card.on_card.get(key)
        if present is not None and EVIDENCE_RANK[present] <= EVIDENCE_RANK[identifier.evidence]:
            return
        card.on_card[key] = identifier.evidence
        if rules.chat_tracker:
            self._owners.setdefault(key, set()).add(card.id)
        self.additions.append(Addition(card.id, identifier, sighting.inbox_id, sighting.at))

    def _remember(self, card: KnownCard, identifier: Identifier, rules: MatchingRules) -> None:
        """T5: the first phone of a card, for ever."""
        key = _key(identifier)
        if identifier.kind is not IdentifierKind.PHONE or not rules.chat_tracker or card.has_memory:
            return
        if self._remembered.setdefault(key, card.id) == card.id:
            card.has_memory = True
            self.newly_remembered[key] = card.id


def _key(identifier: Identifier) -> IdentifierKey:
    return identifier.kind, identifier.key


def _contradicted(sighting: Sighting, evidence: Evidence, card: KnownCard) -> bool:
    """T8: a typed identifier never binds two sides that each have a different proven phone or e-mail."""
    if evidence is not Evidence.TYPED:
        return False
    for kind in (IdentifierKind.PHONE, IdentifierKind.EMAIL):
        ours = {i.key for i in sighting.identifiers if i.kind is kind and i.evidence is Evidence.PROVEN}
        theirs = card.proven(kind)
        if ours and theirs and not ours & theirs:
            return True
    return False

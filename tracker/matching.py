"""Which card a chat belongs to, and what a message adds, merges or leaves to a person (T1-T9).

A Book holds what is known of the identifiers and customers that a batch of messages touches. Messages are shown to it
in order; it answers with a Binding and remembers its own answers, so that five hundred first messages with one phone
end on one card (T10). It has no I/O: the caller locks, reads, and writes the answers down.

docs/tracker.md says in words what happens here, step by step.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from tracker.cards import CardType
from tracker.claims import Claim, Claims, Standing, compared_name
from tracker.customers import PROVABLE, Customer, IdentifierKey, KnownCard, contradict, is_stronger, key_of, weaker
from tracker.decisions import Addition, Binding, Knowledge, Link, MatchingRules, Merge, Review, ReviewCause, Sighting
from tracker.identifiers import EVIDENCE_RANK, Evidence, Identifier, IdentifierKind


class Book:
    """See the module. Not safe for use by several threads."""

    def __init__(self, known: Knowledge, new_card_ids: Iterator[int]) -> None:
        """new_card_ids: as many as there are chats to bind."""
        self._cards = {card.id: card for card in known.cards}
        self._customers: dict[int, Customer] = {}
        self._customer_of: dict[int, Customer] = {}
        self._owners: dict[IdentifierKey, set[int]] = {}
        for card in self._cards.values():
            self._enter(card, self._customers.setdefault(card.live_id, Customer([])))
        self._remembered = dict(known.remembered)
        self._apart = {frozenset(pair) for pair in known.apart}
        self._detached = set(known.detached)
        self._standings = dict(known.standings)
        self._claims = Claims(known.claims)
        self._new_card_ids = new_card_ids
        self._bound: dict[int, int] = {}
        self.additions: list[Addition] = []
        self.newly_remembered: dict[IdentifierKey, int] = {}
        self.newly_shared: list[IdentifierKey] = []
        self.filled_names: dict[int, tuple[str, int]] = {}
        self.counted_claims: list[Claim] = []
        self.merges: list[Merge] = []
        self.reviews: list[Review] = []

    def bind(self, sighting: Sighting, bound_to: int | None, rules: MatchingRules) -> Binding:
        """Bind the sighting's chat, or follow its binding, and take in what the message brings.

        bound_to: the card that the chat is bound to in the store, if any. A binding with a conflict has to be settled
        before anything else is shown to a Book; then `finish` what is unfinished of it.
        """
        card_id = self._bound.get(sighting.chat_id, bound_to)
        if rules.chat_tracker:
            self._count_claims(sighting, card_id, rules)
        if card_id is not None:
            binding = Binding(card_id)
        else:
            binding = self._match(sighting, rules) or self._new_card(sighting, rules)
            self._bound[sighting.chat_id] = binding.card_id
        card = self._cards[binding.card_id]
        fresh = self._add_facts(card, sighting, "T6" if binding.is_new else "T4", rules)
        if not (rules.chat_tracker and card.matched):
            return binding
        if _proves(fresh) and self._may_conflict(card):
            return replace(binding, conflict=True, unfinished=tuple(fresh))
        return replace(binding, conflict=self.finish(sighting, card.id, fresh, rules))

    def finish(self, sighting: Sighting, card_id: int, fresh: Sequence[Identifier], rules: MatchingRules) -> bool:
        """Remember and merge by what a message has added. Returns whether there may be a conflict."""
        card = self._cards[card_id]
        self._remember(card, fresh)
        merged = [
            self._merge_owners(card, identifier, sighting, rules)
            for identifier in sorted(fresh, key=lambda i: EVIDENCE_RANK[i.evidence])
        ]
        return (any(merged) or _proves(fresh)) and self._may_conflict(card)

    def look_up_again(self, card_id: int, sighting: Sighting, rules: MatchingRules) -> str:
        """C2: a provisional card's customer may have a card by now; then the two are merged.

        sighting: all that he gave. Returns the rule by which he was found, or nothing.
        """
        if not (rules.chat_tracker and self._cards[card_id].matched):
            return ""
        for evidence in Evidence:
            given = [i for i in sighting.identifiers if i.evidence is evidence and self._may_match(key_of(i))]
            for rule, identifier, theirs in self._candidates(given, rules):
                mine, link = self._customer_of[card_id], _link(identifier, theirs)
                if mine is theirs or theirs.live.type is CardType.PROVISIONAL or self._kept_apart(mine, theirs):
                    continue
                if link.evidence is Evidence.TYPED and (
                    rules.suggest_typed or contradict(mine.proofs(), theirs.proofs())
                ):
                    continue
                self._merge(self._cards[card_id], self._place(theirs, key_of(identifier)), link, sighting)
                return f"{rule} {evidence} {identifier.kind}"
        return ""

    def live_ids(self) -> dict[int, int]:
        """The live card of each card, after all merges so far."""
        return {card_id: customer.live.id for card_id, customer in self._customer_of.items()}

    def chats_and_identifiers_of(self, card_id: int) -> tuple[set[int], set[IdentifierKey]]:
        """The chats that gave something to the customer to whom a card belongs, and all his identifiers."""
        cards = self._customer_of[card_id].cards
        chat_ids = {chat_id for card in cards for by_chat in card.facts.values() for chat_id in by_chat}
        return chat_ids - {0}, {key for card in cards for key in card.facts}

    # Step 1

    def _count_claims(self, sighting: Sighting, card_id: int | None, rules: MatchingRules) -> None:
        """T9: when too many contradict each other, the identifier is shared from now on."""
        given_before = self._cards[card_id].facts if card_id is not None else {}
        name = compared_name(sighting.name)
        for identifier in sighting.identifiers:
            key = key_of(identifier)
            usual = self._standings.get(key, Standing.USUAL) is Standing.USUAL
            if not usual or identifier.kind not in PROVABLE or sighting.chat_id in given_before.get(key, {}):
                continue
            claim = Claim(key, sighting.channel_kind, name, sighting.customer_id, sighting.chat_id, sighting.inbox_id)
            counted = self._claims.count(claim)
            if counted is None:
                continue
            self.counted_claims.append(claim)
            if counted > rules.max_claimants:
                self._standings[key] = Standing.SHARED
                self.newly_shared.append(key)
                self._ask(ReviewCause.SHARED, None, None, Link(key, identifier.evidence), sighting)

    # Step 2

    def _match(self, sighting: Sighting, rules: MatchingRules) -> Binding | None:
        """T2: proven before signed before typed; remembered phone, phone, e-mail, messenger id."""
        if not rules.chat_tracker:
            return None
        for evidence in Evidence:
            given = [i for i in sighting.identifiers if i.evidence is evidence and self._may_match(key_of(i))]
            for rule, identifier, customer in self._candidates(given, rules):
                link = _link(identifier, customer)
                if link.evidence is Evidence.TYPED and (
                    rules.suggest_typed or contradict(sighting.proofs, customer.proofs())
                ):
                    continue
                card = self._place(customer, key_of(identifier))
                return Binding(card.id, f"{rule} {evidence} {identifier.kind}", link)
        return None

    def _candidates(self, given: list[Identifier], rules: MatchingRules) -> Iterator[tuple[str, Identifier, Customer]]:
        for identifier in given:
            remembered = self._remembered.get(key_of(identifier))
            if remembered is not None:
                yield "T5", identifier, self._customer_of[remembered]
        for kind in IdentifierKind:
            for identifier in given:
                if identifier.kind is kind:
                    for customer in self._having(identifier, rules):
                        yield "T2", identifier, customer

    def _having(self, identifier: Identifier, rules: MatchingRules) -> list[Customer]:
        """Customers with a fact of an identifier, the preferred first, as far as the open channel looks there (T1)."""
        if identifier.kind is not IdentifierKind.MESSENGER and not rules.check_client_in_crm:
            return []
        having = {
            id(c): c for card_id in self._owners.get(key_of(identifier), ()) for c in [self._customer_of[card_id]]
        }
        return sorted(having.values(), key=lambda customer: customer.preference)

    def _place(self, customer: Customer, key: IdentifierKey) -> KnownCard:
        """The card of a link: that of the strongest fact, the oldest of several; or else the one that remembers it."""
        return customer.with_strongest(key) or self._cards[self._remembered[key]]

    def _may_match(self, key: IdentifierKey) -> bool:
        return self._standings.get(key) is not Standing.SHARED

    def _new_card(self, sighting: Sighting, rules: MatchingRules) -> Binding:
        """T6."""
        card = KnownCard(
            next(self._new_card_ids),
            CardType.PROVISIONAL,
            sighting.name,
            sighting.at,
            matched=rules.chat_tracker,
        )
        self._cards[card.id] = card
        self._enter(card, Customer([]))
        return Binding(card.id, "T6", is_new=True)

    # Steps 3 and 4

    def _add_facts(self, card: KnownCard, sighting: Sighting, rule: str, rules: MatchingRules) -> list[Identifier]:
        """T4, T6: what is missing is added, an empty name filled. Returns the identifiers that are new or stronger."""
        if not card.name and sighting.name:
            card.name = sighting.name
            self.filled_names[card.id] = sighting.name, sighting.inbox_id
        fresh: list[Identifier] = []
        for identifier in sighting.identifiers:
            key = key_of(identifier)
            by_chat = card.facts.setdefault(key, {})
            if is_stronger(identifier.evidence, by_chat.get(sighting.chat_id)) and not self._is_detached(
                card, identifier
            ):
                by_chat[sighting.chat_id] = identifier.evidence
                self.additions.append(
                    Addition(card.id, sighting.chat_id, identifier, sighting.inbox_id, sighting.at, rule)
                )
                fresh.append(identifier)
                if rules.chat_tracker and card.matched:
                    self._owners.setdefault(key, set()).add(card.id)
            if not by_chat:
                del card.facts[key]
        return fresh

    def _is_detached(self, card: KnownCard, identifier: Identifier) -> bool:
        """A person said that it is not this customer's; only a proof says more (T5)."""
        if not self._detached or identifier.evidence is Evidence.PROVEN:
            return False
        return any((each, key_of(identifier)) in self._detached for each in self._customer_of[card.id].card_ids)

    def _remember(self, card: KnownCard, fresh: Iterable[Identifier]) -> None:
        """T5: the first phone of a customer, for ever."""
        if self._customer_of[card.id].remembers:
            return
        for identifier in fresh:
            key = key_of(identifier)
            if identifier.kind is IdentifierKind.PHONE and self._may_match(key) and key not in self._remembered:
                self._remembered[key] = self.newly_remembered[key] = card.id
                card.remembers = True
                return

    # Step 5

    def _merge_owners(self, card: KnownCard, identifier: Identifier, sighting: Sighting, rules: MatchingRules) -> bool:
        """T7: whoever else has the identifier is the same customer, or a person decides.

        Returns whether a link that is not typed has merged any.
        """
        firmly = asked = False
        if not self._may_match(key_of(identifier)):
            return firmly
        for _, _, other in list(self._candidates([identifier], rules)):
            mine, theirs = self._customer_of[card.id], self._customer_of[other.cards[0].id]
            if mine is not theirs and not self._kept_apart(mine, theirs):
                link = _link(identifier, theirs)
                place = self._place(theirs, key_of(identifier))
                cause = _obstacle(mine, theirs, link, rules)
                if cause is None:
                    self._merge(card, place, link, sighting)
                    firmly |= link.evidence is not Evidence.TYPED
                elif not asked:  # one question about one identifier: a thousand customers may have it
                    self._ask(cause, card.id, place.id, link, sighting)
                    asked = True
        return firmly

    def _merge(self, card: KnownCard, other: KnownCard, link: Link, sighting: Sighting) -> None:
        mine, theirs = self._customer_of[card.id], self._customer_of[other.id]
        survivor, loser = sorted((mine.live, theirs.live), key=lambda live: live.age)
        self.merges.append(Merge(card.id, other.id, loser.id, survivor.id, link, sighting.chat_id, sighting.inbox_id))
        for each in theirs.cards:
            self._enter(each, mine)

    def _kept_apart(self, mine: Customer, theirs: Customer) -> bool:
        return bool(self._apart) and any(
            frozenset((one, other)) in self._apart for one in mine.card_ids for other in theirs.card_ids
        )

    def _ask(
        self, cause: ReviewCause, card_id: int | None, other_id: int | None, link: Link, sighting: Sighting
    ) -> None:
        self.reviews.append(Review(cause, card_id, other_id, link, sighting.chat_id, sighting.inbox_id))

    def _may_conflict(self, card: KnownCard) -> bool:
        """Whether the customer has two proofs of a kind: only then a typed link may have to give way."""
        proofs = self._customer_of[card.id].proofs()
        return any(sum(key[0] is kind for key in proofs) > 1 for kind in PROVABLE)

    def _enter(self, card: KnownCard, customer: Customer) -> None:
        customer.cards.append(card)
        self._customer_of[card.id] = customer
        if card.matched:
            for key in card.facts:
                self._owners.setdefault(key, set()).add(card.id)


def _link(identifier: Identifier, customer: Customer) -> Link:
    """A remembered phone of which no fact is left counts as what the incoming fact is (T5)."""
    present = customer.strongest(key_of(identifier))
    return Link(key_of(identifier), identifier.evidence if present is None else weaker(identifier.evidence, present))


def _proves(identifiers: Iterable[Identifier]) -> bool:
    return any(i.kind in PROVABLE and i.evidence is Evidence.PROVEN for i in identifiers)


def _obstacle(mine: Customer, theirs: Customer, link: Link, rules: MatchingRules) -> ReviewCause | None:
    """Why two customers are not merged without a person (T7, T8)."""
    if not mine.untouched:
        return ReviewCause.EDITED
    if link.evidence is Evidence.TYPED:
        if contradict(mine.proofs(), theirs.proofs()):
            return ReviewCause.CONTRADICTION
        if rules.suggest_typed:
            return ReviewCause.SUGGESTED
    return None

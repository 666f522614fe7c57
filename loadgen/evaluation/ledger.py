"""What the oracle knows at a moment: chats with their facts, cards, and merges (docs/tracker.md, "What it works with").

Plain objects that point at each other; nothing is kept that could be worked out, so that nothing can go stale.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from loadgen.evaluation.reading import Key
from loadgen.evaluation.said import EVIDENCE

Proofs = dict[str, set[str]]
"""Proven phones and e-mails, by kind."""


@dataclass(eq=False, slots=True)
class Chat:
    """number: the how-manieth chat it is. facts: evidence of what it gave. bound_typed: None if its card was made."""

    number: int
    kind: str
    messenger_id: str
    card: "Card | None" = None
    facts: dict[Key, str] = field(default_factory=dict)
    bound_typed: bool | None = None


@dataclass(eq=False, slots=True)
class Card:
    """made_from: the chat for which it was made. unseen: it is provisional. remembers: first phones (T5)."""

    number: int
    made_from: Chat
    unseen: bool = True
    chats: list[Chat] = field(default_factory=list)
    remembers: list[Key] = field(default_factory=list)
    merges: list["Merge"] = field(default_factory=list)
    customer: "Customer" = field(init=False)

    @property
    def age(self) -> tuple[bool, int]:
        """The smaller, the older; a provisional card is younger than every other."""
        return self.unseen, self.number


@dataclass(eq=False, slots=True)
class Customer:
    """All cards that are joined by merges."""

    cards: list[Card]

    @property
    def live(self) -> Card:
        """The oldest card stands for all."""
        return min(self.cards, key=lambda card: card.age)

    @property
    def chats(self) -> Iterator[Chat]:
        """Of all cards."""
        return (chat for card in self.cards for chat in card.chats)

    @property
    def remembers(self) -> list[Key]:
        """First phones of all cards."""
        return [key for card in self.cards for key in card.remembers]


@dataclass(eq=False, slots=True)
class Merge:
    """It joins two cards. number: the how-manieth merge it is. key: its link; typed: that is."""

    number: int
    one: Card
    other: Card
    key: Key
    typed: bool


class Ledger:
    """Chats, cards, customers and merges."""

    def __init__(self) -> None:
        self.chats: dict[tuple[str, str], Chat] = {}
        self._cards = 0
        self._merges = 0
        self._given_by: dict[Key, dict[Chat, None]] = {}
        self._remembered: dict[Key, Card] = {}

    # Chats and facts

    def chat(self, key: tuple[str, str], kind: str, messenger_id: str) -> Chat:
        """The chat, which may be new."""
        if key not in self.chats:
            self.chats[key] = Chat(len(self.chats), kind, messenger_id)
        return self.chats[key]

    def add_fact(self, chat: Chat, key: Key, evidence: str) -> bool:
        """Whether it is new, or stronger than what the chat gave before."""
        known = chat.facts.get(key)
        if known is not None and EVIDENCE.index(known) <= EVIDENCE.index(evidence):
            return False
        chat.facts[key] = evidence
        self._given_by.setdefault(key, {})[chat] = None
        return True

    def customers_with(self, key: Key) -> list[Customer]:
        """To whom an identifier belongs: first who remembers it (T5), then the oldest."""
        cards = [chat.card for chat in self._given_by.get(key, ()) if chat.card]
        remembering = self._remembered.get(key)
        if remembering is not None:
            cards.append(remembering)
        first = remembering.customer if remembering is not None else None
        return sorted({card.customer for card in cards}, key=lambda one: (one is not first, one.live.age))

    def strongest(self, customer: Customer, key: Key) -> str | None:
        """The strongest evidence among the customer's facts; None if no fact is left."""
        return min((chat.facts[key] for chat in self._givers(customer, key)), key=EVIDENCE.index, default=None)

    def card_of_link(self, customer: Customer, key: Key) -> Card:
        """The card with the strongest fact, the oldest of several; or, if no fact is left, the one that remembers."""
        strongest = self.strongest(customer, key)
        cards = [chat.card for chat in self._givers(customer, key) if chat.card and chat.facts[key] == strongest]
        return min(cards, key=lambda card: card.age, default=None) or self._remembered[key]

    def _givers(self, customer: Customer, key: Key) -> list[Chat]:
        """The customer's chats that gave it."""
        return [chat for chat in self._given_by.get(key, ()) if chat.card and chat.card.customer is customer]

    # Cards

    def make_card(self, chats: Collection[Chat]) -> Card:
        """A card of its own for these chats, made from the first of them."""
        made_from = min(chats, key=lambda chat: chat.number)
        card = Card(self._cards, made_from)
        self._cards += 1
        card.customer = Customer([card])
        for chat in chats:
            self.put(chat, card)
        return card

    def put(self, chat: Chat, card: Card) -> None:
        """Bind a chat to a card; its facts go with it."""
        if chat.card is not None:
            chat.card.chats.remove(chat)
        card.chats.append(chat)
        chat.card = card

    # Groups that leave

    def move_out(self, group: Collection[Chat], former: Card) -> Card:
        """A card of its own for them, with the first phones and the merges by what on that card only they had given."""
        theirs = self._only_of(group, former)
        own = self.make_card(group)
        for key in theirs & set(former.remembers):
            self.remember(own, key)
        for merge in [merge for merge in former.merges if merge.key in theirs]:
            former.merges.remove(merge)
            own.merges.append(merge)
            merge.one = own if merge.one is former else merge.one
            merge.other = own if merge.other is former else merge.other
        self._customers_anew([*former.customer.cards, own])
        return own

    def sides_of_group(self, group: Collection[Chat], former: Card) -> tuple[list[Chat], list[Chat]]:
        """The chats that would be on the group's side if it had a card of its own, and the others."""
        theirs = self._only_of(group, former)
        merges = self.merges_among(former.customer.cards)
        taken = [merge for merge in former.merges if merge.key in theirs]
        reached = {card for merge in taken for card in (merge.one, merge.other)} - {former}
        side = self._joined(reached, [merge for merge in merges if former not in (merge.one, merge.other)])
        here = [*group, *(chat for card in side for chat in card.chats)]
        there = [chat for chat in former.customer.chats if chat not in here]
        return here, there

    def _only_of(self, group: Collection[Chat], card: Card) -> set[Key]:
        """Identifiers that on this card only these chats gave."""
        others = {key for chat in card.chats if chat not in group for key in chat.facts}
        return {key for chat in group for key in chat.facts} - others

    # First phones (T5)

    def remembered(self, key: Key) -> Card | None:
        """The card whose first phone it is."""
        return self._remembered.get(key)

    def remember(self, card: Card, key: Key) -> None:
        """It is this card's now."""
        former = self._remembered.get(key)
        if former is not None:
            former.remembers.remove(key)
        card.remembers.append(key)
        self._remembered[key] = card

    # Merges

    def merge(self, one: Card, other: Card, key: Key, *, typed: bool) -> None:
        """Join the customers of two cards."""
        merge = Merge(self._merges, one, other, key, typed)
        self._merges += 1
        one.merges.append(merge)
        other.merges.append(merge)
        self._join(one, other)

    def undo(self, merge: Merge) -> None:
        """Part what only this merge joined."""
        cards = merge.one.customer.cards
        merge.one.merges.remove(merge)
        merge.other.merges.remove(merge)
        self._customers_anew(cards)

    def _customers_anew(self, cards: Collection[Card]) -> None:
        """Whoever merges join is one customer."""
        for card in cards:
            card.customer = Customer([card])
        for left in self.merges_among(cards):
            self._join(left.one, left.other)

    def merges_among(self, cards: Collection[Card]) -> list[Merge]:
        """Those of a customer, the oldest first."""
        return sorted({merge for card in cards for merge in card.merges}, key=lambda merge: merge.number)

    def sides(self, merge: Merge) -> tuple[list[Chat], list[Chat]]:
        """The chats that would be on either side without this merge."""
        cards = merge.one.customer.cards
        ones = self._joined({merge.one}, [other for other in self.merges_among(cards) if other is not merge])
        here = [chat for card in cards if card in ones for chat in card.chats]
        there = [chat for card in cards if card not in ones for chat in card.chats]
        return here, there

    def _joined(self, cards: set[Card], merges: Collection[Merge]) -> set[Card]:
        """These cards and all that these merges join to them."""
        found, grown = set(cards), True
        while grown:
            joined = {card for merge in merges if {merge.one, merge.other} & found for card in (merge.one, merge.other)}
            grown = not joined <= found
            found |= joined
        return found

    def _join(self, one: Card, other: Card) -> None:
        stays, goes = one.customer, other.customer
        if stays is not goes:
            stays.cards.extend(goes.cards)
            for card in goes.cards:
                card.customer = stays


def proofs(chats: Iterable[Chat]) -> Proofs:
    """The proven phones and e-mails of these chats."""
    return proven((key, evidence) for chat in chats for key, evidence in chat.facts.items())


def proven(given: Iterable[tuple[Key, str]]) -> Proofs:
    """The proven phones and e-mails among these identifiers."""
    found: Proofs = {"phone": set(), "email": set()}
    for (kind, value), evidence in given:
        if evidence == "proven" and kind in found:
            found[kind].add(value)
    return found


def contradict(ones: Proofs, others: Proofs) -> bool:
    """T8: each has a proven phone and they have none in common, or the same for e-mails."""
    return any(ones[kind] and others[kind] and not ones[kind] & others[kind] for kind in ("phone", "email"))

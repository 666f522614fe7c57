"""The oracle: docs/tracker.md in plain Python, one message after the other, paragraph by paragraph.

It says which messages must be on one card. It shares no code with the product, knows no batches, locks or tables, and
prefers the obvious to the fast. It speaks of open channels with the settings that are theirs by default, and of a desk
at which no person has acted: so nobody has edited a card, kept a pair apart or blocked a value.
"""

import unicodedata
from collections.abc import Iterable

from loadgen.evaluation.ledger import Card, Chat, Customer, Ledger, contradict, proofs, proven
from loadgen.evaluation.reading import Key, identifiers
from loadgen.evaluation.said import EVIDENCE, Message

MAX_CLAIMANTS = 5
WAITS_FOR_DETAILS = frozenset({"livechat"})
"""C3: kinds of channels whose customers have a provisional card until a phone or an e-mail is known."""

KINDS = ("phone", "email", "messenger")
"""T2: in this order."""


def cards_of(messages: Iterable[Message]) -> dict[tuple[str, str], int]:
    """The number of the card of each chat, after all messages, which come in the order of their times."""
    oracle = Oracle()
    for message in messages:
        oracle.take(message)
    return oracle.cards()


class Oracle:
    """Show it messages by `take`, in order."""

    def __init__(self, max_claimants: int = MAX_CLAIMANTS) -> None:
        self.shared: set[Key] = set()
        self.reviewed: set[frozenset[int]] = set()
        """Pairs of cards, by number, that went to the review list."""
        self._ledger = Ledger()
        self._max_claimants = max_claimants
        self._claims: dict[tuple[Key, str], list[tuple[str, str]]] = {}

    def cards(self) -> dict[tuple[str, str], int]:
        """The number of the live card of each chat."""
        return {key: _card(chat).customer.live.number for key, chat in self._ledger.chats.items()}

    def take(self, message: Message) -> None:
        """Decide a message ("How a message is decided")."""
        given = identifiers(message)
        # The messenger id of a claim is the chat's where the channel gives none, so it is the chat's for all.
        chat = self._ledger.chat(message.chat_key, message.kind, message.chat)
        self._count_claims(chat, message.name, given)
        if chat.card is None:
            self._bind(chat, given)
        news = [(key, evidence) for key, evidence in given if self._ledger.add_fact(chat, key, evidence)]
        proves = any(evidence == "proven" and key[0] != "messenger" for key, evidence in news)
        if proves:
            self._give_way(chat)
        self._remember_first_phone(chat, news)
        if self._merge_owners(chat, news) or proves:
            self._give_way(chat)
        self._show_card(_card(chat).customer, chat)

    # 1. Claims

    def _count_claims(self, chat: Chat, name: str, given: list[tuple[Key, str]]) -> None:
        """T9: a chat claims a phone or an e-mail when it first gives it."""
        compared = "".join(unicodedata.normalize("NFKC", name).casefold().split())
        if not compared:
            return  # without a name it contradicts nobody
        for key, _ in given:
            if key[0] == "messenger" or key in chat.facts:
                continue
            counted = self._claims.setdefault((key, chat.kind), [])
            if all(chat.messenger_id != other_id and compared != other for other_id, other in counted):
                counted.append((chat.messenger_id, compared))
            if len(counted) > self._max_claimants:
                self.shared.add(key)

    # 2. A chat without a card is matched

    def _bind(self, chat: Chat, given: list[tuple[Key, str]]) -> None:
        """T2, T6."""
        card = self._match(chat, given)
        if card is None:
            self._ledger.make_card([chat])
        else:
            self._ledger.put(chat, card)

    def _match(self, chat: Chat, given: list[tuple[Key, str]]) -> Card | None:
        ours = proven(given)
        for evidence in EVIDENCE:
            keys = [key for key, its_evidence in given if its_evidence == evidence and key not in self.shared]
            first_phones = [
                (key, self._ledger.card_of_link(card.customer, key))
                for key in keys
                if (card := self._ledger.remembered(key))
            ]
            standing = [
                (key, self._ledger.card_of_link(customer, key))
                for kind in KINDS
                for key in keys
                if key[0] == kind
                for customer in self._ledger.customers_with(key)
            ]
            for key, card in (*first_phones, *standing):
                typed = self._is_typed(key, evidence, card.customer)
                if not (typed and contradict(ours, proofs(card.customer.chats))):
                    chat.bound_typed = typed
                    return card
        return None

    def _is_typed(self, key: Key, evidence: str, customer: Customer) -> bool:
        """A link is typed if either side only typed it; of a remembered phone without a fact, the incoming counts."""
        return "typed" in (evidence, self._ledger.strongest(customer, key) or evidence)

    # 4. The first phone is remembered

    def _remember_first_phone(self, chat: Chat, news: list[tuple[Key, str]]) -> None:
        """T5: of a customer for whom none is remembered."""
        card = _card(chat)
        if card.customer.remembers:
            return
        for key, _ in news:
            if key[0] == "phone" and key not in self.shared and not self._ledger.remembered(key):
                self._ledger.remember(card, key)
                return

    # 5. Identifiers that belong to another customer too

    def _merge_owners(self, chat: Chat, news: list[tuple[Key, str]]) -> bool:
        """T7, T8. Whether a link that is not typed merged anything."""
        firmly = False
        for key, evidence in sorted(news, key=lambda one: EVIDENCE.index(one[1])):  # sorting keeps the message's order
            if key in self.shared:
                continue
            for other in self._ledger.customers_with(key):
                card = _card(chat)
                if other is card.customer:
                    continue
                typed = self._is_typed(key, evidence, other)
                if typed and contradict(proofs(card.customer.chats), proofs(other.chats)):
                    self._review(card.customer, other)
                else:
                    self._ledger.merge(card, self._ledger.card_of_link(other, key), key, typed=typed)
                    firmly |= not typed
        return firmly

    # When a proof comes late

    def _give_way(self, chat: Chat) -> None:
        """T8: typed links whose two sides contradict each other give way, one at a time, until none is left."""
        customers = [_card(chat).customer]
        while customers:
            customers += self._give_way_once(customers.pop(), chat)

    def _give_way_once(self, customer: Customer, chat: Chat) -> list[Customer]:
        """The customers that came of it."""
        for group in self._loose_groups(customer.cards, chat):
            former = _card(group[0])
            here, there = self._ledger.sides_of_group(group, former)
            if contradict(proofs(here), proofs(there)):
                own = self._ledger.move_out(group, former)
                self._review(own.customer, former.customer)
                return list({own.customer, former.customer})
        for merge in reversed(self._ledger.merges_among(customer.cards)):  # the youngest first
            if merge.typed:
                here, there = self._ledger.sides(merge)
                if contradict(proofs(here), proofs(there)):
                    self._ledger.undo(merge)
                    self._review(merge.one.customer, merge.other.customer)
                    return [merge.one.customer, merge.other.customer]
        return []

    def _loose_groups(self, cards: list[Card], chat: Chat) -> list[list[Chat]]:
        """First that of the message's chat, then the others by their oldest chat."""
        loose = [
            group
            for card in cards
            for group in _groups_of(card)
            if card.made_from not in group and any(member.bound_typed for member in group)
        ]
        return sorted(loose, key=lambda group: (chat not in group, min(member.number for member in group)))

    def _review(self, one: Customer, other: Customer) -> None:
        self.reviewed.add(frozenset({one.live.number, other.live.number}))

    # C3: when somebody sees the card

    def _show_card(self, customer: Customer, chat: Chat) -> None:
        known = any(key[0] != "messenger" for member in customer.chats for key in member.facts)
        if known or chat.kind not in WAITS_FOR_DETAILS:
            customer.live.unseen = False


def _card(chat: Chat) -> Card:
    assert chat.card is not None  # noqa: S101  bound by its first message
    return chat.card


def _groups_of(card: Card) -> list[list[Chat]]:
    """Chats of one card are of one group if they gave the same identifier, neither of them only typed."""
    groups: list[list[Chat]] = []
    for chat in card.chats:
        firm = _firm(chat)
        akin = [group for group in groups if any(firm & _firm(member) for member in group)]
        groups = [group for group in groups if group not in akin]
        groups.append([*(member for group in akin for member in group), chat])
    return groups


def _firm(chat: Chat) -> set[Key]:
    """Identifiers that it did not only type."""
    return {key for key, evidence in chat.facts.items() if evidence != "typed"}

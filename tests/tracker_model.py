"""A model of the tracker in plain Python, one message or act after the other: no SQL, no locks, no batches.

It follows docs/tracker.md. Cards are numbered in the order in which they are made; customers are computed anew from
the merges each time.
"""

from copy import deepcopy
from dataclasses import dataclass, field

Key = tuple[str, str]
STRENGTH = {"proven": 0, "signed": 1, "typed": 2}


@dataclass
class Link:
    key: Key | None
    evidence: str


@dataclass(eq=False)
class ModelMerge:
    card: int
    other: int
    link: Link


@dataclass
class Model:
    """own: the card of each chat. typed_in: chats that a typed link bound to their card. maker: of each card.

    facts: what each chat gave, on whichever card it is.
    """

    own: dict[str, int] = field(default_factory=dict)
    typed_in: set[str] = field(default_factory=set)
    order: list[str] = field(default_factory=list)
    maker: dict[int, str] = field(default_factory=dict)
    facts: dict[str, dict[Key, str]] = field(default_factory=dict)
    memory: dict[Key, int] = field(default_factory=dict)
    merges: list[ModelMerge] = field(default_factory=list)
    apart: set[frozenset[int]] = field(default_factory=set)
    detached: set[tuple[int, Key]] = field(default_factory=set)
    edited: set[int] = field(default_factory=set)
    reviews: dict[frozenset[int], Key] = field(default_factory=dict)
    cards: int = 0

    # Looking

    def customer(self, card: int, without: ModelMerge | None = None) -> set[int]:
        found, left = {card}, [card]
        while left:
            here = left.pop()
            for merge in self.merges:
                if merge is without:
                    continue
                for near, far in ((merge.card, merge.other), (merge.other, merge.card)):
                    if near == here and far not in found:
                        found.add(far)
                        left.append(far)
        return found

    def partition(self) -> set[frozenset[str]]:
        return {frozenset(c for c in self.own if self.own[c] in self.customer(card)) for card in self.own.values()}

    def on(self, cards: set[int]) -> dict[Key, list[tuple[str, str]]]:
        """Identifiers of a customer, with chat and evidence."""
        found: dict[Key, list[tuple[str, str]]] = {}
        for chat, given in self.facts.items():
            if self.own.get(chat) in cards:
                for key, evidence in given.items():
                    found.setdefault(key, []).append((chat, evidence))
        return found

    def proofs(self, cards: set[int], chats: set[str] | None = None) -> set[Key]:
        return {
            key
            for key, given in self.on(cards).items()
            for chat, evidence in given
            if evidence == "proven" and key[0] != "messenger" and (chats is None or chat in chats)
        }

    def link(self, key: Key, evidence: str, cards: set[int]) -> Link:
        there = [given for _, given in self.on(cards).get(key, [])]
        strongest = min(there, key=STRENGTH.__getitem__, default=evidence)
        return Link(key, max(evidence, strongest, key=STRENGTH.__getitem__))

    def holders(self, key: Key) -> list[int]:
        """A card of each customer who has an identifier: who remembers it first, then the oldest."""
        cards = [self.memory[key]] if key in self.memory else []
        having = sorted(
            (min(self.customer(self.own[chat])), self.own[chat]) for chat, given in self.facts.items() if key in given
        )
        cards += [card for _, card in having]
        first: list[int] = []
        for card in cards:
            if not any(card in self.customer(other) for other in first):
                first.append(card)
        return first

    # A message

    def say(self, chat: str, given: list[tuple[Key, str]]) -> None:
        if chat not in self.own:
            self._bind(chat, given)
        card = self.own[chat]
        fresh = self._add(chat, card, given)
        if any(evidence == "proven" and key[0] != "messenger" for key, evidence in fresh):
            self._part(chat)
            card = self.own[chat]
        if not any(held in self.customer(card) for held in self.memory.values()):
            new = next((key for key, _ in fresh if key[0] == "phone" and key not in self.memory), None)
            if new is not None:
                self.memory[new] = card
        for key, evidence in sorted(fresh, key=lambda f: STRENGTH[f[1]]):
            asked = False
            for other in self.holders(key):
                asked |= self._meet(card, other, key, evidence, asked=asked)
        self._part(chat)

    def _bind(self, chat: str, given: list[tuple[Key, str]]) -> None:
        self.order.append(chat)
        ours = {key for key, evidence in given if evidence == "proven" and key[0] != "messenger"}
        for evidence in STRENGTH:
            stated = [key for key, e in given if e == evidence]
            tries = [(key, self.memory[key]) for key in stated if key in self.memory]
            for kind in ("phone", "email", "messenger"):
                tries += [(key, other) for key in stated if key[0] == kind for other in self._having(key)]
            for key, other in tries:
                theirs = self.customer(other)
                link = self.link(key, evidence, theirs)
                if link.evidence == "typed" and contradict(ours, self.proofs(theirs)):
                    continue
                self.own[chat] = self._place(key, theirs)
                if link.evidence == "typed":
                    self.typed_in.add(chat)
                return
        self.own[chat] = self._new(chat)

    def _having(self, key: Key) -> list[int]:
        cards = [self.own[chat] for chat, given in self.facts.items() if key in given]
        return sorted(cards, key=lambda card: min(self.customer(card)))

    def _place(self, key: Key, cards: set[int]) -> int:
        there = [(STRENGTH[evidence], self.own[chat]) for chat, evidence in self.on(cards).get(key, [])]
        return min(there)[1] if there else self.memory[key]

    def _new(self, chat: str) -> int:
        self.cards += 1
        self.maker[self.cards] = chat
        return self.cards

    def _add(self, chat: str, card: int, given: list[tuple[Key, str]]) -> list[tuple[Key, str]]:
        fresh = []
        mine = self.facts.setdefault(chat, {})
        for key, evidence in given:
            wrong = any((each, key) in self.detached for each in self.customer(card)) and evidence != "proven"
            if not wrong and (key not in mine or STRENGTH[evidence] < STRENGTH[mine[key]]):
                mine[key] = evidence
                fresh.append((key, evidence))
        return fresh

    def _meet(self, card: int, other: int, key: Key, evidence: str, *, asked: bool) -> bool:
        mine, theirs = self.customer(card), self.customer(other)
        if mine == theirs or any(frozenset((a, b)) in self.apart for a in mine for b in theirs):
            return False
        link = self.link(key, evidence, theirs)
        place = self._place(key, theirs)
        opposed = link.evidence == "typed" and contradict(self.proofs(mine), self.proofs(theirs))
        if mine & self.edited or opposed:
            if not asked:
                self.reviews.setdefault(frozenset((card, place)), key)
            return True
        self.merges.append(ModelMerge(card, place, link))
        return False

    # A late proof

    def _part(self, chat: str) -> None:
        waiting = [self.own[chat]]
        while waiting:
            cards = self.customer(waiting.pop())
            waiting += self._part_once(chat, cards)

    def _part_once(self, chat: str, cards: set[int]) -> list[int]:
        loose = [
            (card, group)
            for card in cards
            for group in self.groups(card)
            if group & self.typed_in and self.maker.get(card) not in group
        ]
        loose.sort(key=lambda found: (chat not in found[1], min(map(self.order.index, found[1]))))
        for card, group in loose:
            side = self.side(card, group)
            everybody = {c for c in self.own if self.own[c] in cards}
            if contradict(self.proofs(cards, side), self.proofs(cards, everybody - side)):
                new = self.release(card, group)
                self.reviews.setdefault(frozenset((card, new)), ("", ""))
                return [*cards, new]
        for merge in reversed([m for m in self.merges if m.card in cards]):
            if merge.link.evidence == "typed":
                mine, theirs = self.customer(merge.card, merge), self.customer(merge.other, merge)
                if contradict(self.proofs(mine), self.proofs(theirs)):
                    self.merges.remove(merge)
                    self.reviews.setdefault(frozenset((merge.card, merge.other)), ("", ""))
                    return [merge.card, merge.other]
        return []

    def groups(self, card: int) -> list[set[str]]:
        chats = [chat for chat in self.own if self.own[chat] == card]
        groups: list[set[str]] = []
        for chat in chats:
            strong = {key for key, evidence in self.facts.get(chat, {}).items() if evidence != "typed"}
            near = [g for g in groups if any(self._strong(c) & strong for c in g)]
            groups = [g for g in groups if g not in near] + [{chat}.union(*near)]
        return groups

    def _strong(self, chat: str) -> set[Key]:
        return {key for key, evidence in self.facts.get(chat, {}).items() if evidence != "typed"}

    def only_of(self, card: int, group: set[str]) -> set[Key]:
        """Identifiers that on a card only these chats gave."""
        return {key for key, given in self.on({card}).items() if {chat for chat, _ in given} <= group}

    def side(self, card: int, group: set[str]) -> set[str]:
        """The chats that would be one with a group if it had a card of its own."""
        trial = deepcopy(self)
        new = trial.release(card, group)
        return {chat for chat in trial.own if trial.own[chat] in trial.customer(new)}

    def release(self, card: int, group: set[str]) -> int:
        theirs = self.only_of(card, group)
        new = self._new(min(group, key=self.order.index))
        for chat in group:
            self.own[chat] = new
            self.typed_in.discard(chat)
        self.memory.update({key: new for key, held in self.memory.items() if held == card and key in theirs})
        for merge in self.merges:
            if merge.link.key in theirs:
                merge.card = new if merge.card == card else merge.card
                merge.other = new if merge.other == card else merge.other
        for pair, key in list(self.reviews.items()):
            if card in pair and key in theirs:
                del self.reviews[pair]
                self.reviews[pair - {card} | {new}] = key
        self.apart |= {pair - {card} | {new} for pair in self.apart if card in pair}
        self.detached |= {(new, key) for held, key in self.detached if held == card}
        return new

    # Acts

    def merge(self, card: int, other: int) -> bool:
        mine, theirs = self.customer(card), self.customer(other)
        if mine == theirs:
            return False
        self.apart -= {frozenset((a, b)) for a in mine for b in theirs}
        self.merges.append(ModelMerge(card, other, Link(None, "")))
        return True

    def undo(self, merge: ModelMerge) -> None:
        self.merges.remove(merge)
        self.apart.add(frozenset((merge.card, merge.other)))

    def detach(self, card: int, key: Key) -> bool:
        cards = self.customer(card)
        had = key in self.on(cards) or self.memory.get(key) in cards
        if had:
            for chat in self.facts:
                if self.own[chat] in cards:
                    self.facts[chat].pop(key, None)
            if self.memory.get(key) in cards:
                del self.memory[key]
            self.detached |= {(each, key) for each in cards}
            self.edited.add(card)
        return had

    def remove(self, card: int, key: Key) -> bool:
        cards = self.customer(card)
        had = key in self.on(cards)
        for chat in self.facts:
            if had and self.own[chat] in cards:
                self.facts[chat].pop(key, None)
        if had:
            self.edited.add(card)
        return had

    def erase(self, card: int) -> None:
        """All that is this customer's; of others what only typed one of his identifiers."""
        cards = self.customer(card)
        chats = {chat for chat, own in self.own.items() if own in cards}
        proven = {k for c, given in self.facts.items() if c not in chats for k, e in given.items() if e == "proven"}
        gone = ({*self.on(cards)} | {key for key, held in self.memory.items() if held in cards}) - proven
        for chat in chats:
            del self.own[chat]
            self.facts.pop(chat, None)
            self.typed_in.discard(chat)
            self.order.remove(chat)
        for given in self.facts.values():
            for key in gone & given.keys():
                del given[key]
        self.memory = {key: held for key, held in self.memory.items() if key not in gone and held not in cards}
        self.merges = [merge for merge in self.merges if not {merge.card, merge.other} & cards]
        for merge in self.merges:
            if merge.link.key in gone:
                merge.link = Link(None, merge.link.evidence)
        self.apart = {pair for pair in self.apart if not pair & cards}
        self.detached = {(held, key) for held, key in self.detached if held not in cards and key not in gone}
        self.reviews = {
            pair: ("", "") if key in gone else key for pair, key in self.reviews.items() if not pair & cards
        }

    def detach_chat(self, chat: str) -> int | None:
        card = self.own[chat]
        (group,) = (g for g in self.groups(card) if chat in g)
        if len(group) == sum(own == card for own in self.own.values()):
            return None
        new = self.release(card, group)
        self.apart.add(frozenset((card, new)))
        self.edited.add(card)
        return new


def contradict(ours: set[Key], theirs: set[Key]) -> bool:
    for kind in ("phone", "email"):
        mine, others = {k for k in ours if k[0] == kind}, {k for k in theirs if k[0] == kind}
        if mine and others and not mine & others:
            return True
    return False

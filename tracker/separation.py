"""Which typed links give way when a proof comes late (T8). See "When a proof comes late" in docs/tracker.md."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tracker.customers import PROVABLE, IdentifierKey, contradict, joined
from tracker.identifiers import Evidence


@dataclass(frozen=True, slots=True)
class BoundChat:
    """A chat of a customer. typed: a typed link bound it to its card. made_card: the card was made from it."""

    id: int
    card_id: int
    typed: bool
    made_card: bool


@dataclass(frozen=True, slots=True)
class Fact:
    """A chat gave an identifier. chat_id: 0 where a person entered it."""

    card_id: int
    chat_id: int
    identifier: IdentifierKey
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class ActiveMerge:
    """A merge that is not undone, and its link; None where a person merged without one."""

    id: int
    card_id: int
    other_id: int
    evidence: Evidence | None = None
    identifier: IdentifierKey | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """These chats of one card get a card of their own."""

    card_id: int
    chat_ids: frozenset[int]


@dataclass(frozen=True, slots=True)
class Part:
    """This merge is undone."""

    merge_id: int


def separate(
    card_ids: Collection[int],
    chats: Sequence[BoundChat],
    facts: Sequence[Fact],
    merges: Sequence[ActiveMerge],
    proving_chat_id: int,
) -> Release | Part | None:
    """The first typed link that has to give way, or None. To be asked again when it has.

    All of one customer: his cards, their chats and facts, the merges between them; and the chat that just proved
    something, whose own group is looked at first.
    """
    sides = _Sides(card_ids, facts, merges)
    if not sides.may_contradict:
        return None
    for card_id, group in _groups_in_order(card_ids, chats, facts, proving_chat_id):
        if contradict(*sides.of_group(card_id, group)):
            return Release(card_id, group)
    for merge in sorted(sides.merges_between_proofs(), key=lambda merge: merge.id, reverse=True):
        if merge.evidence is Evidence.TYPED and contradict(*sides.of_merge(merge)):
            return Part(merge.id)
    return None


_NEW = 0
"""Stands for the card that a group would get."""

Proofs = set[IdentifierKey]


class _Sides:
    """What would be proved on either side of a link if it gave way."""

    def __init__(self, card_ids: Collection[int], facts: Sequence[Fact], merges: Sequence[ActiveMerge]) -> None:
        self._card_ids = card_ids
        self._merges = merges
        self._proofs_of_chats: dict[tuple[int, int], Proofs] = {}
        self._proofs: Counter[IdentifierKey] = Counter()
        self._givers: dict[tuple[int, IdentifierKey], set[int]] = {}
        self._merges_at: dict[int, list[ActiveMerge]] = {}
        for merge in merges:
            for card_id in (merge.card_id, merge.other_id):
                self._merges_at.setdefault(card_id, []).append(merge)
        joining = {merge.identifier for merge in merges}
        for fact in facts:
            if fact.identifier in joining:
                self._givers.setdefault((fact.card_id, fact.identifier), set()).add(fact.chat_id)
            if fact.evidence is Evidence.PROVEN and fact.identifier[0] in PROVABLE:
                self._proofs_of_chats.setdefault((fact.card_id, fact.chat_id), set()).add(fact.identifier)
                self._proofs[fact.identifier] += 1

    @property
    def may_contradict(self) -> bool:
        """Only two proofs of a kind may."""
        return max(Counter(kind for kind, _ in self._proofs).values(), default=0) > 1

    def of_group(self, card_id: int, group: Collection[int]) -> tuple[Proofs, Proofs]:
        """The group with all that is merged by it alone, and the rest."""
        own = [(card_id, chat_id) for chat_id in group]
        taken = {
            merge.id for merge in self._merges_at.get(card_id, ()) if self._gave_alone(merge.identifier, card_id, group)
        }
        if not taken:
            return self._parted(own)

        def end(merge: ActiveMerge, at: int) -> int:
            return _NEW if at == card_id and merge.id in taken else at

        links = [(end(merge, merge.card_id), end(merge, merge.other_id)) for merge in self._merges]
        (side,) = (part for part in joined([_NEW, *self._card_ids], links) if _NEW in part)
        return self._parted([*own, *(place for place in self._proofs_of_chats if place[0] in side)])

    def merges_between_proofs(self) -> list[ActiveMerge]:
        """Those with proofs on both sides: what is left when cards at the ends, without proofs, are taken off."""
        proven = {card_id for card_id, _ in self._proofs_of_chats}
        left = {card_id: set(merges) for card_id, merges in self._merges_at.items()}
        ends = [card_id for card_id, merges in left.items() if len(merges) == 1 and card_id not in proven]
        while ends:
            card_id = ends.pop()
            for merge in left.pop(card_id):
                other = merge.other_id if merge.card_id == card_id else merge.card_id
                left[other].discard(merge)
                if len(left[other]) == 1 and other not in proven:
                    ends.append(other)
        return list({merge for merges in left.values() for merge in merges})

    def of_merge(self, merge: ActiveMerge) -> tuple[Proofs, Proofs]:
        """The customer of either card without it."""
        others = [(other.card_id, other.other_id) for other in self._merges if other is not merge]
        (side,) = (part for part in joined(self._card_ids, others) if merge.card_id in part)
        return self._parted([place for place in self._proofs_of_chats if place[0] in side])

    def _gave_alone(self, identifier: IdentifierKey | None, card_id: int, group: Collection[int]) -> bool:
        """Whether on this card only these chats gave the identifier of a merge."""
        givers = self._givers.get((card_id, identifier), set()) if identifier is not None else set()
        return bool(givers) and givers <= set(group)

    def _parted(self, places: Collection[tuple[int, int]]) -> tuple[Proofs, Proofs]:
        """The proofs given in these places, by card and chat, and all others."""
        here = Counter(key for place in places for key in self._proofs_of_chats.get(place, ()))
        return set(here), {key for key, n in self._proofs.items() if n > here[key]}


def group_of(chat_id: int, chats: Sequence[BoundChat], facts: Sequence[Fact]) -> frozenset[int]:
    """The chats of the same card that more than typed identifiers join with this one."""
    card_id = next(chat.card_id for chat in chats if chat.id == chat_id)
    return next(group for group in _groups(card_id, chats, facts) if chat_id in group)


def _groups_in_order(
    card_ids: Collection[int], chats: Sequence[BoundChat], facts: Sequence[Fact], proving_chat_id: int
) -> list[tuple[int, frozenset[int]]]:
    """All groups that are not of their card's base: that of the proving chat, then the others by their oldest chat."""
    made = {chat.id for chat in chats if chat.made_card}
    typed = {chat.id for chat in chats if chat.typed}
    found = [
        (card_id, group)
        for card_id in card_ids
        for group in _groups(card_id, chats, facts)
        if group & typed and not group & made
    ]
    return sorted(found, key=lambda placed: (proving_chat_id not in placed[1], min(placed[1])))


def _groups(card_id: int, chats: Sequence[BoundChat], facts: Sequence[Fact]) -> list[frozenset[int]]:
    """Chats of one card that gave the same identifier, neither of them only typed."""
    chat_ids = {chat.id for chat in chats if chat.card_id == card_id}
    givers: dict[IdentifierKey, list[int]] = {}
    for fact in facts:
        if fact.card_id == card_id and fact.evidence is not Evidence.TYPED and fact.chat_id in chat_ids:
            givers.setdefault(fact.identifier, []).append(fact.chat_id)
    links = [(first, other) for first, *others in givers.values() for other in others]
    return [frozenset(group) for group in joined(sorted(chat_ids), links)]

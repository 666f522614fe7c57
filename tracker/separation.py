"""Which typed links give way when a proof comes late (T8). See "When a proof comes late" in docs/tracker.md."""

from collections.abc import Collection, Iterable, Sequence
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
    for card_id, group in _groups_in_order(card_ids, chats, facts, proving_chat_id):
        ours, rest = _sides_of_group(card_ids, card_id, group, facts, merges)
        if contradict(ours, rest):
            return Release(card_id, group)
    for merge in sorted(merges, key=lambda merge: merge.id, reverse=True):
        if merge.evidence is Evidence.TYPED:
            others = [(other.card_id, other.other_id) for other in merges if other is not merge]
            (side,) = (part for part in joined(card_ids, others) if merge.card_id in part)
            ours = _proofs(fact for fact in facts if fact.card_id in side)
            if contradict(ours, _proofs(fact for fact in facts if fact.card_id not in side)):
                return Part(merge.id)
    return None


_NEW = 0
"""Stands for the card that a group would get."""


def _sides_of_group(
    card_ids: Collection[int],
    card_id: int,
    group: Collection[int],
    facts: Sequence[Fact],
    merges: Sequence[ActiveMerge],
) -> tuple[set[IdentifierKey], set[IdentifierKey]]:
    """What the group and all that is merged by it alone has proved, and what the rest has."""
    givers: dict[IdentifierKey, set[int]] = {}
    for fact in facts:
        if fact.card_id == card_id:
            givers.setdefault(fact.identifier, set()).add(fact.chat_id)
    only_theirs = {identifier for identifier, chat_ids in givers.items() if chat_ids <= set(group)}

    def end(merge: ActiveMerge, at: int) -> int:
        return _NEW if at == card_id and merge.identifier in only_theirs else at

    links = [(end(merge, merge.card_id), end(merge, merge.other_id)) for merge in merges]
    (side,) = (part for part in joined([_NEW, *card_ids], links) if _NEW in part)
    ours, rest = set[IdentifierKey](), set[IdentifierKey]()
    for fact in facts:
        at = _NEW if fact.card_id == card_id and fact.chat_id in group else fact.card_id
        (ours if at in side else rest).update(_proofs([fact]))
    return ours, rest


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


def _proofs(facts: Iterable[Fact]) -> set[IdentifierKey]:
    return {fact.identifier for fact in facts if fact.evidence is Evidence.PROVEN and fact.identifier[0] in PROVABLE}

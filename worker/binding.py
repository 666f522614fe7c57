"""Deciding under locks what messages bring, and writing it down (T2-T10).

Lock order: chats (held already), identifiers by (kind, key), live cards by id.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from crm_store import cards, chats, matching, parting
from crm_store.cards import NewCard
from crm_store.chats import ChatContext
from crm_store.database import Connection, in_one_trip
from crm_store.matching import NewMerge
from tracker.channels import OpenChannelSettings, TypedIdentifiers
from tracker.claims import Standing
from tracker.customers import IdentifierKey, key_of
from tracker.decisions import Binding, MatchingRules, Review, ReviewCause, Sighting
from tracker.identifiers import Identifier
from tracker.matching import Book
from tracker.separation import Release, separate

LATE_PROOF = "T8"
"""Why a chat has a card of its own, or a merge was undone, after a proof."""

Bindings = list[tuple[Sighting, Binding]]


@dataclass(frozen=True, slots=True)
class _Shown:
    """A sighting that is to be decided. unfinished: what is still to be done of it, if it was begun."""

    sighting: Sighting
    unfinished: tuple[Identifier, ...] = ()


class _MoreToLockError(Exception):
    """A customer is to be parted: his chats and identifiers must be locked before his cards."""

    def __init__(self, chat_ids: Collection[int], keys: Collection[IdentifierKey]) -> None:
        super().__init__()
        self.chat_ids = chat_ids
        self.keys = keys


def rules_of(settings: OpenChannelSettings) -> MatchingRules:
    """What the open channel allows (T1, T8, T9)."""
    return MatchingRules(
        check_client_in_crm=settings.check_client_in_crm,
        chat_tracker=settings.chat_tracker,
        suggest_typed=settings.typed_identifiers is TypedIdentifiers.SUGGEST,
        max_claimants=settings.max_claimants,
    )


def decide(
    connection: Connection, sightings: Sequence[Sighting], contexts: Mapping[int, ChatContext]
) -> dict[int, int]:
    """Resolve sightings, in their order, under locks, and write the answers down. Returns the card of each chat.

    A proof that takes typed links back ends a round; what follows is decided by what is known then.
    """
    keys = {key_of(identifier) for sighting in sightings for identifier in sighting.identifiers}
    locked_chats = set(contexts)
    while True:
        try:
            with connection.transaction():  # gives locks back that were taken too early
                return _decide(connection, sightings, keys, contexts, locked_chats)
        except _MoreToLockError as error:
            # Not waited for: whoever has one of them may wait for one of ours.
            chats.lock_now(connection, set(error.chat_ids) - locked_chats)
            locked_chats |= set(error.chat_ids)
            keys |= set(error.keys)


def _decide(
    connection: Connection,
    sightings: Sequence[Sighting],
    keys: Collection[IdentifierKey],
    contexts: Mapping[int, ChatContext],
    locked_chats: Collection[int],
) -> dict[int, int]:
    bound_to = {s.chat_id: card_id for s in sightings if (card_id := contexts[s.chat_id].card_id) is not None}
    left = [_Shown(sighting) for sighting in sightings]
    while left:
        left = _round(connection, left, keys, bound_to, contexts, locked_chats)
    return bound_to


def _round(
    connection: Connection,
    left: Sequence[_Shown],
    keys: Collection[IdentifierKey],
    bound_to: dict[int, int],
    contexts: Mapping[int, ChatContext],
    locked_chats: Collection[int],
) -> list[_Shown]:
    """Decide up to a message that may bring a conflict, and settle that; returns what is left to be decided."""
    known = matching.learn(connection, keys, set(bound_to.values()))
    unbound = {shown.sighting.chat_id for shown in left} - bound_to.keys()
    book = Book(known, iter(cards.new_ids(connection, len(unbound))))
    bindings: Bindings = []
    for shown in left:
        binding = _show(book, shown, bound_to, rules_of(contexts[shown.sighting.chat_id].settings))
        bindings.append((shown.sighting, binding))
        if binding.conflict:
            break
    last, made = bindings[-1]
    if made.conflict:
        their_chats, their_keys = book.chats_and_identifiers_of(made.card_id)
        if not (their_chats <= set(locked_chats) and their_keys <= set(keys)):
            raise _MoreToLockError(their_chats, their_keys)
    _write(connection, book, bindings, contexts)
    bound_to.update({sighting.chat_id: binding.card_id for sighting, binding in bindings})
    rest = list(left[len(bindings) :])
    if made.conflict:
        bound_to.update(part_customer(connection, made.card_id, last))
        if made.unfinished:
            rest.insert(0, _Shown(last, made.unfinished))
    return rest


def _show(book: Book, shown: _Shown, bound_to: Mapping[int, int], rules: MatchingRules) -> Binding:
    sighting = shown.sighting
    if not shown.unfinished:
        return book.bind(sighting, bound_to.get(sighting.chat_id), rules)
    card_id = bound_to[sighting.chat_id]
    return Binding(card_id, conflict=book.finish(sighting, card_id, shown.unfinished, rules))


def _write(connection: Connection, book: Book, bindings: Bindings, contexts: Mapping[int, ChatContext]) -> None:
    made = [
        _new_card(sighting, binding, contexts[sighting.chat_id]) for sighting, binding in bindings if binding.is_new
    ]
    newly_bound = {s.chat_id: (binding, s.inbox_id) for s, binding in bindings if binding.bound_by}
    with in_one_trip(connection):
        _write_all(connection, book, made, newly_bound)


def _write_all(
    connection: Connection, book: Book, made: Sequence[NewCard], newly_bound: Mapping[int, tuple[Binding, int]]
) -> None:
    if made:
        cards.insert(connection, made)
    if newly_bound:
        chats.bind(connection, newly_bound)
    if book.additions:
        matching.add_facts(connection, book.additions)
    if book.newly_remembered:
        matching.remember(connection, book.newly_remembered)
    if book.filled_names:
        matching.fill_names(connection, book.filled_names)
    if book.counted_claims:
        matching.add_claims(connection, book.counted_claims)
    if book.newly_shared:
        matching.set_standing(connection, book.newly_shared, Standing.SHARED)
    if book.merges:
        matching.add_merges(connection, [NewMerge(merge, "T7") for merge in book.merges])
        matching.set_live(connection, book.live_ids())
    if book.reviews:
        matching.add_reviews(connection, book.reviews)


def _new_card(sighting: Sighting, binding: Binding, context: ChatContext) -> NewCard:
    return NewCard(
        id=binding.card_id,
        name=sighting.name,
        open_channel_id=context.open_channel_id,
        chat_id=sighting.chat_id,
        name_inbox_id=sighting.inbox_id if sighting.name else None,
        created_at=sighting.at,
        matched=context.settings.chat_tracker,
    )


def part_customer(connection: Connection, card_id: int, sighting: Sighting) -> dict[int, int]:
    """Let typed links give way to what a message of this card's chat has proved (T8).

    The card's customer and his identifiers are locked. Returns the new cards of chats that left.
    """
    moved: dict[int, int] = {}
    waiting = {card_id}
    while waiting:
        live = matching.read_live_ids(connection, [waiting.pop()])  # its former live card is locked
        known = matching.read_customers(connection, live.values())
        card_ids = [card.id for card in known]
        merges = parting.active_merges(connection, card_ids)
        act = separate(
            card_ids, parting.chats_of(connection, card_ids), parting.facts_of(known), merges, sighting.chat_id
        )
        if isinstance(act, Release):
            (new_id,) = cards.new_ids(connection, 1)
            link = parting.release(connection, card_ids, act.card_id, act.chat_ids, new_id, LATE_PROOF)
            moved.update(dict.fromkeys(act.chat_ids, new_id))
            if link is not None:
                review = Review(
                    ReviewCause.CONTRADICTION, new_id, act.card_id, link, sighting.chat_id, sighting.inbox_id
                )
                matching.add_reviews(connection, [review])
            waiting |= {new_id, *card_ids}
        elif act is not None:
            undone = parting.undo_merge(connection, act.merge_id, card_ids, "tracker", LATE_PROOF)
            if undone is not None and undone.link is not None:
                review = Review(
                    ReviewCause.CONTRADICTION,
                    undone.card_id,
                    undone.other_id,
                    undone.link,
                    undone.chat_id,
                    undone.inbox_id,
                )
                matching.add_reviews(connection, [review])
            waiting |= set(card_ids)
        else:
            waiting -= set(card_ids)
    return moved

"""What persons decide about customers (T5, T7-T9), for the API and the command line. Every act is audited.

check: whether the caller may, asked when the act begins.

Lock order: chats, identifiers by (kind, key), live cards by id, reviews. See docs/tracker.md.
"""

from typing import Any

from console.auditing import Check, anybody, audited, masked, repeated
from console.problems import unknown
from crm_store import cards, matching, parting, tracking
from crm_store.database import Connection, Database
from crm_store.matching import NewMerge
from crm_store.tracking import LockedReview
from tracker.cards import CardDetails, CardType
from tracker.claims import Standing
from tracker.customers import IdentifierKey, KnownCard
from tracker.decisions import Merge
from tracker.dialogs import ActRefusedError
from tracker.identifiers import Identifier, IdentifierKind, is_blocked
from tracker.separation import group_of

BY_HAND = "person"
"""The rule of a merge that a person made."""


# Merging, and undoing it


@repeated
def merge(database: Database, actor: str, card_id: int, other_id: int, reason: str, *, check: Check = anybody) -> int:
    """T7: two cards are one customer's, whatever stands in the way; returns the merge's id.

    The younger points at the older. Raises ProblemError (unknown_card) and ActRefusedError (already_one, deal).
    """
    details: dict[str, Any] = {"card_id": card_id, "other_id": other_id, "reason": reason}
    with audited(database, actor, "merge", details, check) as connection:
        _known_cards(connection, card_id, other_id)
        details["merge_id"] = merge_id = _merge(connection, card_id, other_id, None, actor, reason)
        return merge_id


@repeated
def undo(database: Database, actor: str, merge_id: int, reason: str, *, check: Check = anybody) -> tuple[int, int]:
    """T7: remove the pointer; the two are kept apart from now on. Returns the live cards of the two sides.

    Raises ProblemError (unknown_merge) and ActRefusedError (already_undone).
    """
    with audited(database, actor, "undo", {"merge_id": merge_id, "reason": reason}, check) as connection:
        recorded = tracking.read_merge(connection, merge_id)
        if recorded is None:
            raise unknown("merge", merge_id)
        known = matching.lock_customers(connection, [recorded.card_id])
        if tracking.read_merge(connection, merge_id) != recorded:
            raise ActRefusedError("moved", f"merge {merge_id} has just changed; look again")
        if parting.undo_merge(connection, merge_id, [card.id for card in known], actor, reason) is None:
            raise ActRefusedError("already_undone", f"merge {merge_id} was undone before")
        tracking.keep_apart(connection, recorded.card_id, recorded.other_id, actor, reason)
        live = matching.read_live_ids(connection, [recorded.card_id, recorded.other_id])
        return live[recorded.card_id], live[recorded.other_id]


def _merge(
    connection: Connection, card_id: int, other_id: int, review: LockedReview | None, actor: str, reason: str
) -> int:
    known = matching.lock_customers(connection, [card_id, other_id])
    by_id = {card.id: card for card in known}
    live_id, other_live_id = by_id[card_id].live_id, by_id[other_id].live_id
    if live_id == other_live_id:
        raise ActRefusedError("already_one", f"cards {card_id} and {other_id} are one customer's already")
    survivor, loser = sorted((by_id[live_id], by_id[other_live_id]), key=lambda card: card.age)
    asked = (review.link, review.chat_id, review.inbox_id) if review else (None, None, None)
    record = Merge(card_id, other_id, loser.id, survivor.id, *asked)
    (merge_id,) = matching.add_merges(connection, [NewMerge(record, BY_HAND, actor, reason)])
    matching.set_live(connection, dict.fromkeys(by_id, survivor.id))
    tracking.stop_keeping_apart(
        connection,
        [card.id for card in known if card.live_id == live_id],
        [card.id for card in known if card.live_id == other_live_id],
    )
    return merge_id


# Wrong numbers, wrong chats


@repeated
def detach_identifier(
    database: Database, actor: str, card_id: int, key: IdentifierKey, reason: str, *, check: Check = anybody
) -> None:
    """T5: a wrong number (or e-mail): off the card for ever, its memory too.

    Chats that it bound stay; `detach_chat` is for those. Raises ProblemError (unknown_card) and ActRefusedError
    (not_on_card, deal).
    """
    with audited(
        database, actor, "detach", {"card_id": card_id, "kind": key[0], "reason": reason}, check
    ) as connection:
        _known_cards(connection, card_id)
        mine = _customer(matching.learn(connection, [key], [card_id]).cards, card_id)
        if not tracking.detach(connection, mine, key, actor, reason):
            raise ActRefusedError("not_on_card", f"card {card_id} does not have this {key[0]}")
        tracking.mark_edited(connection, [card_id])


@repeated
def detach_chat(database: Database, actor: str, chat_id: int, reason: str, *, check: Check = anybody) -> int:
    """A chat is not this customer's: it gets a card of its own, with all that it gave; returns that card's id.

    Chats that share more than typed identifiers with it go with it. The two are kept apart from now on. Raises
    ProblemError (unknown_chat) and ActRefusedError (not_processed, only_chat, moved).
    """
    details: dict[str, Any] = {"chat_id": chat_id, "reason": reason}
    with audited(database, actor, "detach_chat", details, check) as connection:
        known, card_id = _lock_customer_of_chat(connection, chat_id)
        card = next(card for card in known if card.id == card_id)
        bound = parting.chats_of(connection, [card_id])
        group = group_of(chat_id, bound, parting.facts_of([card]))
        if len(group) == len(bound):
            raise ActRefusedError("only_chat", f"nothing would stay on card {card_id}: undo its merge instead")
        (new_id,) = cards.new_ids(connection, 1)
        parting.release(connection, [each.id for each in known], card_id, group, new_id, BY_HAND)
        tracking.keep_apart(connection, card_id, new_id, actor, reason)
        tracking.mark_edited(connection, [card_id])
        details |= {"card_id": card_id, "new_card_id": new_id, "chats": sorted(group)}
        return new_id


def _lock_customer_of_chat(connection: Connection, chat_id: int) -> tuple[list[KnownCard], int]:
    """All of the customer, locked, and the card that the chat is bound to."""
    if not tracking.is_chat(connection, chat_id):
        raise unknown("chat", chat_id)
    card_id = tracking.card_of_chat(connection, chat_id)
    if card_id is None:
        raise ActRefusedError("not_processed", f"no message of chat {chat_id} has been processed yet")
    known = tracking.lock_whole_customer(connection, card_id)
    if tracking.card_of_chat(connection, chat_id) != card_id:
        raise ActRefusedError("moved", f"chat {chat_id} has just got another card; look again")
    return known, card_id


# Editing cards by hand


@repeated
def rename(database: Database, actor: str, card_id: int, name: str, *, check: Check = anybody) -> None:
    """A person names a card; a deal too. Raises ProblemError (unknown_card)."""
    details: dict[str, Any] = {"card_id": card_id}
    with audited(database, actor, "rename", details, check) as connection:
        _present_cards(connection, card_id)
        details["live_id"] = live_id = matching.lock_live_cards(connection, [card_id])[card_id]
        tracking.rename(connection, live_id, name)
        tracking.mark_edited(connection, [live_id])


@repeated
def enter_identifier(
    database: Database, actor: str, card_id: int, given: Identifier, *, check: Check = anybody
) -> None:
    """A person enters a phone or an e-mail on a card; it matches later chats as a typed one does.

    Raises ProblemError (unknown_card) and ActRefusedError (blocked, deal).
    """
    with audited(database, actor, "enter_identifier", {"card_id": card_id, "kind": given.kind}, check) as connection:
        _known_cards(connection, card_id)
        if is_blocked(given, matching.blocked_values(connection)):
            raise ActRefusedError("blocked", "this value is on the block list, and would never match (T9)")
        mine = _customer(matching.learn(connection, [(given.kind, given.key)], [card_id]).cards, card_id)
        live_id = mine[0].live_id
        tracking.enter(connection, live_id, mine, given, actor)
        tracking.mark_edited(connection, [live_id])


@repeated
def remove_identifier(
    database: Database, actor: str, card_id: int, key: IdentifierKey, *, check: Check = anybody
) -> None:
    """A person deletes an identifier from a card. A first phone stays remembered: only a detach releases it (T5).

    Raises ProblemError (unknown_card) and ActRefusedError (not_on_card, deal).
    """
    with audited(database, actor, "remove_identifier", {"card_id": card_id, "kind": key[0]}, check) as connection:
        _known_cards(connection, card_id)
        mine = _customer(matching.learn(connection, [key], [card_id]).cards, card_id)
        if not tracking.take_off(connection, mine, key):
            raise ActRefusedError("not_on_card", f"card {card_id} does not have this {key[0]}")
        tracking.mark_edited(connection, [card_id])


# The review list and the block list


@repeated
def accept_review(database: Database, actor: str, review_id: int, note: str, *, check: Check = anybody) -> None:
    """T7, T9: the two are one customer; or the identifier is many people's, and is blocked from now on.

    Raises ProblemError (unknown_review) and ActRefusedError (decided, already_one).
    """
    with audited(database, actor, "accept_review", {"review_id": review_id, "note": note}, check) as connection:
        card_id, other_id, key = _peek_review(connection, review_id)
        if card_id is not None and other_id is not None:
            matching.lock_customers(connection, [card_id, other_id])
            review = _lock_open_review(connection, review_id, card_id, other_id)
            _merge(connection, card_id, other_id, review, actor, note)
        else:
            matching.learn(connection, [key], [])
            _lock_open_review(connection, review_id)
            tracking.block(connection, key[0], key[1], masked(note), actor)
        tracking.decide_review(connection, review_id, "accepted", actor, note)


@repeated
def reject_review(database: Database, actor: str, review_id: int, note: str, *, check: Check = anybody) -> None:
    """T7, T9: the two are kept apart for ever; or the identifier matches again, whoever claims it.

    Raises ProblemError (unknown_review) and ActRefusedError (decided).
    """
    with audited(database, actor, "reject_review", {"review_id": review_id, "note": note}, check) as connection:
        card_id, other_id, key = _peek_review(connection, review_id)
        if card_id is not None and other_id is not None:
            live = matching.lock_live_cards(connection, [card_id, other_id])
            _lock_open_review(connection, review_id, card_id, other_id)
            if live[card_id] == live[other_id]:
                raise ActRefusedError("already_one", "they were merged meanwhile; undo that merge")
            tracking.keep_apart(connection, card_id, other_id, actor, note)
        else:
            matching.learn(connection, [key], [])
            _lock_open_review(connection, review_id)
            matching.set_standing(connection, [key], Standing.TRUSTED)
        tracking.decide_review(connection, review_id, "rejected", actor, note)


@repeated
def block(
    database: Database, actor: str, kind: IdentifierKind, value: str, reason: str, *, check: Check = anybody
) -> bool:
    """T9: a value that never matches from now on; False if it was blocked before.

    value: the key of a phone; an e-mail address, `@domain` or `name@`.
    """
    with audited(database, actor, "block", {"kind": kind, "reason": reason}, check) as connection:
        return tracking.block(connection, kind, value, masked(reason), actor)


@repeated
def unblock(database: Database, actor: str, kind: IdentifierKind, value: str, *, check: Check = anybody) -> None:
    """It may match again, even if it was shared before. Raises ActRefusedError (not_blocked)."""
    with audited(database, actor, "unblock", {"kind": kind}, check) as connection:
        if not tracking.unblock(connection, kind, value):
            raise ActRefusedError("not_blocked", "this value is not on the block list")


def _peek_review(connection: Connection, review_id: int) -> tuple[int | None, int | None, IdentifierKey]:
    found = tracking.peek_review(connection, review_id)
    if found is None:
        raise unknown("review", review_id)
    return found


def _lock_open_review(
    connection: Connection, review_id: int, card_id: int | None = None, other_id: int | None = None
) -> LockedReview:
    """card_id, other_id: whom it was about before they were locked."""
    review = tracking.lock_review(connection, review_id)
    if review is None:
        raise unknown("review", review_id)
    if (review.card_id, review.other_id) != (card_id, other_id):
        raise ActRefusedError("moved", f"review {review_id} has just come to be about another card; look again")
    if review.state != "open":
        raise ActRefusedError("decided", f"review {review_id} was {review.state} before")
    return review


def _present_cards(connection: Connection, *card_ids: int) -> list[CardDetails]:
    present = cards.details(connection, card_ids)
    for card_id in card_ids:
        if card_id not in present:
            raise unknown("card", card_id)
    return list(present.values())


def _known_cards(connection: Connection, *card_ids: int) -> None:
    """Cards that stand for customers. A deal does not: chats and identifiers hang on its contact (C1)."""
    if any(card.type is CardType.DEAL for card in _present_cards(connection, *card_ids)):
        raise ActRefusedError("deal", "a deal has neither chats nor identifiers of its own: name its contact instead")


def _customer(known: Any, card_id: int) -> list[KnownCard]:
    by_id = {card.id: card for card in known}
    return [card for card in by_id.values() if card.live_id == by_id[card_id].live_id]

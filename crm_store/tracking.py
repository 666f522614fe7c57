"""What persons decide about customers: merges, undone merges, wrong numbers, the review list, the block list.

Lock order: chats ascending, identifiers by (kind, key), live cards by id, reviews.
"""

from collections.abc import Collection
from dataclasses import dataclass

from crm_store import chats, matching
from crm_store.database import Connection
from crm_store.errors import CustomersMovedError
from crm_store.matching import MOST_TRIES
from crm_store.queries import Queries
from tracker.customers import IdentifierKey, KnownCard
from tracker.decisions import Link
from tracker.identifiers import Evidence, Identifier, IdentifierKind

_SQL = Queries("tracking")


@dataclass(frozen=True, slots=True)
class RecordedMerge:
    """The cards that a merge joined."""

    card_id: int
    other_id: int
    undone: bool


@dataclass(frozen=True, slots=True)
class LockedReview:
    """An entry of the review list. card_id, other_id: None where an identifier is asked about."""

    id: int
    cause: str
    card_id: int | None
    other_id: int | None
    link: Link
    chat_id: int | None
    inbox_id: int | None
    state: str


def read_merge(connection: Connection, merge_id: int) -> RecordedMerge | None:
    """One merge, without locks."""
    row = connection.execute(_SQL["merge"], {"merge_id": merge_id}).fetchone()
    return RecordedMerge(*row) if row else None


def keep_apart(connection: Connection, card_id: int, other_id: int, actor: str, reason: str) -> None:
    """Never merge the customers of these cards by yourself again (T7)."""
    connection.execute(_SQL["keep_apart"], {"card_id": card_id, "other_id": other_id, "actor": actor, "reason": reason})


def stop_keeping_apart(connection: Connection, card_ids: Collection[int], other_ids: Collection[int]) -> None:
    """A person has joined them after all."""
    connection.execute(_SQL["stop_keeping_apart"], {"card_ids": list(card_ids), "other_ids": list(other_ids)})


def take_off(connection: Connection, cards: Collection[KnownCard], key: IdentifierKey) -> set[int]:
    """Delete an identifier's facts from all cards of a locked customer; returns from which."""
    named = {"card_ids": [card.id for card in cards], "kind": key[0], "key": key[1]}
    return {card_id for (card_id,) in connection.execute(_SQL["delete_facts"], named).fetchall()}


def detach(connection: Connection, cards: Collection[KnownCard], key: IdentifierKey, actor: str, reason: str) -> bool:
    """A wrong number: take a locked identifier off all cards of a locked customer for ever, memory included (T5).

    Returns whether it stood there, or was remembered.
    """
    off = take_off(connection, cards, key)
    card_ids = [card.id for card in cards]
    named = {"card_ids": card_ids, "kind": key[0], "key": key[1], "actor": actor, "reason": reason}
    forgotten = connection.execute(_SQL["forget_phone"], named).rowcount
    if not off and not forgotten:
        return False
    connection.execute(_SQL["detach"], named)
    return True


def enter(connection: Connection, card_id: int, cards: Collection[KnownCard], given: Identifier, actor: str) -> None:
    """A person enters an identifier on a card of a locked customer; a former detach of it is over."""
    card_ids = [card.id for card in cards]
    connection.execute(_SQL["attach"], {"card_ids": card_ids, "kind": given.kind, "key": given.key})
    connection.execute(
        _SQL["enter_fact"],
        {
            "card_id": card_id,
            "kind": given.kind,
            "key": given.key,
            "value": given.value,
            "written": given.written,
            "actor": actor,
        },
    )


def rename(connection: Connection, card_id: int, name: str) -> None:
    """A person names a locked card."""
    connection.execute(_SQL["rename"], {"card_id": card_id, "name": name})


def mark_edited(connection: Connection, card_ids: Collection[int]) -> None:
    """A person has edited these cards: from now on T7 asks before it merges their customer."""
    connection.execute(_SQL["mark_edited"], {"card_ids": list(card_ids)})


def peek_review(connection: Connection, review_id: int) -> tuple[int | None, int | None, IdentifierKey] | None:
    """The cards and the identifier of a review, without locks."""
    row = connection.execute(_SQL["peek_review"], {"review_id": review_id}).fetchone()
    return (row[0], row[1], (IdentifierKind(row[2]), row[3])) if row else None


def lock_review(connection: Connection, review_id: int) -> LockedReview | None:
    """Lock a review, after the customers whom it is about."""
    row = connection.execute(_SQL["lock_review"], {"review_id": review_id}).fetchone()
    if row is None:
        return None
    review, cause, card_id, other_id, kind, key, evidence, chat_id, inbox_id, state = row
    link = Link((IdentifierKind(kind), key), Evidence(evidence or Evidence.TYPED))
    return LockedReview(review, cause, card_id, other_id, link, chat_id, inbox_id, state)


def decide_review(connection: Connection, review_id: int, state: str, actor: str, note: str) -> None:
    """`accepted` or `rejected`, by whom and why."""
    connection.execute(_SQL["decide_review"], {"review_id": review_id, "state": state, "actor": actor, "note": note})


def block(connection: Connection, kind: IdentifierKind, value: str, reason: str, actor: str) -> bool:
    """Put a value on the block list (T9); False if it is there already."""
    named = {"kind": kind, "value": value, "reason": reason, "actor": actor}
    return connection.execute(_SQL["block_value"], named).rowcount > 0


def unblock(connection: Connection, kind: IdentifierKind, value: str) -> bool:
    """Take a value off the block list; False if it is not there. If it was shared, it is usual again (T9)."""
    for query in ("forget_claims", "usual_again"):
        connection.execute(_SQL[query], {"kind": kind, "key": value})
    return connection.execute(_SQL["unblock_value"], {"kind": kind, "value": value}).rowcount > 0


def is_chat(connection: Connection, chat_id: int) -> bool:
    """Whether there is such a chat."""
    return connection.execute(_SQL["chat_place"], {"chat_id": chat_id}).fetchone() is not None


def card_of_chat(connection: Connection, chat_id: int) -> int | None:
    """The card that a chat is bound to."""
    row = connection.execute(_SQL["chat_place"], {"chat_id": chat_id}).fetchone()
    return row[0] if row else None


def lock_whole_customer(connection: Connection, card_id: int) -> list[KnownCard]:
    """Lock a customer with all his chats and identifiers, in the lock order. Raises CustomersMovedError."""
    for _ in range(MOST_TRIES):
        try:
            with connection.transaction():  # what was locked in vain is given back
                return _lock_whole_customer(connection, card_id)
        except CustomersMovedError:
            continue
    raise CustomersMovedError("the customer kept being changed")


def _lock_whole_customer(connection: Connection, card_id: int) -> list[KnownCard]:
    chat_ids, keys = _whole_customer(connection, card_id)
    chats.lock_all(connection, chat_ids)
    known = matching.learn(connection, keys, [card_id])
    now_chats, now_keys = _whole_customer(connection, card_id)
    if not (now_chats <= chat_ids and now_keys <= keys):
        raise CustomersMovedError("the customer got chats or identifiers meanwhile")
    (live_id,) = {card.live_id for card in known.cards if card.id == card_id}
    return [card for card in known.cards if card.live_id == live_id]


def _whole_customer(connection: Connection, card_id: int) -> tuple[set[int], set[IdentifierKey]]:
    row = connection.execute(_SQL["whole_customer"], {"card_id": card_id}).fetchone()
    if row is None:
        return set(), set()
    keys = {(IdentifierKind(kind), key) for kind, _, key in (written.partition(" ") for written in row[1])}
    return set(row[0]), keys

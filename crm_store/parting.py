"""Customers that part: merges that are undone, and chats that get a card of their own (T7, T8).

Lock order: the customers and all their chats and identifiers are locked by the caller.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from crm_store.database import Connection
from crm_store.matching import set_live
from crm_store.queries import Queries
from tracker.cards import CardType
from tracker.customers import KnownCard, live_cards
from tracker.decisions import Link
from tracker.identifiers import Evidence, IdentifierKind
from tracker.separation import ActiveMerge, BoundChat, Fact

_SQL = Queries("parting")


@dataclass(frozen=True, slots=True)
class UndoneMerge:
    """The two cards that a merge joined, and its link."""

    card_id: int
    other_id: int
    link: Link | None
    chat_id: int
    inbox_id: int


def active_merges(connection: Connection, card_ids: Collection[int]) -> list[ActiveMerge]:
    """The merges that join these cards of a locked customer."""
    rows = connection.execute(_SQL["active_merges"], {"card_ids": sorted(card_ids)}).fetchall()
    return [
        ActiveMerge(
            merge_id,
            card_id,
            other_id,
            Evidence(evidence) if evidence else None,
            (IdentifierKind(kind), key) if kind else None,
        )
        for merge_id, card_id, other_id, evidence, kind, key in rows
    ]


def chats_of(connection: Connection, card_ids: Collection[int]) -> list[BoundChat]:
    """The chats that are bound to these cards."""
    rows = connection.execute(_SQL["chats_of_cards"], {"card_ids": sorted(card_ids)}).fetchall()
    return [BoundChat(*row) for row in rows]


def facts_of(cards: Iterable[KnownCard]) -> list[Fact]:
    """The facts of cards, one by one."""
    return [
        Fact(card.id, chat_id, key, evidence)
        for card in cards
        for key, by_chat in card.facts.items()
        for chat_id, evidence in by_chat.items()
    ]


def undo_merge(
    connection: Connection, merge_id: int, card_ids: Collection[int], actor: str, reason: str
) -> UndoneMerge | None:
    """Undo a merge of a locked customer, and let his cards point where the other merges lead; None if it is undone.

    card_ids: all of the customer.
    """
    row = connection.execute(_SQL["undo_merge"], {"merge_id": merge_id, "actor": actor, "reason": reason}).fetchone()
    if row is None:
        return None
    _point(connection, card_ids)
    for query in ("own_deals", "own_deals_of_dialogs"):
        connection.execute(_SQL[query], {"card_ids": list(card_ids)})
    card_id, other_id, kind, key, evidence, chat_id, inbox_id = row
    link = Link((IdentifierKind(kind), key), Evidence(evidence)) if kind else None
    return UndoneMerge(card_id, other_id, link, chat_id, inbox_id)


def release(
    connection: Connection, card_ids: Collection[int], card_id: int, chat_ids: Collection[int], new_id: int, why: str
) -> Link | None:
    """Give locked chats of a locked customer's card a card of their own, with all that is theirs alone (T8).

    card_ids: all of the customer. why: what bound them to it. Returns the link that had bound the oldest of them.
    """
    first = min(chat_ids)
    row = connection.execute(_SQL["link_of_chat"], {"chat_id": first}).fetchone()
    moved = {"new_id": new_id, "card_id": card_id, "chat_id": first, "chat_ids": sorted(chat_ids), "bound_by": why}
    for query in _LEAVING:
        connection.execute(_SQL[query], moved)
    _point(connection, [*card_ids, new_id])
    if row is None or row[0] is None:
        return None
    return Link((IdentifierKind(row[0]), row[1]), Evidence(row[2]))


_LEAVING = (
    "split_card", "rebind_chats", "move_facts", "move_memory", "move_merges", "move_reviews", "move_apart",
    "move_detached", "take_deals", "leave_deals", "move_dialogs", "leave_deals_of_dialogs",
)  # fmt: skip


def _point(connection: Connection, card_ids: Collection[int]) -> None:
    """Let cards point where the merges between them lead."""
    cards = [
        KnownCard(card_id, CardType(card_type), "", created_at)
        for card_id, card_type, created_at in connection.execute(_SQL["ages"], {"card_ids": list(card_ids)})
    ]
    set_live(connection, live_cards(cards, [(m.card_id, m.other_id) for m in active_merges(connection, card_ids)]))

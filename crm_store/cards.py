"""Cards: how they are made, promoted, and get deals. What the tracker knows of them is in `crm_store.matching`."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from crm_store.database import Connection
from crm_store.queries import Queries
from tracker.cards import CardDetails, CardType, DealState

_SQL = Queries("cards")


@dataclass(frozen=True, slots=True)
class NewCard:
    """A provisional card.

    name_inbox_id: the message that gave the name. created_at: when the message came in that made it. matched: false
    where the tracker is off (T1).
    """

    id: int
    name: str
    open_channel_id: int
    chat_id: int
    name_inbox_id: int | None
    created_at: datetime
    matched: bool


@dataclass(frozen=True, slots=True)
class Promotion:
    """A provisional card becomes a lead or a contact. made_by: `tracker`, or who made it by hand (C2)."""

    card_id: int
    type: CardType
    source_id: int
    responsible_id: int | None
    made_by: str = "tracker"


@dataclass(frozen=True, slots=True)
class NewDeal:
    """A deal under a contact, or under a card that is merged into one: an undone merge takes it along (T7)."""

    id: int
    contact_id: int
    open_channel_id: int
    chat_id: int
    source_id: int
    responsible_id: int | None


def new_ids(connection: Connection, n: int) -> list[int]:
    """Ids for `n` new cards; those that are not used are gaps."""
    return [row[0] for row in connection.execute(_SQL["new_ids"], {"n": n})] if n else []


def insert(connection: Connection, cards: Sequence[NewCard]) -> None:
    """Insert provisional cards (T6)."""
    connection.execute(
        _SQL["insert_cards"],
        {
            "ids": [card.id for card in cards],
            "names": [card.name for card in cards],
            "open_channel_ids": [card.open_channel_id for card in cards],
            "chat_ids": [card.chat_id for card in cards],
            "name_inbox_ids": [card.name_inbox_id for card in cards],
            "created_ats": [card.created_at for card in cards],
            "matched": [card.matched for card in cards],
        },
    )


def provisional(connection: Connection, card_ids: Collection[int]) -> set[int]:
    """Which of these cards nobody has seen yet."""
    rows = connection.execute(_SQL["provisional"], {"card_ids": sorted(card_ids)}).fetchall()
    return {card_id for (card_id,) in rows}


def with_provisional(connection: Connection, card_ids: Collection[int]) -> set[int]:
    """Those of these cards whose live card is one that nobody has seen yet."""
    rows = connection.execute(_SQL["with_provisional"], {"card_ids": sorted(card_ids)}).fetchall()
    return {card_id for (card_id,) in rows}


def details(connection: Connection, card_ids: Collection[int]) -> dict[int, CardDetails]:
    """What decides about the creation of cards (C1-C3), by the id of the live card; of all that was merged into it."""
    rows = connection.execute(_SQL["details"], {"card_ids": sorted(card_ids)}).fetchall()
    return {
        card_id: CardDetails(CardType(card_type), name, has_phone, has_email)
        for card_id, card_type, name, has_phone, has_email in rows
    }


def promote(connection: Connection, promotions: Sequence[Promotion]) -> None:
    """Make leads and contacts of provisional cards."""
    connection.execute(
        _SQL["promote"],
        {
            "card_ids": [promotion.card_id for promotion in promotions],
            "types": [promotion.type for promotion in promotions],
            "source_ids": [promotion.source_id for promotion in promotions],
            "responsible_ids": [promotion.responsible_id for promotion in promotions],
            "made_bys": [promotion.made_by for promotion in promotions],
        },
    )


def source_ids(connection: Connection, names: Collection[str]) -> dict[str, int]:
    """Ids of sources by name, made where missing (C4)."""
    parameters = {"names": sorted(names)}
    known: dict[str, int] = dict(connection.execute(_SQL["read_sources"], parameters).fetchall())
    if len(known) < len(parameters["names"]):
        connection.execute(_SQL["ensure_sources"], parameters)
        known = dict(connection.execute(_SQL["read_sources"], parameters).fetchall())
    return known


def deal_states(connection: Connection, chat_ids: Collection[int]) -> dict[int, DealState]:
    """The deals of each chat's contact, by chat id."""
    rows = connection.execute(_SQL["deal_states"], {"chat_ids": sorted(chat_ids)}).fetchall()
    return {chat_id: DealState(*state) for chat_id, *state in rows}


def insert_deals(connection: Connection, deals: Sequence[NewDeal]) -> None:
    """Open deals under their contacts (C1)."""
    connection.execute(
        _SQL["insert_deals"],
        {
            "ids": [deal.id for deal in deals],
            "contact_ids": [deal.contact_id for deal in deals],
            "open_channel_ids": [deal.open_channel_id for deal in deals],
            "chat_ids": [deal.chat_id for deal in deals],
            "source_ids": [deal.source_id for deal in deals],
            "responsible_ids": [deal.responsible_id for deal in deals],
        },
    )


def accepted_by(connection: Connection, card_ids: Collection[int], operator_id: int) -> None:
    """Who takes the dialog first becomes responsible (C4); later ones change nothing."""
    connection.execute(_SQL["accepted_by"], {"card_ids": sorted(card_ids), "operator_id": operator_id})


def transferred_to(connection: Connection, card_ids: Collection[int], chat_id: int, operator_id: int) -> None:
    """A dialog of the chat was transferred: so is the responsibility for what was made from it (D10)."""
    parameters = {"card_ids": sorted(card_ids), "chat_id": chat_id, "operator_id": operator_id}
    connection.execute(_SQL["transferred_to"], parameters)

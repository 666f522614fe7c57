"""Cards with all that hangs on them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crm_store.database import Connection
from crm_store.views import SQL, Reference, reference
from tracker.cards import CardType
from tracker.customers import IdentifierKey
from tracker.identifiers import Evidence, IdentifierKind

MOST_DEALS = 200


@dataclass(frozen=True, slots=True)
class CardSummary:
    """A card in a list.

    responsible_by: `acceptor` (took a dialog first), `roster` (stands in until then) or `nobody` (C4).
    contact_id: of a deal. open_channel: that made it.
    """

    id: int
    type: CardType
    name: str
    source: Reference | None
    responsible: Reference | None
    responsible_by: str
    contact_id: int | None
    open_channel: Reference | None
    created_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class CardIdentifier:
    """An identifier on a card. written: as the customer or the provider wrote it. since: when it was given (T3)."""

    kind: IdentifierKind
    value: str
    written: str
    evidence: Evidence
    since: datetime


@dataclass(frozen=True, slots=True)
class CardChat:
    """A chat of a card. bound_by: the rule and the evidence that bound it (T2, T5, T6, C2)."""

    id: int
    channel_key: str
    channel_kind: str
    external_id: str
    name: str
    deal_id: int | None
    bound_by: str | None
    bound_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Card(CardSummary):
    """A card with all that hangs on it. identifiers, remembered_phones: of the contact, where the card is a deal.

    remembered_phones: first phones, which bind later chats to this card for ever (T5).
    """

    identifiers: list[CardIdentifier]
    remembered_phones: list[str]
    chats: list[CardChat]
    deals: list[CardSummary]


@dataclass(frozen=True, slots=True)
class FoundCard:
    """Where an id leads. id: of the live card, into which the one asked for may have been merged (T7)."""

    id: int
    type: CardType
    made_from_chat_id: int | None
    contact_id: int | None

    @property
    def provisional(self) -> bool:
        """Whether there is no card yet (C2, C3)."""
        return self.type is CardType.PROVISIONAL


def find(connection: Connection, card_id: int) -> FoundCard | None:
    """The live card that an id leads to."""
    row = connection.execute(SQL["find_card"], {"card_id": card_id}).fetchone()
    return FoundCard(row[0], CardType(row[1]), row[2], row[3]) if row else None


def page(
    connection: Connection,
    limit: int,
    before: int | None = None,
    card_type: CardType | None = None,
    having: Collection[IdentifierKey] | None = None,
) -> list[CardSummary]:
    """Live cards, the newest first. before: an id. having: only those that have or remember one of these."""
    card_ids = None if having is None else _with_identifier(connection, having)
    return _summaries(connection, limit, before=before, type=card_type, card_ids=card_ids)


def read(connection: Connection, found: FoundCard) -> Card | None:
    """A found card with all that hangs on it; None if it is provisional."""
    rows = _rows(connection, 1, card_ids=[found.id])
    if not rows:
        return None
    holder_ids = family(connection, found.contact_id or found.id)
    return Card(
        **rows[0],
        identifiers=_identifiers(connection, holder_ids),
        remembered_phones=[
            value for (value,) in connection.execute(SQL["remembered_of"], {"card_ids": holder_ids}).fetchall()
        ],
        chats=chats_of(connection, found),
        deals=_summaries(connection, MOST_DEALS, contact_ids=family(connection, found.id)),
    )


def chats_of(connection: Connection, found: FoundCard) -> list[CardChat]:
    """The chats of a card; of a deal those that belong to it, not all of its contact."""
    deal_id = found.id if found.type is CardType.DEAL else None
    return _chats_of(connection, found, deal_id)


def chats_of_customer(connection: Connection, found: FoundCard) -> list[int]:
    """Ids of all chats of the card's customer; of a deal those of its contact."""
    return [chat.id for chat in _chats_of(connection, found, None)]


def _chats_of(connection: Connection, found: FoundCard, deal_id: int | None) -> list[CardChat]:
    card_ids = family(connection, found.contact_id or found.id)
    parameters = {"card_ids": card_ids, "deal_id": deal_id, "made_from": found.made_from_chat_id}
    return [CardChat(*row) for row in connection.execute(SQL["chats_of"], parameters).fetchall()]


def summaries(connection: Connection, card_ids: Collection[int]) -> dict[int, CardSummary]:
    """Live cards by id, provisional ones too: for whom the tracker asks about them."""
    if not card_ids:
        return {}
    found = _summaries(connection, len(card_ids), card_ids=sorted(card_ids), provisional=True)
    return {card.id: card for card in found}


def held(connection: Connection, card_id: int, keys: Collection[IdentifierKey]) -> list[IdentifierKey]:
    """Which of these stand on a card's customer, or are remembered for him (T5)."""
    found = find(connection, card_id)
    if found is None or not keys:
        return []
    named = {"kinds": [kind for kind, _ in keys], "keys": [key for _, key in keys]}
    rows = connection.execute(SQL["identifiers_held"], {**named, "card_ids": family(connection, found.id)}).fetchall()
    return [(IdentifierKind(kind), key) for kind, key in rows]


def family(connection: Connection, card_id: int) -> list[int]:
    """Ids of a live card and of those that were merged into it (T7)."""
    return [row[0] for row in connection.execute(SQL["family"], {"card_id": card_id}).fetchall()]


def _with_identifier(connection: Connection, keys: Collection[IdentifierKey]) -> list[int]:
    rows = connection.execute(
        SQL["cards_with_identifier"], {"kinds": [kind for kind, _ in keys], "keys": [key for _, key in keys]}
    ).fetchall()
    return [row[0] for row in rows]


def _identifiers(connection: Connection, card_ids: Sequence[int]) -> list[CardIdentifier]:
    rows = connection.execute(SQL["identifiers_of"], {"card_ids": card_ids}).fetchall()
    return [
        CardIdentifier(IdentifierKind(kind), value, written, Evidence(evidence), since)
        for kind, value, written, evidence, since in rows
    ]


def _summaries(connection: Connection, limit: int, **filters: Any) -> list[CardSummary]:
    return [CardSummary(**row) for row in _rows(connection, limit, **filters)]


def _rows(connection: Connection, limit: int, **filters: Any) -> list[dict[str, Any]]:
    """What makes a CardSummary, by the names of its fields."""
    every: dict[str, Any] = {"card_ids": None, "contact_ids": None, "type": None, "before": None, "provisional": False}
    rows = connection.execute(SQL["cards"], {**every, **filters, "limit": limit}).fetchall()
    return [
        {
            "id": row[0],
            "type": CardType(row[1]),
            "name": row[2],
            "source": reference(*row[3:5]),
            "responsible": reference(*row[5:7]),
            "responsible_by": row[7],
            "contact_id": row[8],
            "open_channel": reference(*row[9:11]),
            "created_at": row[11],
            "closed_at": row[12],
        }
        for row in rows
    ]

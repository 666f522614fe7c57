"""Where everything on a card comes from: by whom, from which message, through which rule. For whoever doubts it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crm_store.database import Connection
from crm_store.queries import Queries
from crm_store.views import Reference, cards, reference, tracking
from crm_store.views.cards import FoundCard
from crm_store.views.tracking import AuditEntry, BlockedValue, LinkView, MergeView, MessagePlace, ReviewView
from tracker.cards import CardType
from tracker.identifiers import Evidence, IdentifierKind

_SQL = Queries("provenance")


@dataclass(frozen=True, slots=True)
class NameOrigin:
    """Who gave a card its name.

    by: `customer` (in this message), `person` (this actor), or `chat`: taken over from the chat that left another card.
    """

    by: str
    message: MessagePlace | None
    actor: str | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class ProvenCard:
    """One of the customer's cards. made_by: `tracker`, or who made it by hand. edited_at: by a person (T7)."""

    id: int
    type: CardType
    live: bool
    name: str
    name_from: NameOrigin | None
    made_at: datetime
    made_by: str
    made_from_chat_id: int | None
    open_channel: Reference | None
    edited_at: datetime | None


@dataclass(frozen=True, slots=True)
class ProvenFact:
    """Who gave an identifier. card_id: on which it stands. chat_id, message: null where a person entered it.

    rule: by which it stands there, as `T4` (added), `T6` (its message made the card), `person`.
    """

    card_id: int
    value: str
    written: str
    evidence: Evidence
    given_by: str
    given_at: datetime
    rule: str
    chat_id: int | None
    channel_key: str | None
    channel_kind: str | None
    message: MessagePlace | None


@dataclass(frozen=True, slots=True)
class Detached:
    """A person said that an identifier is not this card's (T5)."""

    card_id: int
    actor: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ProvenIdentifier:
    """An identifier with all its facts; none if it is only remembered, or was detached. key: as it is compared (T12).

    remembered_for: the card that it binds later chats to for ever (T5). standing: usual, shared or trusted (T9).
    """

    kind: IdentifierKind
    key: str
    remembered_for: int | None
    standing: str
    blocked: BlockedValue | None
    facts: list[ProvenFact]
    detached: list[Detached]


@dataclass(frozen=True, slots=True)
class ProvenChat:
    """A chat, and what bound it to its own card.

    link: null where it made the card, or where a person or a proof gave it a card of its own.
    """

    id: int
    card_id: int
    channel_key: str
    channel_kind: str
    external_id: str
    name: str
    bound_by: str | None
    bound_at: datetime | None
    link: LinkView | None
    message: MessagePlace | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class KeptApart:
    """A person said that another customer is somebody else. other_live_id: his live card."""

    card_id: int
    other_id: int
    other_live_id: int
    actor: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Provenance:
    """Everything known of a customer. id: his live card."""

    id: int
    name: str
    cards: list[ProvenCard]
    identifiers: list[ProvenIdentifier]
    chats: list[ProvenChat]
    merges: list[MergeView]
    kept_apart: list[KeptApart]
    reviews: list[ReviewView]
    audit: list[AuditEntry]


def read(connection: Connection, found: FoundCard) -> Provenance:
    """All of the customer to whom a found card belongs; of a deal, its contact's."""
    live_id = found.contact_id or found.id
    family = cards.family(connection, live_id)
    named = {"card_ids": family}
    card_rows = connection.execute(_SQL["cards"], named).fetchall()
    fact_rows = connection.execute(_SQL["facts"], named).fetchall()
    chat_rows = connection.execute(_SQL["chats"], named).fetchall()
    merges = tracking.merges(connection, card_ids=family)[::-1]
    reviews = tracking.reviews(connection, card_ids=family)[::-1]
    audit = _audit(connection, [*family, found.id], [row[0] for row in chat_rows], merges, reviews)
    said = tracking.messages(
        connection, [*(row[4] for row in card_rows), *(row[9] for row in fact_rows), *(row[11] for row in chat_rows)]
    )
    made = [_card(row, said.get(row[4]), audit) for row in card_rows]
    return Provenance(
        id=live_id,
        name=next((card.name for card in sorted(made, key=lambda card: not card.live) if card.name), ""),
        cards=made,
        identifiers=_identifiers(connection, family, fact_rows, said),
        chats=[_chat(row, said) for row in chat_rows],
        merges=merges,
        kept_apart=[KeptApart(*row) for row in connection.execute(_SQL["kept_apart"], named).fetchall()],
        reviews=reviews,
        audit=audit,
    )


def _card(row: tuple[Any, ...], said: MessagePlace | None, audit: Sequence[AuditEntry]) -> ProvenCard:
    return ProvenCard(
        id=row[0],
        type=CardType(row[1]),
        live=row[2],
        name=row[3],
        name_from=_name_origin(row, said, audit) if row[3] else None,
        made_at=row[5],
        made_by=row[6],
        made_from_chat_id=row[7],
        open_channel=reference(row[8], row[9]),
        edited_at=row[10],
    )


def _name_origin(row: tuple[Any, ...], said: MessagePlace | None, audit: Sequence[AuditEntry]) -> NameOrigin:
    if row[4] is not None:
        return NameOrigin("customer", said, None, said.sent_at if said else None)
    for entry in reversed(audit):
        if entry.act == "rename" and entry.outcome == "done" and entry.details.get("live_id") == row[0]:
            return NameOrigin("person", None, entry.actor, entry.at)
    return NameOrigin("chat", None, None, row[5])


def _identifiers(
    connection: Connection,
    family: Sequence[int],
    fact_rows: Sequence[tuple[Any, ...]],
    said: Mapping[int | None, MessagePlace],
) -> list[ProvenIdentifier]:
    named = {"card_ids": family}
    facts: dict[tuple[str, str], list[ProvenFact]] = {}
    for row in fact_rows:
        facts.setdefault((row[0], row[1]), []).append(_fact(row, said.get(row[9])))
    detached: dict[tuple[str, str], list[Detached]] = {}
    for kind, key, *rest in connection.execute(_SQL["detached"], named).fetchall():
        detached.setdefault((kind, key), []).append(Detached(*rest))
    return [
        ProvenIdentifier(
            kind=IdentifierKind(kind),
            key=key,
            remembered_for=remembered_for if remembered_for in family else None,
            standing=standing,
            blocked=BlockedValue(IdentifierKind(kind), *blocked) if blocked[0] is not None else None,
            facts=facts.get((kind, key), []),
            detached=detached.get((kind, key), []),
        )
        for kind, key, standing, remembered_for, *blocked in connection.execute(_SQL["identifiers"], named).fetchall()
    ]


def _fact(row: tuple[Any, ...], said: MessagePlace | None) -> ProvenFact:
    return ProvenFact(
        card_id=row[2],
        value=row[3],
        written=row[4],
        evidence=Evidence(row[5]),
        given_by=row[11],
        given_at=row[10],
        rule=row[12],
        chat_id=row[6],
        channel_key=row[7],
        channel_kind=row[8],
        message=said,
    )


def _chat(row: tuple[Any, ...], said: Mapping[int | None, MessagePlace]) -> ProvenChat:
    return ProvenChat(*(*row[:8], tracking.link(*row[8:11]), said.get(row[11]), row[12]))


def _audit(
    connection: Connection,
    card_ids: Iterable[int],
    chat_ids: Iterable[int],
    merges: Iterable[MergeView],
    reviews: Iterable[ReviewView],
) -> list[AuditEntry]:
    """Acts that name one of the cards, of their chats, merges or reviews."""
    named = [(role, card_id) for card_id in set(card_ids) for role in ("card_id", "other_id", "new_card_id", "live_id")]
    named += [("chat_id", chat_id) for chat_id in chat_ids]
    named += [("merge_id", merge.id) for merge in merges]
    named += [("review_id", review.id) for review in reviews]
    return tracking.audit_naming(connection, named)

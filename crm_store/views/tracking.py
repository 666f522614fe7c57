"""What the tracker and persons decided about customers: merges, the review list, the block list, the audit."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crm_store.database import Connection
from crm_store.queries import Queries
from crm_store.views import cards
from crm_store.views.cards import CardSummary
from tracker.identifiers import Evidence, IdentifierKind

_SQL = Queries("tracking")

_ALL = 2**31 - 1
"""No limit."""


@dataclass(frozen=True, slots=True)
class MessagePlace:
    """A message, and its place (seq) in the history of its chat."""

    inbox_id: int
    chat_id: int
    seq: int
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class LinkView:
    """The identifier that binds or merges. value: as it is compared (T12). evidence: the weaker of its two sides."""

    kind: IdentifierKind
    value: str
    evidence: Evidence | None


@dataclass(frozen=True, slots=True)
class MergeView:
    """A merge (T7). card_id: whose chat gave the link; other_id: on which it stood.

    loser_id, survivor_id: the live cards of that moment. rule: T7, `C2 ...` or `person`. link, chat_id, message: null
    where a person merged without being asked.
    """

    id: int
    card_id: int
    other_id: int
    loser_id: int
    survivor_id: int
    rule: str
    link: LinkView | None
    chat_id: int | None
    message: MessagePlace | None
    actor: str
    reason: str
    merged_at: datetime
    undone_at: datetime | None
    undone_by: str | None
    undo_reason: str | None


@dataclass(frozen=True, slots=True)
class ReviewView:
    """A person is asked whether two customers are one; or, with cause `shared`, whether an identifier is many's.

    card, other: the live cards; null where an identifier is asked about. card_id, other_id: the cards themselves.
    settled: there is nothing left to decide, see docs/api.md.
    """

    id: int
    cause: str
    state: str
    settled: bool
    card: CardSummary | None
    other: CardSummary | None
    card_id: int | None
    other_id: int | None
    identifier: LinkView
    chat_id: int | None
    message: MessagePlace | None
    created_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    note: str


@dataclass(frozen=True, slots=True)
class BlockedValue:
    """A value of the block list (T9): the key of a phone; an address, `@domain` or `name@`."""

    kind: IdentifierKind
    value: str
    reason: str
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An act of a person. outcome: `done`, or the reason of the refusal. details: ids and reasons."""

    id: int
    at: datetime
    actor: str
    act: str
    outcome: str
    details: dict[str, Any]


def merges(
    connection: Connection,
    limit: int = _ALL,
    before: int | None = None,
    card_ids: Collection[int] | None = None,
    merge_id: int | None = None,
) -> list[MergeView]:
    """Merges, undone ones too, the newest first. card_ids: only those that join one of these cards."""
    named = {"limit": limit, "before": before, "card_ids": _listed(card_ids), "merge_id": merge_id}
    rows = connection.execute(_SQL["merges"], named).fetchall()
    said = messages(connection, (row[10] for row in rows))
    return [MergeView(*(*row[:6], link(*row[6:9]), row[9], said.get(row[10]), *row[11:])) for row in rows]


def reviews(
    connection: Connection,
    limit: int = _ALL,
    before: int | None = None,
    *,
    state: str | None = None,
    cause: str | None = None,
    card_ids: Collection[int] | None = None,
    review_id: int | None = None,
    with_settled: bool = True,
) -> list[ReviewView]:
    """The review list, the newest first. card_ids: what asks about one of these cards, or an identifier on them."""
    named = {
        "limit": limit,
        "before": before,
        "state": state,
        "cause": cause,
        "card_ids": _listed(card_ids),
        "review_id": review_id,
        "with_settled": with_settled,
    }
    rows = connection.execute(_SQL["reviews"], named).fetchall()
    live = cards.summaries(connection, {card_id for row in rows for card_id in row[4:6] if card_id is not None})
    said = messages(connection, (row[10] for row in rows))
    return [
        ReviewView(
            id=row[0],
            cause=row[1],
            state=row[12],
            settled=row[16],
            card=live.get(row[4]),
            other=live.get(row[5]),
            card_id=row[2],
            other_id=row[3],
            identifier=LinkView(IdentifierKind(row[6]), row[7], Evidence(row[8]) if row[8] else None),
            chat_id=row[9],
            message=said.get(row[10]),
            created_at=row[11],
            decided_at=row[13],
            decided_by=row[14],
            note=row[15],
        )
        for row in rows
    ]


def messages(connection: Connection, inbox_ids: Iterable[int | None]) -> dict[int | None, MessagePlace]:
    """Where messages stand, by inbox id; an erased one stands nowhere."""
    wanted = sorted({inbox_id for inbox_id in inbox_ids if inbox_id})
    rows = connection.execute(_SQL["messages_of"], {"inbox_ids": wanted}).fetchall() if wanted else []
    return {row[0]: MessagePlace(*row) for row in rows}


def blocked(connection: Connection, kind: IdentifierKind | None = None, value: str | None = None) -> list[BlockedValue]:
    """The block list, or the one entry of it that is named."""
    rows = connection.execute(_SQL["blocked"], {"kind": kind, "value": value}).fetchall()
    return [BlockedValue(IdentifierKind(row[0]), *row[1:]) for row in rows]


def audit(
    connection: Connection,
    limit: int,
    before: int | None = None,
    act: str | None = None,
    actor: str | None = None,
    since: datetime | None = None,
) -> list[AuditEntry]:
    """Acts of persons, the newest first."""
    named = {"limit": limit, "before": before, "act": act, "actor": actor, "since": since}
    return [AuditEntry(*row) for row in connection.execute(_SQL["audit"], named).fetchall()]


def audit_naming(connection: Connection, named: Iterable[tuple[str, int]]) -> list[AuditEntry]:
    """Acts on one of these, the oldest first. named: members of `details` with their values, as (`card_id`, 12)."""
    parameters = {"named": [f"{role} {row_id}" for role, row_id in named]}
    return [AuditEntry(*row) for row in connection.execute(_SQL["audit_naming"], parameters).fetchall()]


def link(kind: str | None, key: str | None, evidence: str | None) -> LinkView | None:
    """A link from three columns."""
    if kind is None or key is None:
        return None
    return LinkView(IdentifierKind(kind), key, Evidence(evidence) if evidence else None)


def _listed(card_ids: Collection[int] | None) -> list[int] | None:
    return None if card_ids is None else sorted(card_ids)

"""Dialogs, with what happened in them and why."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crm_store.access import Sight
from crm_store.database import Connection
from crm_store.views import SQL, Order, Reference, names, reference
from tracker.dialogs import DialogStatus


@dataclass(frozen=True, slots=True)
class DialogSummary:
    """A dialog in a list. customer: the card's name, or the chat's. card_id: null while there is none yet.

    noticed_at: when the customer was told that nobody is available (D8).
    """

    id: int
    status: DialogStatus
    open_channel: Reference
    chat_id: int
    channel_key: str
    channel_kind: str
    customer: str
    card_id: int | None
    deal_id: int | None
    operator: Reference | None
    created_at: datetime
    assigned_at: datetime | None
    accepted_at: datetime | None
    answered_at: datetime | None
    noticed_at: datetime | None
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Event:
    """A change of status (S1). actor: `customer`, `system` or `operator:ID`."""

    at: datetime
    actor: str
    cause: str
    was: DialogStatus | None
    became: DialogStatus


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """Why somebody got the dialog (D12). chosen: null where it was offered to all.

    passed_over: who was considered and did not get it, by reason.
    """

    at: datetime
    rule: str
    chosen: Reference | None
    passed_over: dict[str, list[Reference]]


@dataclass(frozen=True, slots=True)
class Dialog(DialogSummary):
    """A dialog with its events and the records of the decisions about it, oldest first."""

    events: list[Event]
    decisions: list[DecisionRecord]


def page(
    connection: Connection,
    limit: int,
    before: int | None = None,
    statuses: Collection[DialogStatus] | None = None,
    operator_id: int | None = None,
    open_channel_ids: Collection[int] | None = None,
    order: Order = Order.NEWEST,
    sight: Sight | None = None,
) -> list[DialogSummary]:
    """Dialogs, the newest first. before: an id. sight: those that somebody sees. What is None restricts nothing."""
    rows = _rows(
        connection,
        limit,
        oldest=order is Order.OLDEST,
        before=before,
        statuses=None if statuses is None else list(statuses),
        operator_id=operator_id,
        open_channel_ids=None if open_channel_ids is None else list(open_channel_ids),
        seer=sight.operator_id if sight else None,
        seen_holders=list(sight.holders) if sight else None,
        seen_open_channels=list(sight.open_channel_ids) if sight else None,
    )
    return [DialogSummary(**row) for row in rows]


def summary(connection: Connection, dialog_id: int) -> DialogSummary | None:
    """One dialog as it stands in a list."""
    rows = _rows(connection, 1, dialog_id=dialog_id)
    return DialogSummary(**rows[0]) if rows else None


def read(connection: Connection, dialog_id: int) -> Dialog | None:
    """One dialog with its events and decision records."""
    rows = _rows(connection, 1, dialog_id=dialog_id)
    if not rows:
        return None
    events = connection.execute(SQL["events_of"], {"dialog_id": dialog_id}).fetchall()
    return Dialog(
        **rows[0],
        events=[
            Event(at, actor, cause, None if was is None else DialogStatus(was), DialogStatus(became))
            for at, actor, cause, was, became in events
        ],
        decisions=_decisions(connection, dialog_id),
    )


def _decisions(connection: Connection, dialog_id: int) -> list[DecisionRecord]:
    rows = connection.execute(SQL["decisions_of"], {"dialog_id": dialog_id}).fetchall()
    ids = {operator_id for _, _, chosen, candidates in rows for operator_id in (chosen, *_ids(candidates))} - {None}
    known = names(connection, ids)
    return [
        DecisionRecord(
            at,
            rule,
            None if chosen is None else Reference(chosen, known[chosen]),
            {
                reason: [Reference(operator_id, known[operator_id]) for operator_id in operator_ids]
                for reason, operator_ids in candidates.items()
            },
        )
        for at, rule, chosen, candidates in rows
    ]


def _ids(candidates: dict[str, list[int]]) -> list[int]:
    return [operator_id for operator_ids in candidates.values() for operator_id in operator_ids]


def _rows(connection: Connection, limit: int, **filters: Any) -> list[dict[str, Any]]:
    """What makes a DialogSummary, by the names of its fields."""
    every: dict[str, Any] = {
        "dialog_id": None,
        "before": None,
        "statuses": None,
        "operator_id": None,
        "open_channel_ids": None,
        "oldest": False,
        "seer": None,
        "seen_holders": None,
        "seen_open_channels": None,
    }
    rows = connection.execute(SQL["dialogs"], {**every, **filters, "limit": limit}).fetchall()
    return [
        {
            "id": row[0],
            "status": DialogStatus(row[1]),
            "open_channel": Reference(*row[2:4]),
            "chat_id": row[4],
            "channel_key": row[5],
            "channel_kind": row[6],
            "customer": row[7],
            "card_id": row[8],
            "deal_id": row[9],
            "operator": reference(*row[10:12]),
            "created_at": row[12],
            "assigned_at": row[13],
            "accepted_at": row[14],
            "answered_at": row[15],
            "noticed_at": row[16],
            "closed_at": row[17],
        }
        for row in rows
    ]

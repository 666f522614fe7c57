"""Dialogs, with what happened in them and why."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crm_store.access import Sight
from crm_store.database import Connection
from crm_store.views import SQL, Order, Reference, names, reference
from tracker.dialogs import DialogStatus

MOST_TOLD = 200
"""Events of one dialog that are told, and decision records: a dialog that is handed on for weeks has any number."""


@dataclass(frozen=True, slots=True)
class DialogSummary:
    """A dialog in a list. customer: the card's name, or the chat's. card_id: null while there is none yet.

    noticed_at: when the customer was told that nobody is available (D8). unanswered_at: when it was marked so
    (S2). over_limit: who has it took it, or was given it, above a limit (D7). preferred: the card's responsible person,
    whom it goes to first (D9).
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
    pinned: bool
    spam: bool
    unanswered_at: datetime | None
    over_limit: bool
    preferred: Reference | None


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to it (S1). actor: `customer`, `system`, `operator:ID`, `service` or `service:NAME`.

    was, became: its status, equal where that did not change. was_operator, operator: who had it before, and who has it
    from then on. details: ids, times, reasons.
    """

    at: datetime
    actor: str
    cause: str
    was: DialogStatus | None
    became: DialogStatus | None
    was_operator: Reference | None
    operator: Reference | None
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """Why somebody got the dialog (D12). chosen: null where it was offered to all. cause: what asked for the decision.

    over_limit: it passed a limit, as takes and transfers may (D7). passed_over: who was considered and did not get it,
    by reason. not_named: how many more there were, by reason; most of them were not looked at.
    """

    at: datetime
    rule: str
    cause: str
    chosen: Reference | None
    over_limit: bool
    passed_over: dict[str, list[Reference]]
    not_named: dict[str, int]


@dataclass(frozen=True, slots=True)
class DialogClock:
    """A deadline of the dialog. kind: what is due then (D5, S2-S4)."""

    kind: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Dialog(DialogSummary):
    """A dialog with its events and the records of the decisions about it, oldest first, and its clocks by due time.

    events, decisions: the newest MOST_TOLD. events_more, decisions_more: there are older ones.
    """

    events: list[Event]
    events_more: bool
    decisions: list[DecisionRecord]
    decisions_more: bool
    clocks: list[DialogClock]


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
    """One dialog with its events, decision records and clocks."""
    rows = _rows(connection, 1, dialog_id=dialog_id)
    if not rows:
        return None
    parameters = {"dialog_id": dialog_id, "limit": MOST_TOLD + 1}
    events = connection.execute(SQL["events_of"], parameters).fetchall()
    decisions = connection.execute(SQL["decisions_of"], parameters).fetchall()
    return Dialog(
        **rows[0],
        events=[_event(row) for row in reversed(events[:MOST_TOLD])],
        events_more=len(events) > MOST_TOLD,
        decisions=_decisions(connection, decisions[:MOST_TOLD][::-1]),
        decisions_more=len(decisions) > MOST_TOLD,
        clocks=[DialogClock(*row) for row in connection.execute(SQL["clocks_of"], {"dialog_id": dialog_id}).fetchall()],
    )


def _event(row: tuple[Any, ...]) -> Event:
    at, actor, cause, was, became, *operators, details = row
    return Event(
        at,
        actor,
        cause,
        None if was is None else DialogStatus(was),
        None if became is None else DialogStatus(became),
        reference(*operators[:2]),
        reference(*operators[2:]),
        details or {},
    )


def _decisions(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> list[DecisionRecord]:
    merged = [_merged(chosen, candidates, ineligible) for _, _, _, chosen, _, candidates, ineligible, _ in rows]
    ids = {row[3] for row in rows} | {each for by_reason in merged for them in by_reason.values() for each in them}
    known = names(connection, ids - {None})
    return [
        DecisionRecord(
            at,
            rule,
            cause,
            reference(chosen, known.get(chosen)),
            over_limit,
            {
                reason: [Reference(operator_id, known[operator_id]) for operator_id in operator_ids]
                for reason, operator_ids in passed_over.items()
            },
            {reason: number for reason, number in not_named.items() if number},
        )
        for (at, rule, cause, chosen, over_limit, _, _, not_named), passed_over in zip(rows, merged, strict=True)
    ]


def _merged(chosen: int | None, *recorded: dict[str, list[int]]) -> dict[str, list[int]]:
    """Who was passed over, by the decision and by its plan; each once for each reason.

    Whom the roster could give nothing may have got it all the same, as the responsible person (D9), or by a person.
    """
    merged: dict[str, dict[int, None]] = {}
    for by_reason in recorded:
        for reason, operator_ids in by_reason.items():
            merged.setdefault(reason, {}).update(dict.fromkeys(operator_ids))
    return {reason: others for reason, ids in merged.items() if (others := [one for one in ids if one != chosen])}


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
            "pinned": row[18],
            "spam": row[19],
            "unanswered_at": row[20],
            "over_limit": row[21],
            "preferred": reference(*row[22:24]),
        }
        for row in rows
    ]

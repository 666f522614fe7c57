"""The event log: what happens to dialogs, and to the presence of operators (S1)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from crm_store.database import Connection
from crm_store.queries import Queries
from tracker.dialogs import DialogStatus

_SQL = Queries("events")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. actor: `customer`, `system`, `operator:ID`, `service` or `service:NAME`.

    was, became: the dialog's status; equal where it did not change. was_operator_id, operator_id: who had the dialog
    before, and who has it now. dialog_id None: operator_id's presence changed. details: ids, times, reasons; never a
    customer's words.
    """

    dialog_id: int | None
    open_channel_id: int | None
    actor: str
    cause: str
    was: DialogStatus | None = None
    became: DialogStatus | None = None
    was_operator_id: int | None = None
    operator_id: int | None = None
    details: dict[str, Any] = field(default_factory=dict)


def log(connection: Connection, events: Sequence[Event]) -> None:
    """Add to the log, as part of the caller's transaction."""
    if not events:
        return
    connection.execute(
        _SQL["insert"],
        {
            "dialog_ids": [event.dialog_id for event in events],
            "open_channel_ids": [event.open_channel_id for event in events],
            "actors": [event.actor for event in events],
            "causes": [event.cause for event in events],
            "was": [event.was for event in events],
            "became": [event.became for event in events],
            "was_operator_ids": [event.was_operator_id for event in events],
            "operator_ids": [event.operator_id for event in events],
            "details": [orjson.dumps(event.details).decode() if event.details else None for event in events],
        },
    )

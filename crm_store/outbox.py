"""The outbox: what is to be sent to customers, in the order of each chat."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from crm_store.chats import OutboundEntry
from crm_store.database import Connection
from crm_store.queries import Queries

_SQL = Queries("outbox")


@dataclass(frozen=True, slots=True)
class LeasedDelivery:
    """A message that this worker may try to send until its lease ends. address: the external chat, raw (T12)."""

    id: int
    idempotency_key: UUID
    channel_id: int
    address: str
    text: str
    written_at: datetime
    attempts: int
    first_tried_at: datetime
    now: datetime
    dialog_id: int | None


@dataclass(frozen=True, slots=True)
class FailedTry:
    """Why a message did not go out. reason: stable, the dead letter's group. worker: who tried it."""

    reason: str
    error: str
    worker: str


def insert(connection: Connection, entries: Sequence[OutboundEntry], sendable: Collection[str]) -> None:
    """Queue messages of the histories for sending.

    sendable: kinds of channels over which we can send; rows of others are held until their dialog closes.
    """
    connection.execute(
        _SQL["insert"],
        {
            "chat_ids": [entry.chat_id for entry in entries],
            "seqs": [entry.seq for entry in entries],
            "dialog_ids": [entry.dialog_id for entry in entries],
            "sendable": sorted(sendable),
        },
    )


def lease(connection: Connection, limit: int, seconds: float) -> list[LeasedDelivery]:
    """Take up to `limit` due messages for `seconds`; commit before sending."""
    rows = connection.execute(_SQL["lease"], {"limit": limit, "lease": seconds}).fetchall()
    return [LeasedDelivery(*row) for row in rows]


def sent(connection: Connection, delivery: LeasedDelivery) -> None:
    """The channel has taken it. Changes nothing if the lease was lost meanwhile."""
    connection.execute(_SQL["sent"], _leased(delivery))


def retry(connection: Connection, delivery: LeasedDelivery, due_at: datetime, failed: FailedTry) -> None:
    """Write a failed try down, and try it again at `due_at`."""
    connection.execute(_SQL["retry"], {**_failed_try(delivery, failed), "due_at": due_at})


def failed(connection: Connection, delivery: LeasedDelivery, failed: FailedTry) -> None:
    """It will not be sent: it becomes a dead letter."""
    connection.execute(_SQL["failed"], _failed_try(delivery, failed))


def _leased(delivery: LeasedDelivery) -> dict[str, object]:
    return {"id": delivery.id, "attempts": delivery.attempts, "key": delivery.idempotency_key}


def _failed_try(delivery: LeasedDelivery, failed: FailedTry) -> dict[str, object]:
    return {**_leased(delivery), "error": failed.error, "reason": failed.reason, "worker": failed.worker}


def expire_held(connection: Connection, dialog_ids: Collection[int]) -> None:
    """The dialogs are over: what could not be sent in them expires, and says why."""
    connection.execute(_SQL["expire_held"], {"dialog_ids": sorted(dialog_ids)})


def oldest_due(connection: Connection) -> float | None:
    """Seconds for which the oldest message that could be sent now has waited, None if there is none."""
    row = connection.execute(_SQL["oldest_due"]).fetchone()
    return row[0] if row else None

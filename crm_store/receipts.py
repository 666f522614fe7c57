"""Receipts: what channels report of messages of ours, kept by the accepting commit and applied to the outbox (S5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from crm_store.database import Connection
from crm_store.queries import Queries
from tracker.deliveries import DeliveryState, after_receipt

_SQL = Queries("receipts")

FAILED = "the channel reports that it failed"
"""What stands in the outbox as the error of a message that its channel has taken and could not deliver."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A channel's report. message_key: by which it knows the message; state: one of REPORTED."""

    channel_id: int
    message_key: UUID
    state: DeliveryState


def insert(connection: Connection, receipts: Sequence[Receipt]) -> None:
    """Keep receipts until they are applied, as part of the caller's transaction; waits for nobody."""
    if not receipts:
        return
    connection.execute(
        _SQL["insert"],
        {
            "channel_ids": [receipt.channel_id for receipt in receipts],
            "message_keys": [receipt.message_key for receipt in receipts],
            "states": [receipt.state for receipt in receipts],
        },
    )


def apply(connection: Connection, limit: int) -> int:
    """Apply up to `limit` receipts to the outbox, in a transaction of its own; returns how many were taken.

    Those that name no message of ours on their channel change nothing, and are gone.
    """
    rows = connection.execute(_SQL["take"], {"limit": limit}).fetchall()
    if not rows:
        return 0
    reported: dict[tuple[int, UUID], list[DeliveryState]] = {}
    for channel_id, message_key, state in rows:
        reported.setdefault((channel_id, message_key), []).append(DeliveryState(state))
    locked = connection.execute(
        _SQL["lock_named"],
        {"channel_ids": [channel_id for channel_id, _ in reported], "message_keys": [key for _, key in reported]},
    ).fetchall()
    moved: dict[int, DeliveryState] = {}
    for outbox_id, channel_id, message_key, state in locked:
        was = became = DeliveryState(state)
        for each in reported[channel_id, message_key]:
            became = after_receipt(became, each)
        if became is not was:
            moved[outbox_id] = became
    if moved:
        connection.execute(
            _SQL["move"],
            {
                "ids": list(moved),
                "states": list(moved.values()),
                "errors": [FAILED if state is DeliveryState.FAILED else "" for state in moved.values()],
            },
        )
    return len(rows)


def wait(connection: Connection) -> bool:
    """Whether any receipt waits to be applied."""
    row = connection.execute(_SQL["wait"]).fetchone()
    return bool(row and row[0])

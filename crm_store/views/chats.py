"""Chats, and their histories: of one chat, or over all chats of a card."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crm_store.database import Connection
from crm_store.views import SQL, Order, Reference, reference
from tracker.deliveries import DeliveryState
from tracker.dialogs import DialogStatus

_LAST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ChatDialog:
    """The open dialog of a chat."""

    id: int
    status: DialogStatus
    operator: Reference | None


@dataclass(frozen=True, slots=True)
class Chat:
    """An external conversation. card_id: the live card; null while there is none yet (C2, C3).

    external_id: the provider's, raw, which is also the address to answer to (T12).
    """

    id: int
    channel_key: str
    channel_kind: str
    open_channel: Reference
    external_id: str
    customer_id: str
    name: str
    card_id: int | None
    deal_id: int | None
    bound_by: str | None
    bound_at: datetime | None
    created_at: datetime
    dialog: ChatDialog | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a message of ours (S5). sent_at: the channel took it, or reported of it first."""

    state: DeliveryState
    attempts: int
    sent_at: datetime | None
    error: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a history. direction: `in` from the customer, `out` from us.

    operator: who wrote it; null where the customer or the system speaks. deleted_at: its author took it back.
    """

    chat_id: int
    seq: int
    direction: str
    kind: str
    text: str
    attachments: list[dict[str, Any]]
    external_id: str
    reply_to: str
    referral: str
    inbox_id: int | None
    dialog_id: int | None
    operator: Reference | None
    sent_at: datetime
    received_at: datetime
    edited_at: datetime | None
    deleted_at: datetime | None
    reactions: dict[str, str]
    delivery: Delivery | None


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a card's history, which is ordered by the time of receipt."""

    at: datetime
    chat_id: int
    seq: int


def read(connection: Connection, chat_id: int) -> Chat | None:
    """One chat."""
    row = connection.execute(SQL["chat"], {"chat_id": chat_id}).fetchone()
    if row is None:
        return None
    return Chat(
        id=row[0],
        channel_key=row[1],
        channel_kind=row[2],
        open_channel=Reference(*row[3:5]),
        external_id=row[5],
        customer_id=row[6],
        name=row[7],
        card_id=row[8],
        deal_id=row[9],
        bound_by=row[10],
        bound_at=row[11],
        created_at=row[12],
        dialog=None if row[13] is None else ChatDialog(row[13], DialogStatus(row[14]), reference(*row[15:17])),
    )


def chat_history(
    connection: Connection, chat_id: int, limit: int, order: Order = Order.OLDEST, beyond: int | None = None
) -> list[Message]:
    """A chat's messages in its order, or backwards. beyond: the place of the last one that was read already."""
    keys = connection.execute(
        SQL[f"chat_history_{order}"], {"chat_id": chat_id, "after": beyond, "limit": limit}
    ).fetchall()
    return _messages(connection, keys)


def card_history(
    connection: Connection,
    chat_ids: Sequence[int],
    limit: int,
    order: Order = Order.OLDEST,
    beyond: Place | None = None,
) -> list[Message]:
    """The messages of all these chats by time of receipt, or backwards. beyond: the last one that was read."""
    if beyond is None:
        end = 0 if order is Order.OLDEST else _LAST
        place: dict[str, Any] = {"at": None, "chat_id": end, "seq": end}
    else:
        place = {"at": beyond.at, "chat_id": beyond.chat_id, "seq": beyond.seq}
    keys = connection.execute(
        SQL[f"card_history_{order}"], {**place, "chat_ids": list(chat_ids), "limit": limit}
    ).fetchall()
    return _messages(connection, keys)


def _messages(connection: Connection, keys: Sequence[tuple[Any, ...]]) -> list[Message]:
    chat_ids, seqs, received_ats = ([key[n] for key in keys] for n in range(3))
    rows = connection.execute(
        SQL["messages"], {"chat_ids": chat_ids, "seqs": seqs, "received_ats": received_ats}
    ).fetchall()
    return [_message(row) for row in rows]


def _message(row: tuple[Any, ...]) -> Message:
    return Message(
        chat_id=row[0],
        seq=row[1],
        direction=row[2],
        kind=row[3],
        text=row[4],
        attachments=row[5] or [],
        external_id=row[6],
        reply_to=row[7],
        referral=row[8],
        inbox_id=row[9],
        dialog_id=row[10],
        operator=reference(*row[11:13]),
        sent_at=row[13],
        received_at=row[14],
        edited_at=row[15],
        deleted_at=row[16],
        reactions=row[17] or {},
        delivery=None if row[18] is None else Delivery(DeliveryState(row[18]), *row[19:22]),
    )

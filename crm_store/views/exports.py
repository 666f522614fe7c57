"""Everything that a desk has done, in bulk: for reports, and to hold it against what was sent."""

from dataclasses import dataclass
from datetime import datetime

from crm_store.database import Connection
from crm_store.queries import Queries

_SQL = Queries("exports")


@dataclass(frozen=True, slots=True)
class ExportedItem:
    """An accepted event. stage: the step that it waits for, or how it ended.

    chat_seq: its place in the chat. card_id: the live card, null while there is none. accepted_at: the beginning of
    the transaction that accepted it. finished_at: of a done one, the last statement before the commit of its last step.
    Both by the database's clock, without the commits themselves.
    """

    id: int
    channel_key: str | None
    kind: str | None
    external_id: str | None
    stage: str
    reason: str | None
    chat_id: int | None
    chat_seq: int | None
    accepted_at: datetime
    finished_at: datetime | None
    card_id: int | None
    dialog_id: int | None


@dataclass(frozen=True, slots=True)
class ExportedChat:
    """A chat. card_id: the live card that it is bound to, null while there is none."""

    id: int
    channel_key: str
    external_id: str
    name: str
    card_id: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ExportedMessage:
    """A message of a chat's history. direction: `in` from the customer, `out` from us."""

    chat_id: int
    seq: int
    direction: str
    kind: str
    text: str
    external_id: str
    inbox_id: int | None
    dialog_id: int | None
    operator_id: int | None
    received_at: datetime
    edited_at: datetime | None
    deleted_at: datetime | None


@dataclass(frozen=True, slots=True)
class ExportedEvent:
    """What happened to a dialog (S1), or to an operator's presence: then it has no dialog."""

    id: int
    at: datetime
    dialog_id: int | None
    open_channel_id: int | None
    actor: str
    cause: str
    was: str | None
    became: str | None
    was_operator_id: int | None
    operator_id: int | None


def items(connection: Connection, limit: int, before: int | None) -> list[ExportedItem]:
    """Items of the inbox, the newest first. before: the id of the last one that was read."""
    rows = connection.execute(_SQL["inbox"], {"before": before, "limit": limit}).fetchall()
    return [ExportedItem(*row) for row in rows]


def chats(connection: Connection, limit: int, before: int | None) -> list[ExportedChat]:
    """Chats, the newest first. before: the id of the last one that was read."""
    rows = connection.execute(_SQL["chats"], {"before": before, "limit": limit}).fetchall()
    return [ExportedChat(*row) for row in rows]


def messages(connection: Connection, limit: int, after: tuple[int, int]) -> list[ExportedMessage]:
    """Histories, chat by chat, each in its order. after: chat and place of the last one that was read."""
    rows = connection.execute(_SQL["messages"], {"chat_id": after[0], "seq": after[1], "limit": limit}).fetchall()
    return [ExportedMessage(*row) for row in rows]


def events(connection: Connection, limit: int, before: int | None) -> list[ExportedEvent]:
    """Events of dialogs and of presence, the newest first. before: the id of the last one that was read."""
    rows = connection.execute(_SQL["events"], {"before": before, "limit": limit}).fetchall()
    return [ExportedEvent(*row) for row in rows]

"""Chats, and the history that belongs to them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from crm_store.database import Connection
from crm_store.queries import Queries
from tracker.channels import OpenChannelSettings
from tracker.decisions import Binding

_SQL = Queries("chats")


@dataclass(frozen=True, slots=True)
class ChatContext:
    """A chat with all that a step needs to know around it.

    card_id: the card that it is bound to, if any. live_card_id: the one that stands for its customer (T7).
    """

    id: int
    external_id: str
    customer_id: str
    card_id: int | None
    live_card_id: int | None
    deal_id: int | None
    last_seq: int
    channel_id: int
    channel_kind: str
    channel_name: str
    region: str | None
    open_channel_id: int
    active: bool
    settings: OpenChannelSettings


@dataclass(frozen=True, slots=True)
class OutboundEntry:
    """A message of ours in the history. operator_id: None where the system speaks."""

    chat_id: int
    seq: int
    text: str
    dialog_id: int
    operator_id: int | None = None


def contexts(connection: Connection, chat_ids: Collection[int]) -> dict[int, ChatContext]:
    """Chats by id, with channel, open channel and settings."""
    rows = connection.execute(_SQL["contexts"], {"chat_ids": sorted(chat_ids)}).fetchall()
    settings = {open_channel_id: read_settings(text) for *_, open_channel_id, _, text in rows if text is not None}
    return {row[0]: ChatContext(*[*row[:13], settings[row[11]]]) for row in rows}


@lru_cache(maxsize=1024)
def read_settings(text: str) -> OpenChannelSettings:
    """An open channel's settings from their JSON; the same text is read once."""
    return OpenChannelSettings.model_validate_json(text)


def lock(connection: Connection, chat_id: int) -> None:
    """Lock one chat, waiting for a step that has it."""
    connection.execute(_SQL["lock_one"], {"chat_id": chat_id})


def lock_free(connection: Connection, chat_ids: Collection[int]) -> set[int]:
    """Lock those of these chats that nobody has at the moment; returns them."""
    rows = connection.execute(_SQL["lock_free"], {"chat_ids": sorted(chat_ids)}).fetchall()
    return {row[0] for row in rows}


def lock_now(connection: Connection, chat_ids: Collection[int]) -> None:
    """Lock chats without waiting. Raises DatabaseAwayError if somebody has one of them."""
    connection.execute(_SQL["lock_now"], {"chat_ids": sorted(chat_ids)})


def lock_all(connection: Connection, chat_ids: Collection[int]) -> None:
    """Lock chats, waiting for the steps that have them."""
    connection.execute(_SQL["lock_all"], {"chat_ids": sorted(chat_ids)})


def take_seqs(connection: Connection, counts: Mapping[int, int]) -> dict[int, int]:
    """Reserve `counts[chat_id]` places in the history of each locked chat; returns the first place of each."""
    rows = connection.execute(_SQL["take_seqs"], {"chat_ids": list(counts), "counts": list(counts.values())}).fetchall()
    return {chat_id: last - counts[chat_id] + 1 for chat_id, last in rows}


def bind(connection: Connection, bindings: Mapping[int, tuple[Binding, int]]) -> None:
    """Bind chats to cards: by chat id the binding, and the message that bound it."""
    links = [binding.link for binding, _ in bindings.values()]
    connection.execute(
        _SQL["bind"],
        {
            "chat_ids": list(bindings),
            "card_ids": [binding.card_id for binding, _ in bindings.values()],
            "bound_bys": [binding.bound_by for binding, _ in bindings.values()],
            "kinds": [link.identifier[0] if link else None for link in links],
            "keys": [link.identifier[1] if link else None for link in links],
            "evidences": [link.evidence if link else None for link in links],
            "inbox_ids": [inbox_id for _, inbox_id in bindings.values()],
        },
    )


def set_deals(connection: Connection, deals: Mapping[int, int]) -> None:
    """Note the deal that each chat belongs to now (C1)."""
    connection.execute(_SQL["set_deals"], {"chat_ids": list(deals), "deal_ids": list(deals.values())})


def append_inbound(connection: Connection, inbox_ids: Collection[int]) -> None:
    """Add customers' messages to their histories, at the places that the first step gave them."""
    connection.execute(_SQL["append_inbound"], {"inbox_ids": list(inbox_ids)})


def append_outbound(connection: Connection, entries: Sequence[OutboundEntry]) -> None:
    """Add messages of ours to the histories of locked chats."""
    connection.execute(
        _SQL["append_outbound"],
        {
            "chat_ids": [entry.chat_id for entry in entries],
            "seqs": [entry.seq for entry in entries],
            "texts": [entry.text for entry in entries],
            "dialog_ids": [entry.dialog_id for entry in entries],
            "operator_ids": [entry.operator_id for entry in entries],
        },
    )


def edit(connection: Connection, chat_id: int, target: str, text: str, at: datetime) -> bool:
    """Replace the text of a customer's message; False if it is not there."""
    parameters = {"chat_id": chat_id, "target": target, "text": text, "at": at}
    return connection.execute(_SQL["edit"], parameters).rowcount > 0


def delete(connection: Connection, chat_id: int, target: str, at: datetime) -> bool:
    """Mark a message as deleted by its author; False if it is not there."""
    return connection.execute(_SQL["delete"], {"chat_id": chat_id, "target": target, "at": at}).rowcount > 0


def react(connection: Connection, chat_id: int, target: str, customer_id: str, text: str) -> bool:
    """Note a customer's reaction, which replaces his former one; False if the message is not there."""
    parameters = {"chat_id": chat_id, "target": target, "customer_id": customer_id, "text": text}
    return connection.execute(_SQL["react"], parameters).rowcount > 0

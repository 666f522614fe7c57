"""What the desk shows at the end: the rows of its exports, as far as they count."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Item:
    """An accepted event. Times in Unix seconds, of the database's clock; finished_at: before its last commit."""

    id: int
    channel_key: str | None
    kind: str | None
    external_id: str | None
    stage: str
    dialog_id: int | None
    accepted_at: float
    finished_at: float | None


@dataclass(frozen=True, slots=True)
class SeenChat:
    """A chat, with its live card."""

    id: int
    channel_key: str
    external_id: str
    card_id: int | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A customer's message in the history of its chat."""

    chat_id: int
    seq: int
    external_id: str
    text: str
    edited: bool


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to a dialog, or to an operator's presence (then it is of no dialog)."""

    id: int
    dialog_id: int | None
    open_channel_id: int | None
    cause: str
    became: str | None
    was_operator_id: int | None
    operator_id: int | None


@dataclass(frozen=True, slots=True)
class OpenChannel:
    """roster: ids of its operators. max_dialogs: that one of them has at a time."""

    id: int
    name: str
    distribution: str
    max_dialogs: int | None
    roster: Sequence[int]


@dataclass(frozen=True, slots=True)
class Seen:
    """All of it, of the channels of the test alone, since it began. history, events: in their order.

    ledger: how much each outcome has grown; `pending` as it is.
    """

    items: Sequence[Item]
    chats: Mapping[int, SeenChat]
    history: Sequence[Entry]
    events: Sequence[Event]
    open_channels: Sequence[OpenChannel]
    ledger: Mapping[str, int]

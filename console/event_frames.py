"""Server-sent events as bytes: frames, and the ids by which a screen resumes."""

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from crm_store.following import LoggedEvent, Position
from tracker.events import Circles, name_of

RETRY = 2000
"""Milliseconds after which a screen that lost its stream comes again."""

AWAY = b": PostgreSQL is away\n\n"
"""A comment, for people: nothing can be told at the moment, and nothing is lost."""

_MOST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class EventId:
    """An id as screens send it back. read_at: when the database said that this was all, in seconds since 1970.

    interest: the mark of what its reader was told of: another's id is not his, nor is his own from another department.
    """

    position: Position
    read_at: int
    interest: int


def mark_of(circles: Circles) -> int:
    """The mark of what somebody is told of: the same in every process."""
    return zlib.crc32(",".join(f"{circle}{number}" for circle, number in sorted(circles)).encode())


def write_id(position: Position, read_at: datetime, interest: int) -> bytes:
    """What is opaque to screens."""
    return b"%d-%d-%d-%d" % (position.xid, position.id, int(read_at.timestamp()), interest)


def read_id(written: str) -> EventId | None:
    """None if it is none of ours."""
    parts = written.split("-")
    if len(parts) != 4 or not all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts):
        return None
    xid, row_id, read_at, interest = map(int, parts)
    if max(xid, row_id) > _MOST:
        return None
    return EventId(Position(xid, row_id), read_at, interest)


def retry() -> bytes:
    """How soon to come again."""
    return b"retry: %d\n\n" % RETRY


def frame(event_id: bytes, body: bytes) -> bytes:
    """An event. body: as `body_of` or `note` made it."""
    return b"id: %b\n%b" % (event_id, body)


def heartbeat(event_id: bytes) -> bytes:
    """No event, but a later place from which to resume."""
    return b": alive\nid: %b\n\n" % event_id


def note(name: str, **data: Any) -> bytes:
    """The body of an event about the stream itself."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(data))


def body_of(logged: LoggedEvent) -> bytes:
    """The body of a logged event: the same for all who see it. JSON in one line."""
    event = logged.event
    name = name_of(
        event.dialog_id, event.cause, event.was, event.became, event.was_operator_id, event.operator_id
    )  # fmt: skip
    return note(
        name,
        dialog_id=event.dialog_id,
        open_channel_id=event.open_channel_id,
        at=logged.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        actor=event.actor,
        cause=event.cause,
        was=event.was,
        became=event.became,
        was_operator_id=event.was_operator_id,
        operator_id=event.operator_id,
        details=event.details,
    )

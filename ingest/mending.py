"""Edits of what could not be handled: of a message that is there, or of a slice that no adapter could read.

A path names a field: `text`, `attachments.0.url`, `entry[0].changes[0].value`; `.` is the whole.
"""

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

import orjson
from pydantic import ValidationError

from config.masking import mask_error
from ingest.adapters.base import (
    IngestError,
    ParsedEvent,
    ParseError,
    WebhookRequest,
    dump_slice,
    load_json,
    parse,
    parse_slice,
)
from ingest.adapters.registry import adapter_for
from tracker.channels import Channel
from tracker.identifiers import Evidence, Identifier, IdentifierKind, email, phone
from tracker.messages import CHANGE_KINDS, CUSTOMER_KINDS, InboundMessage, MessageKind
from tracker.texts import clean

Path = tuple[str | int, ...]

FIXED = frozenset({"channel", "account_id", "external_id", "key", "chat_id", "customer_id", "received_at"})
"""What identifies a message. It stays what the channel said: by it a second delivery is known, and whose chat it is."""


class EditError(IngestError):
    """An edit that cannot be made. The message names the field and never what a customer wrote."""

    reason: ClassVar[str] = "bad_edit"


class UnknownFieldError(EditError):
    """There is no such field, or nothing in which it could stand."""

    reason = "unknown_field"


class InvalidValueError(EditError):
    """The field cannot have this value."""

    reason = "invalid_value"


class FixedFieldError(EditError):
    """The field may not be edited."""

    reason = "fixed_field"


class StillUnreadableError(EditError):
    """The adapter cannot read the slice as it was edited either."""

    reason = "still_unreadable"


@dataclass(frozen=True, slots=True)
class Edit:
    """What is to be changed. values: by path; removed: paths that go."""

    values: Mapping[str, Any] = field(default_factory=dict)
    removed: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One field: its path, what it was and what it became; None where it was not, or is not any more."""

    path: str
    was: Any
    became: Any


@dataclass(frozen=True, slots=True)
class Mended:
    """What came of an edit. of: `message` or `raw`."""

    message: InboundMessage
    of: str
    changes: tuple[Change, ...]


def mend_message(message: str, edit: Edit, region: str | None) -> Mended:
    """A normalised message with other values. region: in which a national phone is read. Raises EditError."""
    before = InboundMessage.model_validate_json(message)
    was = before.model_dump(mode="json")
    for written in (*edit.values, *edit.removed):
        first = _path(written)[:1]
        if not first or first[0] in FIXED:
            raise FixedFieldError(
                f"{written}: may not be edited: it identifies the message; its key, its chat and its channel stay"
            )
    became, changes = _edited(was, edit)
    if unknown := _unknown(became, was | {"attachments": _ATTACHMENTS, "identifiers": _IDENTIFIERS}, ()):
        raise UnknownFieldError(f"{unknown}: there is no such field; there are {', '.join(sorted(set(was) - FIXED))}")
    became["identifiers"] = _identifiers(was["identifiers"], became["identifiers"], region)
    read = _validated(became)
    if _class_of(read.kind) != _class_of(before.kind):
        raise FixedFieldError(f"kind: {before.kind} cannot become {read.kind}: they are not handled alike (C5)")
    if read == before:
        raise InvalidValueError(f"{', '.join(edit.values)}: that is what it is already")
    return Mended(read, "message", changes)


def mend_slice(
    raw: bytes, edit: Edit, channel: Channel, received_at: datetime, headers: Mapping[str, str] | None = None
) -> Mended:
    """A slice that could not be read, edited so that the channel's adapter reads it. headers: that it came with.

    Raises EditError.
    """
    try:
        was = load_json(raw)
    except ParseError as error:
        if set(edit.values) != {"."}:
            raise EditError("the body is no JSON: give the whole slice, as `.` with its JSON") from error
        was = None
    became, changes = _edited(was, edit)
    event = _read(became, channel, received_at, headers or {})
    if event.message is None:
        why = mask_error(event.error)
        raise StillUnreadableError(f"{channel.kind} cannot read it as it was edited either: {why}")
    account_id = event.message.account_id
    if account_id and channel.account_id and account_id != channel.account_id:
        raise FixedFieldError(f"it would be of account {account_id}, and {channel.key} is of {channel.account_id}")
    original = None if was is None else _read(was, channel, received_at, headers or {}).message
    if original is not None and original.key != event.message.key:
        raise FixedFieldError(
            "that would change what makes a second delivery recognisable; leave the ids of the message as they came"
        )
    return Mended(event.message, "raw", changes)


def _read(document: Any, channel: Channel, received_at: datetime, headers: Mapping[str, str]) -> ParsedEvent:
    """As a slice; or as a whole body, if that could not even be cut, and is of one event."""
    adapter = adapter_for(channel.kind)
    event = parse_slice(adapter, document, channel, received_at)
    if event.message is not None and event.message.kind is not MessageKind.IGNORED:
        return event
    headers = {**headers, "content-type": "application/json"}
    body = WebhookRequest("POST", "", headers, {}, dump_slice(document), received_at)
    of_body = parse(adapter, body, channel)
    return of_body[0] if len(of_body) == 1 and of_body[0].message is not None else event


# Paths

_STEP = re.compile(r"(?:^|\.)([^.\[\]]+)|\[(\d{1,9})\]")


def _path(written: str) -> Path:
    if written == ".":
        return ()
    steps: list[str | int] = []
    end = 0
    for found in _STEP.finditer(written):
        if found.start() != end:
            break
        end = found.end()
        steps.append(int(found[2]) if found[2] else found[1])
    if not steps or end != len(written) or len(written) > 500:
        raise UnknownFieldError(f"{written[:100]}: no path; write it as `text` or `attachments[0].url`")
    return tuple(steps)


def _edited(document: Any, edit: Edit) -> tuple[Any, tuple[Change, ...]]:
    became = deepcopy(document)
    changes: list[Change] = []
    for written, value in edit.values.items():
        path = _path(written)
        if not path:
            changes.append(Change(written, storable(became), storable(value)))
            became = value
            continue
        container, key, was = _place(became, path, written)
        if isinstance(container, list) and key == len(container):
            container.append(value)
        else:
            container[key] = value
        changes.append(Change(written, storable(was), storable(value)))
    for written in edit.removed:
        path = _path(written)
        if not path:
            raise FixedFieldError(".: the whole cannot be removed; discard the letter")
        container, key, was = _place(became, path, written)
        if was is None and (isinstance(container, list) or key not in container):
            raise UnknownFieldError(f"{written}: there is nothing to be removed")
        del container[key]
        changes.append(Change(written, storable(was), None))
    return became, tuple(changes)


def storable(value: Any) -> Any:
    """As PostgreSQL takes it: a slice may hold anything that JSON can."""
    match value:
        case str():
            return clean(value)
        case dict():
            return {clean(name): storable(one) for name, one in value.items()}
        case list():
            return [storable(one) for one in value]
        case int() if not -(2**63) <= value < 2**64:
            return str(value)
        case _:
            return value


def _place(document: Any, path: Path, written: str) -> tuple[Any, Any, Any]:
    """Where the last step leads: in what, under which key, and what is there now (None: nothing)."""
    at = document
    for number, step in enumerate(path):
        last = number == len(path) - 1
        if isinstance(at, dict):
            key: str | int = str(step)
            there = key in at
        elif isinstance(at, list) and str(step).isdecimal():
            key = int(step)
            there = key < len(at)
            if not there and not (last and key == len(at)):
                raise UnknownFieldError(f"{written}: there are {len(at)} entries, counted from 0")
        else:
            raise UnknownFieldError(f"{written}: {_named(path[:number])} has no fields")
        if last:
            return at, key, at[key] if there else None
        if not there:
            raise UnknownFieldError(f"{written}: there is no {_named(path[: number + 1])}")
        at = at[key]
    raise AssertionError("a path has a step")


def _named(path: Sequence[str | int]) -> str:
    return ".".join(map(str, path)) or "the whole"


# Messages

_ATTACHMENTS = [dict.fromkeys(("kind", "id", "url", "mime", "name", "size", "latitude", "longitude"))]
_IDENTIFIERS = [dict.fromkeys(("kind", "value", "key", "written", "evidence"))]


def _unknown(given: Any, known: Any, path: Path) -> str:
    """The path of a field that a message has not; empty if there is none."""
    if isinstance(given, dict) and isinstance(known, dict):
        for name, value in given.items():
            if name not in known:
                return _named((*path, name))
            if found := _unknown(value, known[name], (*path, name)):
                return found
    if isinstance(given, list) and isinstance(known, list) and known:
        for number, value in enumerate(given):
            if found := _unknown(value, known[0], (*path, number)):
                return found
    return ""


def _validated(document: Any) -> InboundMessage:
    try:
        return InboundMessage.model_validate_json(orjson.dumps(document))
    except ValidationError as error:
        found = error.errors()[0]
        where = _named(found["loc"]) if found["loc"] else "message"
        hint = "; a text that looks like a number is written in quotes" if found["type"] == "string_type" else ""
        raise InvalidValueError(f"{where}: {found['msg']}{hint}") from error


def _class_of(kind: MessageKind) -> int:
    return 2 if kind in CUSTOMER_KINDS else 1 if kind in CHANGE_KINDS else 0


def _identifiers(was: Sequence[Any], became: Any, region: str | None) -> Any:
    """Those that were edited are read anew, as a customer would have typed them: no person's edit is a proof (T3)."""
    if not isinstance(became, list):
        return became
    return [one if one in was else _typed(one, number, region) for number, one in enumerate(became)]


def _typed(given: Any, number: int, region: str | None) -> Any:
    where = f"identifiers.{number}"
    if not isinstance(given, dict) or not isinstance(given.get("value"), str):
        raise InvalidValueError(f"{where}: give its `kind` and its `value`")
    read: Identifier | None
    match given.get("kind"):
        case IdentifierKind.PHONE:
            read = phone(given["value"], Evidence.TYPED, region)
        case IdentifierKind.EMAIL:
            read = email(given["value"], Evidence.TYPED)
        case _:
            raise FixedFieldError(f"{where}: only a phone and an e-mail may be edited; other ids are the channel's")
    if read is None:
        raise InvalidValueError(f"{where}.value: this is no {given['kind']}; begin a phone with + and the country")
    return read.model_dump(mode="json")

"""Dead letters as they are shown: masked, so that their structure can be seen and nobody's words; or revealed."""

import base64
import re
from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

import orjson

from config.masking import MASK, mask_error, mask_text
from console.letter_advice import advice
from crm_store.views.dead_letters import Attempt, DeadDelivery, DeadItem, KeptLetter, LetterAct, LetterSummary
from ingest.adapters.base import ParseError, load_json
from ingest.mending import storable

_PLAIN_FIELDS = frozenset({"channel", "kind", "evidence", "sent_at", "received_at", "forwarded", "mime"})
"""Of our own form of a message: what says nothing of a customer."""

_PLAIN_TYPES = frozenset({"type", "kind", "object", "event", "event_type", "field", "messaging_product"})
_TYPE = re.compile(r"[a-z][a-z_.]{0,39}")
"""What a provider calls its events; under another name, or in another form, it may be a customer's word."""

_OWN_FIELDS = frozenset({"webform", "livechat", "custom"})
"""Kinds of channels whose fields a company has named, and its customers fill in: `type` may be anything."""

_PLAIN_HEADERS = frozenset(
    {"accept", "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "date", "host"}
)


@dataclass(frozen=True, slots=True)
class RawView:
    """What the provider sent. form: `json`, `text`, or `base64` for bytes that are neither. size: bytes.

    content: null where it is masked and has no structure.
    """

    form: str
    size: int
    content: Any


@dataclass(frozen=True, slots=True)
class ItemView:
    """The inbox item that died; as it is now."""

    stage: str
    received_at: datetime
    chat_seq: int | None
    card_id: int | None
    dialog_id: int | None
    message: dict[str, Any] | None
    headers: dict[str, str] | None
    raw: RawView


@dataclass(frozen=True, slots=True)
class Letter(LetterSummary):
    """A letter with all that is kept of it. revealed: nothing is masked. advice: what to do next.

    item or delivery: what died. failures: attempts, the oldest first. acts: what persons did with it.
    """

    revealed: bool
    advice: str
    traceback: str
    item: ItemView | None
    delivery: DeadDelivery | None
    failures: list[Attempt]
    acts: list[LetterAct]


def masked_summary(summary: LetterSummary) -> LetterSummary:
    """The error of a body that nobody could read quotes it; it is kept as it was for those who may reveal it."""
    return replace(summary, error=mask_error(summary.error))


def masked(letter: KeptLetter) -> Letter:
    """For everybody who may read dead letters."""
    item = letter.item
    return Letter(
        **_members(masked_summary(letter.summary)),
        revealed=False,
        advice=advice(letter),
        traceback=letter.traceback,
        item=None
        if item is None
        else _item(
            item, _masked_message(item), _masked_headers(item), _masked_raw(item.raw, letter.summary.channel_kind)
        ),
        delivery=_delivery(letter.delivery, MASK),
        failures=[replace(attempt, error=mask_error(attempt.error)) for attempt in letter.attempts],
        acts=[replace(act, reason=mask_text(act.reason), details=_masked_details(act)) for act in letter.acts],
    )


def revealed(letter: KeptLetter) -> Letter:
    """With everything; whoever asks for it is audited."""
    item, delivery = letter.item, letter.delivery
    return Letter(
        **_members(letter.summary),
        revealed=True,
        advice=advice(letter),
        traceback=letter.traceback,
        item=None if item is None else _item(item, _json(item.message), _json(item.headers), _raw(item.raw)),
        delivery=_delivery(delivery, delivery.text if delivery else ""),
        failures=letter.attempts,
        acts=letter.acts,
    )


def _members(summary: LetterSummary) -> dict[str, Any]:
    return {member.name: getattr(summary, member.name) for member in fields(summary)}


def _item(item: DeadItem, message: Any, headers: Any, raw: RawView) -> ItemView:
    places = (item.stage, item.received_at, item.chat_seq, item.card_id, item.dialog_id)
    return ItemView(*places, message=message, headers=headers, raw=raw)


def _delivery(delivery: DeadDelivery | None, text: str) -> DeadDelivery | None:
    if delivery is None:
        return None
    return replace(delivery, text=text)


def _json(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)


def _raw(raw: bytes) -> RawView:
    try:
        return RawView("json", len(raw), storable(load_json(raw)))
    except ParseError:
        pass
    try:
        return RawView("text", len(raw), raw.decode())
    except UnicodeDecodeError:
        return RawView("base64", len(raw), base64.b64encode(raw).decode())


# Masks


def _masked_message(item: DeadItem) -> dict[str, Any] | None:
    message = _json(item.message)
    if message is None:
        return None
    return {
        name: value if name in _PLAIN_FIELDS else _masked_value(value, ("kind",)) for name, value in message.items()
    }


def _masked_headers(item: DeadItem) -> dict[str, str] | None:
    headers = _json(item.headers)
    if headers is None:
        return None
    return {mask_text(name): value if name in _PLAIN_HEADERS else MASK for name, value in headers.items()}


def _masked_raw(raw: bytes, channel_kind: str | None) -> RawView:
    found = _raw(raw)
    plain = frozenset() if channel_kind is None or channel_kind in _OWN_FIELDS else _PLAIN_TYPES
    return RawView(found.form, found.size, _masked_value(found.content, plain) if found.form == "json" else None)


def _masked_details(act: LetterAct) -> dict[str, Any] | None:
    if act.details is None or "changes" not in act.details:
        return act.details
    changes = [
        {
            "path": mask_text(change["path"]),
            "was": _masked_value(change["was"]),
            "became": _masked_value(change["became"]),
        }
        for change in act.details["changes"]
    ]
    return {**act.details, "changes": changes}


def _masked_value(value: Any, plain: Collection[str] = ()) -> Any:
    """The same structure: names, kinds, lengths of texts; numbers are ids and phones as often as not.

    plain: fields in which a provider's word for an event is left as it is.
    """
    match value:
        case dict():
            return {mask_text(str(name)): _masked_field(name, one, plain) for name, one in value.items()}
        case list():
            return [_masked_value(one, plain) for one in value]
        case str():
            return f"{MASK} ({len(value)} characters)" if value else ""
        case bool() | None:
            return value
        case _:
            return f"{MASK} (number)"


def _masked_field(name: str, value: Any, plain: Collection[str]) -> Any:
    is_plain = name in plain and isinstance(value, str) and _TYPE.fullmatch(value)
    return value if is_plain else _masked_value(value, plain)

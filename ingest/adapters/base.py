"""What every channel adapter is: a translator without state, I/O or clock.

An adapter verifies a request's raw bytes, cuts its body into slices (one event each), and normalises a slice.
`parse` isolates the slices from each other: one bad event of a batch loses only itself.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any, ClassVar, Protocol, runtime_checkable

import orjson

from config.causes import fingerprint
from config.masking import masked_traceback
from tracker.channels import Channel
from tracker.messages import InboundMessage
from tracker.texts import clean

JSON_DEPTH_LIMIT = 64

MOST_EVENTS = 3000
"""In one body. The largest that a provider promises is WhatsApp's, with 1,000 updates."""

PUBLIC_BODY_LIMIT = 256 * 1024
"""Bytes of a body that anybody may send without a signature."""

Slice = Any
"""One event as the provider sent it: a JSON value."""


class IngestError(Exception):
    """A webhook request cannot be taken as it is. `reason` is stable: metric label and dead letter's group."""

    reason: ClassVar[str] = "ingest"


class SignatureError(IngestError):
    """The request is not proved to come from the provider: 401."""

    reason = "bad_signature"


class ParseError(IngestError):
    """A verified body or event that the adapter does not understand: kept raw and dead-lettered."""

    reason = "unparsable"


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A webhook call. headers: lower-case names. url: as the provider called it. body: the raw bytes."""

    method: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a handshake, or to an accepted webhook."""

    status: int = 200
    body: str = ""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class ParsedEvent:
    """One event of a body. Either `message` is set, or `error` says why the raw slice cannot be read.

    fingerprint: groups errors of one cause. traceback: masked. whole_body: raw is no slice, because the body could not
    be cut.
    """

    raw: bytes
    message: InboundMessage | None = None
    error: str = ""
    fingerprint: str = ""
    traceback: str = ""
    whole_body: bool = False


@runtime_checkable
class Adapter(Protocol):
    """A channel kind. Implementations are stateless and are shared by all channels of the kind."""

    kind: ClassVar[str]
    content_types: ClassVar[frozenset[str]]
    """Media types of bodies that it reads; others are answered 415."""
    from_browsers: ClassVar[bool]
    """Whether pages of other origins call it (CORS)."""

    body_limit: ClassVar[int]
    """Bytes of a body at the most, if the process's own limit is not lower."""

    def handshake(self, request: WebhookRequest, channel: Channel) -> Reply | None:
        """The answer to a provider's set-up call, or None if this is an ordinary webhook.

        Raises SignatureError where the set-up call carries a wrong token.
        """
        ...

    def verify(self, request: WebhookRequest, channel: Channel) -> None:
        """Prove over the raw bytes, in constant time, that the provider sent this; any valid secret will do.

        Raises SignatureError, for a missing or malformed signature too.
        """
        ...

    def slices(self, request: WebhookRequest) -> Iterable[Slice]:
        """Cut a verified body into its events. Raises ParseError if the body as a whole cannot be read."""
        ...

    def normalise(self, event: Slice, channel: Channel, received_at: datetime) -> InboundMessage:
        """Translate one slice. Any exception means that this slice, and only it, cannot be read."""
        ...

    def accepted(self, request: WebhookRequest, channel: Channel) -> Reply:
        """The answer once all is committed."""
        ...


class AdapterDefaults:
    """What most channels have: no set-up call, and an empty 200 for an accepted webhook."""

    from_browsers: ClassVar[bool] = False
    body_limit: ClassVar[int] = 4 * 1024 * 1024

    def handshake(self, _request: WebhookRequest, _channel: Channel) -> Reply | None:
        """See Adapter."""
        return None

    def accepted(self, _request: WebhookRequest, _channel: Channel) -> Reply:
        """See Adapter."""
        return Reply()


def load_json(body: bytes) -> Any:
    """Read a JSON body. Raises ParseError for what is not JSON or is nested deeper than JSON_DEPTH_LIMIT."""
    _check_depth(body)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        # orjson refuses lone surrogates and integers above 64 bits, which real providers send. Decoding here keeps
        # json from guessing UTF-16, in which the depth check sees nothing.
        try:
            return json.loads(body.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise ParseError(f"body is not JSON: {error}") from error


_BRACKETS = b"[]{}"
_ALL_BUT_BRACKETS = bytes(byte for byte in range(256) if byte not in _BRACKETS)


def _check_depth(body: bytes) -> None:
    # Removing the innermost pairs once per level costs linear time in C. Brackets within strings are taken out
    # first: paired with real ones they would hide any depth.
    if body.count(b"[") + body.count(b"{") <= JSON_DEPTH_LIMIT:
        return
    left = _without_strings(body).translate(None, _ALL_BUT_BRACKETS)
    for _ in range(JSON_DEPTH_LIMIT):
        if not left:
            return
        left = left.replace(b"[]", b"").replace(b"{}", b"")
    if left:
        raise ParseError(f"JSON is nested deeper than {JSON_DEPTH_LIMIT} levels, or its brackets do not match")


def _without_strings(body: bytes) -> bytes:
    return b"".join(body.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])


def parse(adapter: Adapter, request: WebhookRequest, channel: Channel) -> list[ParsedEvent]:
    """Read a verified request. Never raises: what cannot be read is returned with its error and its bytes."""
    try:
        events = _bounded(adapter.slices(request))
    except Exception as error:  # noqa: BLE001 - whatever it is, it loses only this
        return [replace(_unreadable(request.body, error), whole_body=True)]
    return [parse_slice(adapter, event, channel, request.received_at) for event in events]


def _bounded(slices: Iterable[Slice]) -> list[Slice]:
    events = list(islice(slices, MOST_EVENTS + 1))
    if len(events) > MOST_EVENTS:
        raise ParseError(f"a body may have {MOST_EVENTS} events")
    return events


def parse_slice(adapter: Adapter, event: Slice, channel: Channel, received_at: datetime) -> ParsedEvent:
    """Normalise one slice. Never raises."""
    raw = dump_slice(event)
    try:
        return ParsedEvent(raw=raw, message=adapter.normalise(event, channel, received_at))
    except Exception as error:  # noqa: BLE001 - whatever it is, it loses only this
        return _unreadable(raw, error)


def dump_slice(event: Slice) -> bytes:
    """The bytes in which a slice is kept."""
    try:
        return orjson.dumps(event)
    except TypeError:  # integers above 64 bits, lone surrogates
        return json.dumps(event).encode()


def _unreadable(raw: bytes, error: Exception) -> ParsedEvent:
    # PostgreSQL keeps it, so NUL and lone surrogates of the body must not be in it.
    return ParsedEvent(
        raw=raw,
        error=clean(f"{type(error).__name__}: {error}"[:2000]),
        fingerprint=fingerprint(error),
        traceback=clean(masked_traceback(error)),
    )

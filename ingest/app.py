"""The webhook endpoint: verify raw bytes, parse, commit, answer.

2xx means that it is in PostgreSQL. 401 bad signature, 404 unknown channel, 413 too large, 415 wrong type, 503 with
Retry-After when PostgreSQL is away: the provider comes again. Nothing else is answered 5xx.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import orjson
import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from crm_store.errors import DatabaseAwayError
from crm_store.secrets import SecretBox
from ingest.accept import Acceptor
from ingest.adapters.base import (
    Adapter,
    Reply,
    SignatureError,
    WebhookRequest,
    parse,
)
from ingest.adapters.registry import UnknownKindError, adapter_for
from ingest.directory import ChannelDirectory
from ingest.items import item_of_account, kept_headers
from tracker.channels import Channel

log = structlog.get_logger(__name__)

RETRY_AFTER = "5"
"""Seconds after which a provider may come again."""

LARGE_BODY = 64 * 1024
"""Bytes from which a body is parsed beside the event loop."""

PATH = "/webhooks/"

_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})

_CORS = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "POST",
    "access-control-allow-headers": "content-type",
    "access-control-max-age": "86400",
}


class RefusedError(Exception):
    """The request is answered with this status."""

    def __init__(self, status: int, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class WebhookOptions:
    """body_limit: bytes. public_url: how providers reach us; empty takes the URL as it was requested."""

    body_limit: int = 4 * 1024 * 1024
    public_url: str = ""


class ClientDisconnectedError(Exception):
    """Whoever called has gone before the whole body was here; nobody is left to be answered."""


class WebhookEndpoint:
    """`/webhooks/{channel key}`, as plain ASGI: what a framework does for each request costs more than our own work."""

    def __init__(
        self, directory: ChannelDirectory, acceptor: Acceptor, box: SecretBox, options: WebhookOptions
    ) -> None:
        self._directory = directory
        self._acceptor = acceptor
        self._box = box
        self._options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one webhook call."""
        try:
            reply = await self.answer(scope, receive)
        except ClientDisconnectedError:
            return
        body = reply.body.encode()
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in (reply.headers or {}).items()]
        if reply.status != 204:
            headers.append((b"content-type", reply.content_type.encode("latin-1")))
            headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def answer(self, scope: Scope, receive: Receive) -> Reply:
        """What is to be answered, once all is committed. Raises ClientDisconnectedError."""
        try:
            return await self._process(scope, receive)
        except RefusedError as refused:
            headers = {"retry-after": RETRY_AFTER} if refused.status == 503 else {}
            return _problem(refused.status, refused.reason, refused.detail, headers)
        except DatabaseAwayError as error:
            return _problem(503, error.reason, "try again later", {"retry-after": RETRY_AFTER})
        except ClientDisconnectedError:
            raise
        except Exception:
            # Not accepted, so nothing is lost if the provider comes again.
            log.exception("webhook_failed")
            return _problem(503, "internal", "try again later", {"retry-after": RETRY_AFTER})

    async def _process(self, scope: Scope, receive: Receive) -> Reply:
        channel = await self._directory.find(scope["path"].removeprefix(PATH))
        if channel is None:
            raise RefusedError(404, "unknown_channel", "no channel has this key; see `channels` of your desk")
        if scope["method"] not in _METHODS:
            raise RefusedError(405, "method", "send webhooks by POST")
        if channel.unreadable:
            log.error("channel_secrets_unreadable", channel=channel.key)
            raise RefusedError(503, "secret_key", "this channel cannot be verified now; try again later")
        adapter = _adapter(channel)
        if scope["method"] == "OPTIONS" and adapter.from_browsers:
            return Reply(204, headers=_CORS)
        webhook = await self._read(scope, receive, min(self._options.body_limit, adapter.body_limit))
        reply = _checked_handshake(adapter, webhook, channel)
        if reply is None:
            reply = await self._take(adapter, webhook, channel)
        return replace(reply, headers={**_CORS, **(reply.headers or {})}) if adapter.from_browsers else reply

    async def _read(self, scope: Scope, receive: Receive, limit: int) -> WebhookRequest:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if headers.get("content-encoding", "identity") != "identity":
            raise RefusedError(415, "content_encoding", "send the body uncompressed")
        declared = headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > limit:
            raise _too_large(limit)
        query = scope["query_string"].decode("latin-1")
        return WebhookRequest(
            method=scope["method"],
            url=self._url(scope, headers, query),
            headers=headers,
            query=dict(parse_qsl(query, keep_blank_values=True)) if query else {},
            body=await _body(receive, limit),
            received_at=datetime.now(UTC),
        )

    def _url(self, scope: Scope, headers: Mapping[str, str], query: str) -> str:
        place = self._options.public_url.rstrip("/") or f"{scope['scheme']}://{headers.get('host', '')}"
        return f"{place}{scope['path']}?{query}" if query else f"{place}{scope['path']}"

    async def _take(self, adapter: Adapter, webhook: WebhookRequest, channel: Channel) -> Reply:
        if webhook.method != "POST":
            raise RefusedError(405, "method", "send webhooks by POST")
        _check_type(adapter, webhook)
        _check_signature(adapter, webhook, channel)
        if len(webhook.body) > LARGE_BODY:
            events = await asyncio.to_thread(parse, adapter, webhook, channel)
        else:
            events = parse(adapter, webhook, channel)
        headers = kept_headers(webhook.headers)
        items = [
            item_of_account(
                adapter, event, channel, headers, webhook.received_at, self._directory.of_account, self._box
            )
            for event in events
        ]
        await self._acceptor.accept(items)
        return adapter.accepted(webhook, channel)


class WebhookMiddleware:
    """Answers webhooks before the application's routes are looked at."""

    def __init__(self, app: ASGIApp, endpoint: WebhookEndpoint) -> None:
        self._app = app
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on whatever is no webhook."""
        if scope["type"] == "http" and scope["path"].startswith(PATH):
            await self._endpoint(scope, receive, send)
        else:
            await self._app(scope, receive, send)


async def _body(receive: Receive, limit: int) -> bytes:
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnectedError
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def _too_large(limit: int) -> RefusedError:
    return RefusedError(413, "too_large", f"a body may have {limit} bytes")


def _adapter(channel: Channel) -> Adapter:
    try:
        return adapter_for(channel.kind)
    except UnknownKindError as error:
        log.warning("channel_without_adapter", channel=channel.key, kind=channel.kind)
        raise RefusedError(404, UnknownKindError.reason, str(error)) from error


def _checked_handshake(adapter: Adapter, webhook: WebhookRequest, channel: Channel) -> Reply | None:
    try:
        return adapter.handshake(webhook, channel)
    except SignatureError as error:
        raise RefusedError(401, error.reason, str(error)) from error


def _check_type(adapter: Adapter, webhook: WebhookRequest) -> None:
    media_type = webhook.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in adapter.content_types:
        raise RefusedError(415, "content_type", f"send {' or '.join(sorted(adapter.content_types))}")


def _check_signature(adapter: Adapter, webhook: WebhookRequest, channel: Channel) -> None:
    try:
        adapter.verify(webhook, channel)
    except SignatureError as error:
        log.info("bad_signature", channel=channel.key, error=error)
        raise RefusedError(401, error.reason, str(error)) from error
    except Exception as error:  # whatever a hostile request brings up proves nothing
        log.exception("verify_failed", channel=channel.key)
        raise RefusedError(401, SignatureError.reason, "the signature could not be checked") from error


def _problem(status: int, reason: str, detail: str, headers: Mapping[str, str] | None = None) -> Reply:
    problem = {"type": f"urn:openchannel:{reason}", "title": reason, "status": status, "detail": detail}
    return Reply(
        status,
        orjson.dumps(problem).decode(),
        "application/problem+json",
        # Pages of other origins may read why their message was refused.
        {"access-control-allow-origin": "*", **(headers or {})},
    )

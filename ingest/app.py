"""The webhook endpoint: verify raw bytes, parse, commit, answer.

2xx means that it is in PostgreSQL. 401 bad signature, 404 unknown channel, 413 too large, 415 wrong type, 503 with
Retry-After when PostgreSQL is away: the provider comes again. Nothing else is answered 5xx.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

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


class WebhookEndpoint:
    """`/webhooks/{channel key}`."""

    def __init__(
        self, directory: ChannelDirectory, acceptor: Acceptor, box: SecretBox, options: WebhookOptions
    ) -> None:
        self._directory = directory
        self._acceptor = acceptor
        self._box = box
        self._options = options

    async def answer(self, request: Request) -> Response:
        """Answer one webhook call."""
        try:
            return await self._process(request)
        except RefusedError as refused:
            headers = {"retry-after": RETRY_AFTER} if refused.status == 503 else {}
            return _problem(refused.status, refused.reason, refused.detail, headers)
        except DatabaseAwayError as error:
            return _problem(503, error.reason, "try again later", {"retry-after": RETRY_AFTER})
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception:
            # Not accepted, so nothing is lost if the provider comes again.
            log.exception("webhook_failed")
            return _problem(503, "internal", "try again later", {"retry-after": RETRY_AFTER})

    async def _process(self, request: Request) -> Response:
        key = request.path_params["key"]
        channel = await self._directory.find(key)
        if channel is None:
            raise RefusedError(404, "unknown_channel", "no channel has this key; see `channels` of your desk")
        if channel.unreadable:
            log.error("channel_secrets_unreadable", channel=channel.key)
            raise RefusedError(503, "secret_key", "this channel cannot be verified now; try again later")
        adapter = _adapter(channel)
        if request.method == "OPTIONS" and adapter.from_browsers:
            return Response(status_code=204, headers=_CORS)
        webhook = await self._read(request, min(self._options.body_limit, adapter.body_limit))
        reply = _checked_handshake(adapter, webhook, channel)
        if reply is None:
            reply = await self._take(adapter, webhook, channel)
        return _respond(reply, _CORS if adapter.from_browsers else {})

    async def _read(self, request: Request, limit: int) -> WebhookRequest:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if headers.get("content-encoding", "identity") != "identity":
            raise RefusedError(415, "content_encoding", "send the body uncompressed")
        too_large = RefusedError(413, "too_large", f"a body may have {limit} bytes")
        declared = headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > limit:
            raise too_large
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise too_large
        return WebhookRequest(
            method=request.method,
            url=self._url(request),
            headers=headers,
            query=dict(request.query_params) if request.scope["query_string"] else {},
            body=bytes(body),
            received_at=datetime.now(UTC),
        )

    def _url(self, request: Request) -> str:
        if not self._options.public_url:
            return str(request.url)
        query = f"?{request.url.query}" if request.url.query else ""
        return f"{self._options.public_url.rstrip('/')}{request.url.path}{query}"

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


def _respond(reply: Reply, headers: Mapping[str, str]) -> Response:
    return Response(
        reply.body,
        status_code=reply.status,
        media_type=reply.content_type,
        headers={**headers, **(reply.headers or {})},
    )


def _problem(status: int, reason: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(
        {"type": f"urn:openchannel:{reason}", "title": reason, "status": status, "detail": detail},
        status_code=status,
        # Pages of other origins may read why their message was refused.
        headers={"access-control-allow-origin": "*", **(headers or {})},
        media_type="application/problem+json",
    )

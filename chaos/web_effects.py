"""The side effects of a web process: accepting webhooks, and operators' acts."""

from collections.abc import Callable, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import cli.web
from chaos.effects import before
from chaos.failpoints import Track
from config.settings import Settings
from ingest.accept import Accepted, Acceptor
from ingest.adapters.base import Reply
from ingest.app import WebhookEndpoint
from ingest.publish import Publisher

COMMITTED = "accept/COMMIT"
"""The side effect that both the first hint and the answer to a webhook follow."""


def install(track: Track) -> None:
    """Let `track` know of them from now on."""
    _webhooks(track)
    _acts(track)


def _webhooks(track: Track) -> None:
    """What follows an accepting commit is done by other threads: each begins where that has ended."""
    before(Acceptor, "_commit", lambda *_: track.begin("accept"))
    accept, answer, init = Acceptor.accept, WebhookEndpoint.answer, Publisher.__init__

    async def accepted(self: Acceptor, items: Sequence[Any]) -> Accepted:
        ids = await accept(self, items)
        track.begin("accept", COMMITTED)
        return ids

    async def answered(self: WebhookEndpoint, scope: Scope, receive: Receive) -> Reply:
        reply = await answer(self, scope, receive)
        if reply.status < 300:
            track.effect("answer:2xx")
        return reply

    def publishing(self: Publisher, send: Callable[[list[object]], bool], *arguments: Any, **options: Any) -> None:
        def noted(items: list[object]) -> bool:
            track.begin("accept", COMMITTED)
            return send(items)

        init(self, noted, *arguments, **options)

    Acceptor.accept = accepted  # type: ignore[method-assign]
    WebhookEndpoint.answer = answered  # type: ignore[method-assign]
    Publisher.__init__ = publishing  # type: ignore[method-assign]


class Acts:
    """Middleware: an operator's act begins with its request and ends with its answer."""

    def __init__(self, app: ASGIApp, track: Track) -> None:
        self._app = app
        self._track = track

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. Whatever only reads has no side effects."""
        if scope["type"] != "http" or scope["method"] == "GET" or not scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return
        parts = scope["path"].removeprefix("/api/").split("/")
        self._track.begin(".".join(part for part in parts if not part.isdecimal()))

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 300:
                self._track.effect("answer:2xx")
            await send(message)

        await self._app(scope, receive, noted)


def _acts(track: Track) -> None:
    make_web = cli.web.make_web

    def made(settings: Settings) -> Starlette:
        web = make_web(settings)
        web.add_middleware(Acts, track=track)
        return web

    cli.web.make_web = made

"""The side effects of the product's processes, seen from outside: by wrapping what they go through."""

import re
from collections.abc import Callable, Generator, Sequence
from functools import wraps
from importlib.resources import files
from typing import Any, TypeVar

import httpx
import psycopg
from celery import Celery
from kombu.transport import redis as redis_transport
from psycopg import BaseConnection
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import cli.web
import worker.clock
from chaos.failpoints import Track
from config.settings import Settings
from crm_store import queries
from ingest.accept import Accepted, Acceptor
from ingest.app import WebhookEndpoint
from ingest.publish import Publisher
from worker.clock import Clock
from worker.presence_watch import PresenceWatch
from worker.tasks import StepTask

T = TypeVar("T")

COMMITTED = "accept/COMMIT"
"""The side effect that both the first hint and the answer to a webhook follow."""

_WRITES = re.compile(r"\b(?:INSERT\s+INTO|DELETE\s+FROM|(?<!FOR )(?<!KEY )(?<!DO )UPDATE\s+(?!SKIP|NOWAIT|OF)\w)")
_COMMENTS = re.compile(r"--[^\n]*|'[^']*'")


def install(track: Track) -> None:
    """Let `track` know of all side effects of this process from now on."""
    _statements(track)
    _transactions(track)
    _broker(track)
    _calls(track)
    _tasks(track)
    _ticks(track)
    _webhooks(track)
    _acts(track)


def writing_statements() -> dict[str, str]:
    """Names of all statements of the product that write, by their text."""
    names: dict[str, str] = {}
    for file in sorted(files("crm_store").joinpath("sql").iterdir(), key=lambda file: file.name):
        aggregate = file.name.removesuffix(".sql")
        for name, text in queries._read(aggregate).items():
            if _WRITES.search(_COMMENTS.sub("", text)):
                names[text] = f"{aggregate}.{name}"
    return names


def _statements(track: Track) -> None:
    names = writing_statements()
    execute = psycopg.Cursor.execute

    @wraps(execute)
    def noted(self: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(query, str) and (name := names.get(query)):
            track.effect(name)
        return execute(self, query, *arguments, **options)

    psycopg.Cursor.execute = noted  # type: ignore[method-assign]


def _transactions(track: Track) -> None:
    command_of = BaseConnection._exec_command

    def noted(self: Any, command: Any, *arguments: Any) -> Generator[Any, Any, Any]:
        if isinstance(command, bytes):
            if command.startswith(b"BEGIN"):
                track.effect("BEGIN")
            elif command == b"COMMIT":
                track.effect("COMMIT")
            elif command == b"ROLLBACK":
                track.undone()
        return (yield from command_of(self, command, *arguments))

    BaseConnection._exec_command = noted  # type: ignore[method-assign,assignment]


def _broker(track: Track) -> None:
    def publishing(_app: Celery, name: str, *_: Any, **__: Any) -> None:
        track.effect(f"publish:{name}")

    _before(Celery, "send_task", publishing)
    _before(redis_transport.QoS, "ack", lambda *_: track.effect("ack"))


def _calls(track: Track) -> None:
    _before(httpx.AsyncClient, "send", lambda *_, **__: track.effect("call"))


def _tasks(track: Track) -> None:
    _before(StepTask, "run", lambda task, *_, **__: track.begin(task.name))


def _ticks(track: Track) -> None:
    """The parts of a clock's tick."""

    def part(_clock: Clock, _due: float, work: Callable[..., Any]) -> None:
        track.begin(work.__name__.strip("_"))

    _before(Clock, "_when_due", part)
    _before(Clock, "_sweep", lambda _: track.begin("sweep"))
    _before(PresenceWatch, "look", lambda _: track.begin("presence"))
    _before(worker.clock, "work_off", lambda _: track.begin("timers"))


def _webhooks(track: Track) -> None:
    """What follows an accepting commit is done by other threads: each begins where that has ended."""
    _before(Acceptor, "_commit", lambda *_: track.begin("accept"))
    accept, answer, init = Acceptor.accept, WebhookEndpoint.answer, Publisher.__init__

    async def accepted(self: Acceptor, items: Sequence[Any]) -> Accepted:
        ids = await accept(self, items)
        track.begin("accept", COMMITTED)
        return ids

    async def answered(self: WebhookEndpoint, request: Any) -> Any:
        response = await answer(self, request)
        if response.status_code < 300:
            track.effect("answer:2xx")
        return response

    def publishing(self: Publisher, send: Callable[[list[object]], bool], *arguments: Any) -> None:
        def noted(items: list[object]) -> bool:
            track.begin("accept", COMMITTED)
            return send(items)

        init(self, noted, *arguments)

    Acceptor.accept = accepted  # type: ignore[method-assign]
    WebhookEndpoint.answer = answered  # type: ignore[method-assign]
    Publisher.__init__ = publishing  # type: ignore[method-assign,assignment]


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


def _before(owner: Any, name: str, hook: Callable[..., None]) -> None:
    """Call `hook` with a function's arguments before each of its calls."""
    wrapped = getattr(owner, name)

    @wraps(wrapped)
    def call(*arguments: Any, **options: Any) -> Any:
        hook(*arguments, **options)
        return wrapped(*arguments, **options)

    setattr(owner, name, call)

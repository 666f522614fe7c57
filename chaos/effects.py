"""The side effects of the product's processes, seen from outside: by wrapping what they go through."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Generator
from functools import wraps
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import psycopg
from kombu.transport import virtual
from psycopg import BaseConnection

from chaos.failpoints import Track
from config.topology import Step
from crm_store import queries
from worker.hints import Hints

if TYPE_CHECKING:
    from worker.clock import Clock

_WRITES = re.compile(r"\b(?:INSERT\s+INTO|DELETE\s+FROM|(?<!FOR )(?<!KEY )(?<!DO )UPDATE\s+(?!SKIP|NOWAIT|OF)\w)")
_COMMENTS = re.compile(r"--[^\n]*|'[^']*'")


def install(track: Track, processes: Collection[str] = ("web", "worker", "clock")) -> None:
    """Let `track` know of all side effects of this process from now on. processes: what it is, one or several of these.

    Each loads what it needs and no more: processes are started hundreds of times.
    """
    _statements(track)
    _transactions(track)
    _broker(track)
    if "web" in processes:
        from chaos import web_effects

        web_effects.install(track)
    if "worker" in processes:
        _tasks(track)
    if "clock" in processes:
        _ticks(track)


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
    def publishing(_hints: Hints, step: Step, *_: Any, **__: Any) -> None:
        track.effect(f"publish:{step.value}")

    before(Hints, "publish", publishing)


def _tasks(track: Track) -> None:
    import httpx
    from celery.worker.request import Request

    from worker.tasks import StepTask

    def receiving(*_: Any, **__: Any) -> None:
        """A task was popped from its queue: from now on only its worker knows of it."""
        track.begin("receive", "receive/popped")

    before(virtual.Transport, "_deliver", receiving)
    before(Request, "__init__", lambda *_, **__: track.effect("request"))
    before(StepTask, "run", lambda task, *_, **__: track.begin(task.name))
    before(httpx.AsyncClient, "send", lambda *_, **__: track.effect("call"))


def _ticks(track: Track) -> None:
    """The parts of a clock's tick."""
    import worker.clock
    from worker.clock import Clock
    from worker.presence_watch import PresenceWatch

    def part(_clock: Clock, _due: float, work: Callable[..., Any]) -> None:
        track.begin(work.__name__.strip("_"))

    before(Clock, "_when_due", part)
    before(Clock, "_sweep", lambda _: track.begin("sweep"))
    before(PresenceWatch, "look", lambda _: track.begin("presence"))
    before(worker.clock, "work_off", lambda _: track.begin("timers"))


def before(owner: Any, name: str, hook: Callable[..., None]) -> None:
    """Call `hook` with a function's arguments before each of its calls."""
    wrapped = getattr(owner, name)

    @wraps(wrapped)
    def call(*arguments: Any, **options: Any) -> Any:
        hook(*arguments, **options)
        return wrapped(*arguments, **options)

    setattr(owner, name, call)

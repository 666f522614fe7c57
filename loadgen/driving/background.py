"""Work on an event loop of its own, in a thread: the caller's thread stays free."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from threading import Thread
from typing import Any

import uvloop


class Background:
    """start, then `done` or `failure` say how it ended; `soon` reaches the loop meanwhile."""

    def __init__(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.failure: BaseException | None = None
        self._work = work
        self._loop = uvloop.new_event_loop()
        self._thread = Thread(target=self._run, name=name, daemon=True)

    @property
    def done(self) -> bool:
        """Whether it has ended, in whichever way."""
        return self._thread.ident is not None and not self._thread.is_alive()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def soon(self, act: Callable[[], object]) -> None:
        """Call this on the loop; nothing if it has ended."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(act)

    def join(self, seconds: float) -> None:
        """Wait for the end, so long at the most."""
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._work())
        except BaseException as error:  # noqa: BLE001 - told to the thread that asks
            self.failure = error

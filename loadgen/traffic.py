"""Customers and operators in an event loop of their own, in a thread: the caller's thread stays free."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from threading import Event, Thread
from typing import Any

from loadgen.customers import Customers
from loadgen.operators import Operators


class Traffic:
    """start, then end_customers, then end. `failure` says why it ended by itself, if it did."""

    def __init__(self, customers: Customers, operators: Operators) -> None:
        self.customers = customers
        self.operators = operators
        self.customers_done = False
        self.failure: BaseException | None = None
        self._ready = Event()
        self._thread = Thread(target=self._run, name="traffic", daemon=True)
        self._loop = asyncio.new_event_loop()
        self._no_more = asyncio.Event()
        self._give_up = asyncio.Event()
        self._go_home = asyncio.Event()

    def start(self) -> None:
        """Begin; returns when the event loop runs."""
        self._thread.start()
        self._ready.wait()

    def end_customers(self) -> None:
        """Let nobody write any more. `customers_done` is true when all that was sent has been answered."""
        self._set(self._no_more)

    def end(self, seconds: float = 5.0) -> None:
        """End all: unanswered webhooks are given up, operators go offline. Waits so long at the most."""
        for event in (self._no_more, self._give_up, self._go_home):
            self._set(event)
        self._thread.join(timeout=seconds)

    def _set(self, event: asyncio.Event) -> None:
        with suppress(RuntimeError):  # the loop has ended already
            self._loop.call_soon_threadsafe(event.set)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._all())
        except BaseException as error:  # noqa: BLE001 - told to the thread that asks
            self.failure = error

    async def _all(self) -> None:
        self._ready.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._until_done(self.customers.run(self._no_more, self._give_up)))
            group.create_task(self.operators.run(self._go_home))

    async def _until_done(self, customers: Coroutine[Any, Any, None]) -> None:
        await customers
        self.customers_done = True

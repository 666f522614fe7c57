"""Sends ready requests over few connections, at little CPU: an open model, or as fast as the answers come."""

import asyncio
import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Coroutine, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from loadgen.driving.connection import Connection

CONNECTIONS = 256
"""At the most. Providers open many: Telegram alone up to 100 to one bot."""

PAUSE_AFTER_FAILURE = 0.2

SHORTEST_WAIT = 0.001
"""Seconds between two looks at what is due. The event loop's clock counts milliseconds: for less it would spin."""


@dataclass(slots=True)
class Sent:
    """What became of the requests, by their numbers. Times in seconds since the beginning; NaN: not yet.

    first_sent: the beginning of the first try. answered, status: of the answer that ended it, whatever it said but 503.
    answers: all answers by status; `0`: none came. begun: requests that were sent at all. tries_again: those again.
    """

    first_sent: list[float]
    answered: list[float]
    status: list[int]
    answers: Counter[str] = field(default_factory=Counter)
    begun: int = 0
    tries_again: int = 0

    @property
    def finished(self) -> int:
        """How many requests were answered for good."""
        return self.answers.total() - self.answers["0"] - self.answers["503"]


class Driver:
    """Sends each request until it is answered otherwise than 503."""

    def __init__(
        self,
        url: str,
        chats: Sequence[Hashable],
        due: Sequence[float] | None,
        content: Callable[[int], bytes],
        connections: int = CONNECTIONS,
    ) -> None:
        """chats: of each request; those of one chat are sent one after the other, each after its forerunner's answer.

        due: seconds from the beginning, rising; None sends as fast as the answers come. content: a request's bytes.
        """
        split = urlsplit(url)
        self._secure = split.scheme == "https"
        self._address = (split.hostname or "", split.port or (443 if self._secure else 80))
        self._chats = chats
        self._due = due
        self._content = content
        self._most = connections
        count = len(chats)
        self.sent = Sent([math.nan] * count, [math.nan] * count, [0] * count)
        self.began = 0.0
        """By the event loop's clock."""
        self._next = 0
        self._left = count
        self._ready: deque[int] = deque()
        self._behind: dict[Hashable, deque[int]] = defaultdict(deque)
        self._busy: set[Hashable] = set()
        self._idle: list[Connection] = []
        self._sending: dict[Connection, int] = {}
        self._opening = 0
        self._done = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Open the connections, so that doing so is not measured."""
        self._loop = asyncio.get_running_loop()
        await asyncio.gather(*(self._open() for _ in range(self._most)))

    async def run(self) -> None:
        """Send everything; returns with the last answer, or after `give_up`. After `open`."""
        self.began = self._loop.time()
        if self._left == 0:
            self._done.set()
        if self._due is None:
            self._ready.extend(range(len(self._chats)))
            self._next = len(self._chats)
        self._pump()
        await self._done.wait()
        for task in self._tasks:
            task.cancel()
        for connection in [*self._idle, *self._sending]:
            connection.close()

    def give_up(self) -> None:
        """On the event loop: wait for no answer any more, and send nothing new."""
        self._next = len(self._chats)
        self._ready.clear()
        self._done.set()

    def _now(self) -> float:
        return self._loop.time() - self.began

    def _pump(self) -> None:
        """Send what is due, as far as there are connections."""
        if self._due is not None:
            now = self._now()
            while self._next < len(self._due) and self._due[self._next] <= now:
                self._ready.append(self._next)
                self._next += 1
            if self._next < len(self._due):
                self._loop.call_at(self.began + max(self._due[self._next], now + SHORTEST_WAIT), self._pump)
        self._send_ready()

    def _send_ready(self) -> None:
        while self._idle and self._ready:
            number = self._ready.popleft()
            chat = self._chats[number]
            if chat in self._busy:
                self._behind[chat].append(number)
                continue
            self._busy.add(chat)
            connection = self._idle.pop()
            self._sending[connection] = number
            content = self._content(number)
            if math.isnan(self.sent.first_sent[number]):
                self.sent.first_sent[number] = self._now()
                self.sent.begun += 1
            connection.send(content)
        if self._ready and not self._idle and len(self._sending) + self._opening < self._most:
            self._start(self._open())

    def _answered(self, connection: Connection, status: int) -> None:
        number = self._sending.pop(connection)
        self._idle.append(connection)
        self.sent.answers[str(status)] += 1
        if status == 503:
            self._start(self._again(number))
        else:
            self.sent.answered[number] = self._now()
            self.sent.status[number] = status
            self._finish(number)
        self._send_ready()

    def _lost(self, connection: Connection) -> None:
        number = self._sending.pop(connection, None)
        if number is None:
            if connection in self._idle:
                self._idle.remove(connection)
        else:
            self.sent.answers["0"] += 1
            self._start(self._again(number))

    def _finish(self, number: int) -> None:
        chat = self._chats[number]
        self._busy.discard(chat)
        if behind := self._behind.get(chat):
            self._ready.appendleft(behind.popleft())
        self._left -= 1
        if self._left == 0:
            self._done.set()

    async def _again(self, number: int) -> None:
        await asyncio.sleep(PAUSE_AFTER_FAILURE)
        self.sent.tries_again += 1
        self._busy.discard(self._chats[number])
        self._ready.appendleft(number)
        self._send_ready()

    async def _open(self) -> None:
        self._opening += 1
        try:
            _, connection = await self._loop.create_connection(
                lambda: Connection(self._answered, self._lost), *self._address, ssl=self._secure or None
            )
            self._idle.append(connection)
        except OSError:
            await asyncio.sleep(PAUSE_AFTER_FAILURE)
        finally:
            self._opening -= 1
        self._send_ready()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

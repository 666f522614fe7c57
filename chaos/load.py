"""The load: customers whose servers send every message until it is answered 2xx, over all web processes.

A chat's next message is sent when the last one was answered: that gives a chat its order. Besides: some bodies are sent
twice at once, right after their answer, or long after; some carry messages of two chats; and in shuffled chats a
message is sent before the one that precedes it.
"""

import asyncio
import json
import random
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from chaos.conversations import Chat, Conversations, Planted, delivery_id
from chaos.desk import SECRET, Desk
from chaos.record import Message, Record
from loadgen.wire import standard_signature

ACTIVE_CHATS = 120
"""Chats that go on at the same moment; so many messages are under way at the most, and some repeats."""

AT_ONCE_SHARE = 0.04
AGAIN_SHARE = 0.02
LATE_SHARE = 0.02
TOGETHER_SHARE = 0.05
"""Of the messages: sent twice at once, again after the answer, again long after, together with one of another chat."""

LATE_SECONDS = (1.0, 45.0)
PAUSE_AFTER_FAILURE = (0.1, 0.6)
CALL_SECONDS = 8.0
PLANTED_WITHIN = 8.0
"""Seconds in which all poison is sent: what raises is tried for a minute before it is dead."""

PATIENCE = 120.0
"""Seconds that `stop` waits for the answers to what is under way."""


@dataclass(eq=False, slots=True)
class _Talk:
    """A chat under way. next: place of the next message. busy: one is not answered yet."""

    chat: Chat
    next: int = 0
    busy: bool = False

    @property
    def over(self) -> bool:
        return self.next >= len(self.chat.messages)


@dataclass(frozen=True, slots=True)
class _Body:
    """What is posted: the same for each try, but for the signature's time."""

    id: str
    channel: str
    messages: Sequence[Message]
    content: bytes

    def headers(self) -> Mapping[str, str]:
        now = int(time.time())
        return {
            "content-type": "application/json",
            "webhook-id": self.id,
            "webhook-timestamp": str(now),
            "webhook-signature": standard_signature(SECRET, self.id, now, self.content),
        }


def body_of(messages: Sequence[Message]) -> tuple[str, bytes]:
    """The `webhook-id` and the bytes of the request that carries these messages of one channel."""
    written = delivery_id([message.external_id for message in messages])
    if messages[0].raw and not messages[0].body:
        return written, messages[0].raw
    if len(messages) == 1:
        return written, json.dumps(messages[0].body, ensure_ascii=False).encode()
    return written, json.dumps({"messages": [message.body for message in messages]}, ensure_ascii=False).encode()


class Load:
    """Sends in a thread of its own, from `start` to `stop`; `record` tells what."""

    def __init__(
        self,
        desk: Desk,
        urls: Sequence[str],
        seed: int,
        rate: float,
        planted: Planted | None = None,
        planted_after: float = 0.0,
    ) -> None:
        """urls: of the web processes. rate: new messages per second, repeats not counted.

        planted: how much poison. planted_after: seconds before the first of it is sent.
        """
        self.record = Record()
        self._urls = urls
        self._rate = rate
        self._rng = random.Random(seed)
        world = Conversations(seed, sorted(channel.key for channel in desk.channels))
        poisoned = world.planted(planted or Planted())
        self._planted = sorted(
            ((planted_after + self._rng.uniform(0, PLANTED_WITHIN), chat) for chat in poisoned), key=lambda it: it[0]
        )
        self._chats = world.chats()
        self._talks: list[_Talk] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = threading.Event()
        self._given_up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load", daemon=True)
        self._failure: BaseException | None = None

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self, patience: float = PATIENCE) -> None:
        """Send nothing new; returns when all that is under way was answered, or after `patience` seconds.

        Raises what the load itself failed with.
        """
        self._stopping.set()
        self._thread.join(patience)
        self._given_up.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    # In the thread

    async def _run(self) -> None:
        limits = httpx.Limits(max_connections=2 * ACTIVE_CHATS, max_keepalive_connections=ACTIVE_CHATS)
        timeout = httpx.Timeout(CALL_SECONDS, pool=None)
        try:
            async with httpx.AsyncClient(limits=limits, timeout=timeout, trust_env=False) as client:
                self._client = client
                await self._begin_all()
                await self._finish()
        except Exception as error:  # noqa: BLE001 - it is raised by `stop`
            self._failure = error

    async def _begin_all(self) -> None:
        began = due = time.monotonic()
        while not self._stopping.is_set():
            now = time.monotonic()
            while self._planted and self._planted[0][0] <= now - began:
                self._start(self._tell_all(self._planted.pop(0)[1]))
            while due <= now:
                due += self._rng.expovariate(self._rate)
                self._say_something()
            await asyncio.sleep(min(0.05, max(0.0, due - time.monotonic())))

    async def _finish(self) -> None:
        while self._tasks:
            if self._given_up.is_set():
                for task in self._tasks:
                    task.cancel()
            await asyncio.wait(self._tasks, timeout=0.2)

    def _say_something(self) -> None:
        """One message, or two in one way or another; none if all chats wait for an answer."""
        talk = self._idle()
        if talk is None:
            return
        first = talk.chat.messages[talk.next]
        if talk.chat.shuffled and talk.next + 1 < len(talk.chat.messages):
            self._begin(self._overtaken(first, talk.chat.messages[talk.next + 1]), [talk])
        elif self._rng.random() < TOGETHER_SHARE:
            other = self._idle(lambda it: it is not talk and it.chat.messages[it.next].channel == first.channel)
            together = [one for one in (talk, other) if one is not None]
            self._begin(self._tell([one.chat.messages[one.next] for one in together]), together)
        else:
            self._begin(self._tell([first]), [talk])

    def _idle(self, fits: Callable[[_Talk], bool] = lambda _: True) -> _Talk | None:
        """A chat that is not waiting for an answer; a new one where there are few."""
        while len(self._talks) < ACTIVE_CHATS:
            self._talks.append(_Talk(next(self._chats)))
        idle = [talk for talk in self._talks if not talk.busy and fits(talk)]
        return self._rng.choice(idle) if idle else None

    def _begin(self, work: Coroutine[Any, Any, int], talks: Sequence[_Talk]) -> None:
        for talk in talks:
            talk.busy = True

        async def go_on() -> None:
            said = await work
            for talk in talks:
                talk.next += said
                talk.busy = False
                if talk.over:
                    self._talks.remove(talk)

        self._start(go_on())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = task.exception()

    async def _tell_all(self, chat: Chat) -> None:
        for message in chat.messages:
            await self._tell([message])

    async def _overtaken(self, first: Message, second: Message) -> int:
        """The second message sets out before the first."""

        async def first_a_little_later() -> None:
            await asyncio.sleep(self._rng.choice((0.0, 0.005, 0.05)))
            await self._tell([first])

        self.record.overtaken += 1
        await asyncio.gather(self._tell([second]), first_a_little_later())
        return 2

    async def _tell(self, messages: Sequence[Message]) -> int:
        """Send messages of one body until they are accepted, some of them more often."""
        written, content = body_of(messages)
        body = _Body(written, messages[0].channel, messages, content)
        chance = self._rng.random()
        if chance < AT_ONCE_SHARE:
            await asyncio.gather(self._post_until_accepted(body), self._post_until_accepted(body))
        else:
            await self._post_until_accepted(body)
        if AT_ONCE_SHARE <= chance < AT_ONCE_SHARE + AGAIN_SHARE:
            await self._post(body)
        elif AT_ONCE_SHARE + AGAIN_SHARE <= chance < AT_ONCE_SHARE + AGAIN_SHARE + LATE_SHARE:
            self._start(self._again_later(body, self._rng.uniform(*LATE_SECONDS)))
        return 1

    async def _again_later(self, body: _Body, seconds: float) -> None:
        for _ in range(round(seconds / 0.2)):
            if self._stopping.is_set():
                break
            await asyncio.sleep(0.2)
        await self._post(body)

    async def _post_until_accepted(self, body: _Body) -> None:
        while True:
            if 200 <= await self._post(body) < 300:
                return
            await asyncio.sleep(self._rng.uniform(*PAUSE_AFTER_FAILURE))

    async def _post(self, body: _Body) -> int:
        """The status of one try, 0 where no answer came."""
        url = f"{self._rng.choice(self._urls)}/webhooks/{body.channel}"
        self.record.sending(body.messages, time.monotonic())
        try:
            response = await self._client.post(url, content=body.content, headers=body.headers())
            status = response.status_code
        except httpx.HTTPError:
            status = 0
        self.record.answered(body.messages, status, time.monotonic())
        return status

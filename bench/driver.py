"""The process that sends a stream. It makes and signs all requests before the clock starts, and costs little CPU.

    python -m bench.driver --url http://127.0.0.1:8080 --seed 1 --messages 500 [--rate 100]

It says `ready` on stdout, begins when a line comes in on stdin, and ends with one line of JSON (Sending). Without a
rate it sends as fast as the answers come; with one each message has its planned time, whatever the answers. A chat's
next message is never sent before its last one is answered, as a customer's provider does it: that is what gives a
chat an order. What is answered 503, or not at all, is sent again.
"""

import argparse
import asyncio
import gc
import json
import random
import sys
import time
from collections import Counter, defaultdict, deque
from collections.abc import Coroutine, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

import uvloop

from bench import desk
from bench.connection import Connection, request_bytes
from bench.stream import Stream, make_stream
from loadgen.wire import webhook

CONNECTIONS = 256
"""At the most, for every side. Providers open many: Telegram alone up to 100 to one bot."""

PAUSE_AFTER_FAILURE = 0.2

SIGNED_AHEAD = 280
"""Seconds by which a signature's time lies ahead of the start. A signature holds 300 seconds to either side of it."""


@dataclass(frozen=True, slots=True)
class Sending:
    """What came of it. began: Unix time of the first request's start. seconds: to the last answer.

    cpu: seconds of this process within that time. answers: by status. tries_again: requests sent again.
    answered_p50, answered_p99: seconds from the planned time to the answer, where there were planned times.
    """

    began: float
    seconds: float
    cpu: float
    answers: dict[str, int]
    tries_again: int
    answered_p50: float | None = None
    answered_p99: float | None = None


def planned_times(seed: int, rate: float, count: int) -> list[float]:
    """Seconds from the beginning at which messages are due: as independent customers write."""
    rng, at, times = random.Random(seed), 0.0, []
    for _ in range(count):
        at += rng.expovariate(rate)
        times.append(at)
    return times


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 10_000) * len(ordered) // 10_000) - 1))]


class Driver:
    """Sends the requests of one stream over at most CONNECTIONS connections."""

    def __init__(self, stream: Stream, url: str, rate: float | None) -> None:
        split = urlsplit(url)
        self._address = (split.hostname or "", split.port or 80)
        self._due = planned_times(stream.seed, rate, len(stream.requests)) if rate else None
        self._requests = _signed(stream, split.netloc)
        self._chats = [said.chat for said in stream.requests]
        self._next = 0
        self._left = len(self._requests)
        self._ready: deque[int] = deque()
        self._behind: dict[int, deque[int]] = defaultdict(deque)
        self._busy: set[int] = set()
        self._idle: list[Connection] = []
        self._sending: dict[Connection, int] = {}
        self._opening = 0
        self._answers: Counter[str] = Counter()
        self._tries_again = 0
        self._latencies: list[float] = []
        self._done = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> Sending:
        """Send everything."""
        self._loop = asyncio.get_running_loop()
        await asyncio.gather(*(self._open() for _ in range(CONNECTIONS)))
        began, self._began, cpu = time.time(), self._loop.time(), time.process_time()
        if self._due is None:
            self._ready.extend(range(len(self._requests)))
            self._next = len(self._requests)
        self._pump()
        await self._done.wait()
        seconds = self._loop.time() - self._began
        cpu = time.process_time() - cpu
        for connection in [*self._idle, *self._sending]:
            connection.close()
        p50, p99 = (percentile(self._latencies, share) for share in (0.5, 0.99)) if self._latencies else (None, None)
        return Sending(began, seconds, cpu, dict(self._answers), self._tries_again, p50, p99)

    def _pump(self) -> None:
        """Send what is due, as far as there are connections."""
        if self._due is not None:
            now = self._loop.time() - self._began
            while self._next < len(self._due) and self._due[self._next] <= now:
                self._ready.append(self._next)
                self._next += 1
            if self._next < len(self._due):
                self._loop.call_at(self._began + self._due[self._next], self._pump)
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
            connection.send(self._requests[number])
        if self._ready and not self._idle and len(self._sending) + self._opening < CONNECTIONS:
            self._start(self._open())

    def _answered(self, connection: Connection, status: int) -> None:
        number = self._sending.pop(connection)
        self._idle.append(connection)
        self._answers[str(status)] += 1
        if status == 503:
            self._start(self._again(number))
        else:
            if self._due is not None:
                self._latencies.append(self._loop.time() - self._began - self._due[number])
            self._finish(number)
        self._send_ready()

    def _lost(self, connection: Connection) -> None:
        number = self._sending.pop(connection, None)
        if number is None:
            if connection in self._idle:
                self._idle.remove(connection)
        else:
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
        self._tries_again += 1
        self._busy.discard(self._chats[number])
        self._ready.appendleft(number)
        self._send_ready()

    async def _open(self) -> None:
        self._opening += 1
        try:
            _, connection = await self._loop.create_connection(
                lambda: Connection(self._answered, self._lost), *self._address
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


def _signed(stream: Stream, host: str) -> list[bytes]:
    now = time.time()
    by_key = {channel.key: channel for channel in desk.channels(stream.seed)}
    requests = []
    for said in stream.requests:
        made = webhook(by_key[said.writing.channel], said.writing, now, now + SIGNED_AHEAD)
        requests.append(request_bytes(made.path, host, dict(made.headers), made.body))
    return requests


def request_sizes(stream: Stream) -> list[int]:
    """Bytes of each request of a stream as it goes over the wire."""
    return [len(request) for request in _signed(stream, "127.0.0.1:8080")]


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="bench.driver")
    parser.add_argument("--url", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--messages", type=int, required=True)
    parser.add_argument("--rate", type=float)
    given = parser.parse_args()
    stream = make_stream(given.seed, given.messages)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        driver = Driver(stream, given.url, given.rate)
        gc.collect()
        gc.freeze()
        _tell("ready")
        sys.stdin.readline()
        _tell(json.dumps(asdict(runner.run(driver.run()))))


if __name__ == "__main__":
    main()

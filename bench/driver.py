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
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

import uvloop

from bench import desk
from bench.stream import Stream, make_stream
from loadgen.driving.connection import request_bytes
from loadgen.driving.driver import Driver
from loadgen.wire import webhook

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


async def send(stream: Stream, url: str, rate: float | None, ready: Callable[[], object] = lambda: None) -> Sending:
    """Send everything. ready: called when all is signed, before the clock starts."""
    requests = _signed(stream, urlsplit(url).netloc)
    due = planned_times(stream.seed, rate, len(stream.requests)) if rate else None
    driver = Driver(url, [said.chat for said in stream.requests], due, requests.__getitem__)
    await driver.open()
    ready()
    began, cpu = time.time(), time.process_time()
    await driver.run()
    sent = driver.sent
    answers = {status: n for status, n in sent.answers.items() if status != "0"}
    waited = [answered - planned for planned, answered in zip(due or (), sent.answered, strict=False)]
    p50, p99 = (percentile(waited, share) for share in (0.5, 0.99)) if waited else (None, None)
    return Sending(began, max(sent.answered), time.process_time() - cpu, answers, sent.tries_again, p50, p99)


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


def _wait_for_start() -> None:
    gc.collect()
    gc.freeze()
    _tell("ready")
    sys.stdin.readline()


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
        _tell(json.dumps(asdict(runner.run(send(stream, given.url, given.rate, _wait_for_start)))))


if __name__ == "__main__":
    main()

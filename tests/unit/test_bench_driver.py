"""The benchmark's driver: what it sends, how it reads answers, how it keeps a chat's order; and what CPU is counted."""

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable

import pytest

from bench.driver import Sending, send
from bench.stream import Stream, make_stream
from loadgen.driving.connection import BadAnswerError, read_answer, request_bytes
from runtime.usage import PROC, cpu_seconds, resident_bytes

pytestmark = pytest.mark.unit

STREAM = make_stream(5, 100)

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def test_a_request() -> None:
    """Bytes as they go over the wire."""
    assert request_bytes("/webhooks/x", "host:1", {"content-type": "text/plain"}, b"hi") == (
        b"POST /webhooks/x HTTP/1.1\r\nhost: host:1\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nhi"
    )


@pytest.mark.parametrize(
    ("received", "answer"),
    [
        (b"", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", (200, 40)),
        (b"HTTP/1.1 503 Away\r\ncontent-length: 0\r\nx: y\r\n\r\nHTTP", (503, 46)),
        (b"HTTP/1.1 204 No Content\r\n\r\n", (204, 27)),
    ],
)
def test_an_answer(received: bytes, answer: tuple[int, int] | None) -> None:
    """Its status, once it is complete."""
    assert read_answer(received) == answer


def test_a_chunked_answer_is_an_error() -> None:
    """It would be read wrongly."""
    with pytest.raises(BadAnswerError):
        read_answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


class Provider:
    """A server that answers, sometimes 503 or not at all, and notes what it was sent."""

    def __init__(self, *, away: int = 0, hang_up: int = 0) -> None:
        self.bodies: list[bytes] = []
        self.at_once = 0
        self._away = away
        self._hang_up = hang_up
        self._now = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.rpartition(b"content-length: ")[2].strip())
                body = await reader.readexactly(length)
                self._now += 1
                self.at_once = max(self.at_once, self._now)
                await asyncio.sleep(0.001)
                self._now -= 1
                if self._hang_up:
                    self._hang_up -= 1
                    break
                if self._away:
                    self._away -= 1
                    writer.write(b"HTTP/1.1 503 Away\r\ncontent-length: 0\r\n\r\n")
                    continue
                self.bodies.append(body)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


def sent_to(provider: Provider, stream: Stream, rate: float | None = None) -> Sending:
    """Drive the stream into the provider."""

    async def run() -> Sending:
        server = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await send(stream, f"http://127.0.0.1:{port}", rate)

    return asyncio.run(run())


def order_of_chats(provider: Provider, stream: Stream) -> dict[int, list[int]]:
    """The messages as the provider took them, by chat."""
    by_tag = {said.writing.text.rpartition("~")[2].encode(): said for said in stream.messages}
    found: dict[int, list[int]] = defaultdict(list)
    for body in provider.bodies:
        said = by_tag[body.replace(b"%7E", b"~").rpartition(b"~")[2][:5]]
        found[said.chat].append(said.number)
    return found


@pytest.mark.parametrize("rate", [None, 400.0])
def test_all_is_sent_and_each_chat_in_order(rate: float | None) -> None:
    """A chat's next message waits for the answer to its last; repeats come after their message."""
    provider = Provider()
    sending = sent_to(provider, STREAM, rate)
    assert sending.answers == {"200": len(STREAM.requests)}
    assert sending.tries_again == 0
    assert provider.at_once > 1
    for numbers in order_of_chats(provider, STREAM).values():
        assert list(dict.fromkeys(numbers)) == sorted(set(numbers))
    assert (sending.answered_p99 is None) is (rate is None)


def test_what_is_not_accepted_is_sent_again() -> None:
    """503, and no answer at all."""
    provider = Provider(away=3, hang_up=2)
    sending = sent_to(provider, STREAM)
    assert sending.answers == {"200": len(STREAM.requests), "503": 3}
    assert sending.tries_again == 5
    assert len(provider.bodies) == len(STREAM.requests)


@pytest.mark.skipif(not PROC.is_dir(), reason="needs /proc")
def test_cpu_seconds_of_this_process() -> None:
    """They grow with what it does."""
    before = cpu_seconds({"me": [os.getpid()], "nobody": [2**22 + 1]})
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass
    after = cpu_seconds({"me": [os.getpid()], "nobody": [2**22 + 1]})
    assert after["me"] - before["me"] >= 0.08
    assert after["nobody"] == 0


@pytest.mark.skipif(not PROC.is_dir(), reason="needs /proc")
def test_resident_memory_of_this_process() -> None:
    """It is some megabytes, and nobody has none."""
    found = resident_bytes({"me": [os.getpid()], "nobody": [2**22 + 1]})
    assert 1_000_000 < found["me"] < 10_000_000_000
    assert found["nobody"] == 0

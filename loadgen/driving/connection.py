"""A keep-alive HTTP/1.1 connection that costs next to nothing: requests are ready bytes, of answers only the status
is read.
"""

import asyncio
from collections.abc import Callable
from typing import cast

_END = b"\r\n\r\n"


class BadAnswerError(Exception):
    """The server answered what this client does not read."""


def request_bytes(path: str, host: str, headers: dict[str, str], body: bytes) -> bytes:
    """A POST as it goes over the wire."""
    lines = [f"POST {path} HTTP/1.1", f"host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body


def read_answer(received: bytes) -> tuple[int, int] | None:
    """Status and length of a complete answer at the beginning of `received`, or None if more must come.

    Raises BadAnswerError for a chunked one.
    """
    end = received.find(_END)
    if end < 0:
        return None
    head = received[:end].lower()
    if b"transfer-encoding" in head:
        raise BadAnswerError("a chunked answer")
    at = head.find(b"\r\ncontent-length:")
    length = 0 if at < 0 else int(head[at + 17 :].split(b"\r\n", 1)[0])
    whole = end + len(_END) + length
    return (int(received[9:12]), whole) if len(received) >= whole else None


class Connection(asyncio.Protocol):
    """One request at a time. answered: told the status. lost: told when the server has closed it."""

    def __init__(self, answered: Callable[["Connection", int], None], lost: Callable[["Connection"], None]) -> None:
        self._answered = answered
        self._lost = lost
        self._transport: asyncio.WriteTransport | None = None
        self._received = b""

    def send(self, request: bytes) -> None:
        """Send; `answered` or `lost` follows."""
        assert self._transport is not None  # noqa: S101  set when connected
        self._transport.write(request)

    def close(self) -> None:
        """Close it; nobody is told."""
        self._lost = lambda _: None
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's own class derives from nothing

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._received += data
        answer = read_answer(self._received)
        if answer is not None:
            status, length = answer
            self._received = self._received[length:]
            self._answered(self, status)

    def connection_lost(self, _error: Exception | None) -> None:
        """See asyncio."""
        self._lost(self)

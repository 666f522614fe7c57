"""uvicorn, as streams need it.

It waits for open connections when it stops: the streams, which never end by themselves, end before. And it closes a
connection only when all was read that it has written, which somebody who does not read could put off for ever.
"""

import asyncio
import socket
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from console.streams import Streams

LINGER = 5.0
"""Seconds for which a connection that is closed waits for who is at the other end to read what was written."""


class _Transport:
    """A transport that is closed within LINGER seconds, come what may; all else is the real one's."""

    def __init__(self, real: asyncio.Transport) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def close(self) -> None:
        """Close it."""
        self._real.close()
        if self._real.get_write_buffer_size():
            asyncio.get_running_loop().call_later(LINGER, self._real.abort)


class ClosingProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # chosen when uvicorn is imported
    """HTTP for everybody, also for those who do not read."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Take a connection."""
        super().connection_made(cast("asyncio.Transport", _Transport(transport)))


class StreamingServer(uvicorn.Server):
    """A server of an app with streams. Its configuration must not be loaded before."""

    def __init__(self, config: uvicorn.Config, streams: Streams) -> None:
        config.http = ClosingProtocol
        super().__init__(config)
        self._streams = streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop gracefully."""
        await self._streams.close()
        await super().shutdown(sockets)

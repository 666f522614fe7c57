"""uvicorn, which waits for open connections when it stops: the streams, which never end by themselves, end before."""

import socket

import uvicorn

from console.streams import Streams


class StreamingServer(uvicorn.Server):
    """A server of an app with streams."""

    def __init__(self, config: uvicorn.Config, streams: Streams) -> None:
        super().__init__(config)
        self._streams = streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop gracefully."""
        await self._streams.close()
        await super().shutdown(sockets)

"""Plays a stream: each request is signed when it is sent, and goes out at its planned time, whatever the answers."""

import gc
import time
from urllib.parse import urlsplit

from loadgen.driving.background import Background
from loadgen.driving.connection import request_bytes
from loadgen.driving.driver import Driver, Sent
from loadgen.streams.desk import LoadDesk
from loadgen.streams.stream import Stream
from loadgen.wire import headers_of


class Sender:
    """start, then look at `sent`; `end` gives up what is not answered.

    began: Unix time of the beginning, 0 before.
    """

    def __init__(self, url: str, stream: Stream, desk: LoadDesk, speed: float | None) -> None:
        """speed: of the stream's own; None sends as fast as the answers come. Raises KeyError for another desk's."""
        self.began = 0.0
        self._requests = stream.requests
        self._host = urlsplit(url).netloc
        self._channels = {channel.key: channel for channel in desk.channels}
        for request in stream.requests:
            _ = self._channels[request.channel]
        due = None if speed is None else [request.at / speed for request in stream.requests]
        self.due = due
        # Each request is a chat of its own: nobody waits for an answer before he writes again.
        self._driver = Driver(url, range(len(stream.requests)), due, self._content)
        self._background = Background("sender", self._run)

    @property
    def sent(self) -> Sent:
        """What became of the requests so far."""
        return self._driver.sent

    @property
    def done(self) -> bool:
        """Whether all was answered, or given up."""
        return self._background.done

    @property
    def failure(self) -> BaseException | None:
        """Why it broke off, if it did."""
        return self._background.failure

    def start(self) -> None:
        """Begin; `began` is set when the connections are open."""
        # What is held for long is no work for the collector while times are measured.
        gc.collect()
        gc.freeze()
        self._background.start()

    def end(self, seconds: float = 5.0) -> None:
        """Send nothing more, and wait for no answer."""
        self._background.soon(self._driver.give_up)
        self._background.join(seconds)
        gc.unfreeze()

    async def _run(self) -> None:
        await self._driver.open()
        self.began = time.time()
        await self._driver.run()

    def _content(self, number: int) -> bytes:
        request = self._requests[number]
        channel = self._channels[request.channel]
        headers = headers_of(channel, request.delivery, request.body, time.time())
        return request_bytes(f"/webhooks/{request.channel}", self._host, dict(headers), request.body)

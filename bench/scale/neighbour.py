"""Somebody who writes besides the stream, at a rate of his own, over a custom channel."""

import http.client
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

from bench.rounds import RoundError
from loadgen.people import Person, new_person
from loadgen.wire import webhook
from loadgen.world import Act, Writing
from tracker.channels import Channel

HOT_CODE = "hot-"
"""With which the codes of these people begin: bench/sides/desk.sql leaves their chats out of the stream's."""


def person(number: int) -> Person:
    """One of those who write besides the stream."""
    return replace(new_person(random.Random(number), ("any",)), code=f"{HOT_CODE}{number}")


class Neighbour:
    """Writes messages one after the other. writer: who writes the n-th one."""

    def __init__(self, url: str, channel: Channel, writer: Callable[[int], Person]) -> None:
        split = urlsplit(url)
        self._host, self._port = split.hostname or "", split.port or 80
        self._channel = channel
        self._writer = writer
        self._failure = ""
        self.written = 0
        """Messages that were answered 200."""

    def write(self) -> None:
        """Write one message over a connection of its own. Raises RoundError if it is not accepted."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=30)
        try:
            self._write(connection)
        finally:
            connection.close()

    @contextmanager
    def writing(self, rate: float) -> Iterator[None]:
        """While the context lasts, write so many messages a second. Raises RoundError at its end if one failed."""
        stop = threading.Event()
        thread = threading.Thread(target=self._go_on, args=(rate, stop), name="neighbour", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        if self._failure:
            raise RoundError(f"besides the stream: {self._failure}")

    def _go_on(self, rate: float, stop: threading.Event) -> None:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=30)
        due = time.monotonic()
        try:
            while not stop.wait(max(0.0, due - time.monotonic())):
                self._write(connection)
                due += 1 / rate
        except (RoundError, OSError, http.client.HTTPException) as error:
            self._failure = str(error)
        finally:
            connection.close()

    def _write(self, connection: http.client.HTTPConnection) -> None:
        writer = self._writer(self.written)
        said = Writing(self._channel.key, 10**9 + self.written, writer, Act.WRITE, "And one more thing, please")
        now = time.time()
        made = webhook(self._channel, said, now, now)
        connection.request("POST", made.path, made.body, dict(made.headers))
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RoundError(f"a message was answered {answer.status}")
        self.written += 1

"""Publishing: what was committed goes to the task queue of the first step, by a thread of its own."""

import math
import queue
import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

Pending = list[tuple[int, str]]
"""Inbox ids and normalised messages, as JSON."""

CARRIED_LIMIT = 16 * 1024
"""Characters of a message up to which it travels with its task; the steps read larger ones from the inbox."""

Send = Callable[[list[object]], bool]
"""Publish one task with these items; returns whether the broker took it. Must not raise."""


class Publisher:
    """Publishes hints outside the event loop. A full queue or a failed publish drops them: the sweeper is there."""

    def __init__(self, send: Send, limit: int = 500, depth: int = 1000, distance: float = 0.0) -> None:
        """limit: messages of one task. depth: commits that may wait. distance: seconds between two tasks at least."""
        self._send = send
        self._distance = distance
        self._limit = limit
        self._queue: queue.Queue[Pending | None] = queue.Queue(depth)
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self.dropped = 0

    def start(self) -> None:
        """Begin to publish."""
        self._thread.start()

    def close(self) -> None:
        """Publish what waits, then end."""
        try:
            self._queue.put(None, timeout=1)
        except queue.Full:
            return
        self._thread.join(timeout=5)

    def publish(self, pending: Pending) -> None:
        """Hand over what one commit accepted; never blocks and never raises."""
        try:
            self._queue.put_nowait(pending)
        except queue.Full:
            self.dropped += len(pending)

    def _run(self) -> None:
        published_at = -math.inf
        while (first := self._queue.get()) is not None:
            batch = list(first)
            time.sleep(max(0.0, published_at + self._distance - time.monotonic()))
            closing = self._gather(batch)
            published_at = time.monotonic()
            if not self._send([_carried(item) for item in batch]):
                self.dropped += len(batch)
            if closing:
                return

    def _gather(self, batch: Pending) -> bool:
        """Add what waits, up to the limit; returns whether nothing more will come."""
        while len(batch) < self._limit:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                return False
            if following is None:
                return True
            batch += following
        return False


def _carried(item: tuple[int, str]) -> object:
    inbox_id, message = item
    return [inbox_id, message] if len(message) <= CARRIED_LIMIT else inbox_id

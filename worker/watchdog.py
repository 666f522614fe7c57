"""The watchdog: a worker that lives but consumes nothing is ended, so that its supervisor starts another.

After some broken connections a Celery worker on Redis can stay connected and never take a task again. Liveness is
therefore measured by what is consumed, not by answering a ping.
"""

import os
import signal
import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)


class Watchdog:
    """Ends the process when tasks are queued and none was consumed for `patience` seconds."""

    def __init__(
        self,
        waiting: Callable[[], bool],
        patience: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        end: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGKILL),
    ) -> None:
        """waiting: whether tasks are queued; false also if nobody knows. end: SIGKILL, which loses nothing."""
        self._waiting = waiting
        self._patience = patience
        self._clock = clock
        self._end = end
        self._consumed_at = clock()

    def consumed(self) -> None:
        """A task was consumed."""
        self._consumed_at = self._clock()

    def start(self) -> None:
        """Watch from a thread of its own until the process ends."""
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def look(self) -> None:
        """Look once. As long as nothing is queued, there is nothing to consume."""
        if not self._waiting():
            self.consumed()
        elif self._clock() - self._consumed_at > self._patience:
            log.error("worker_consumes_nothing", seconds=self._patience)
            self._end()

    def _run(self) -> None:
        while True:
            began = self._clock()
            time.sleep(self._patience / 10)
            if self._clock() - began > self._patience / 2:
                self.consumed()  # the whole process was stopped, and has had no time to consume anything
            self.look()

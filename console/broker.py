"""The broker, as far as the API uses it: to hint and to look at, never to wait for.

A broker that is away costs each try a connection's time-out of seconds. An operator's act is committed by then, and
the sweeper makes up for the hint.
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import structlog

from config.topology import Step

log = structlog.get_logger(__name__)

PATIENCE = 1.0
"""Seconds for which a look at the task queues is waited for."""


class Broker:
    """One thread publishes, one reads. Hints of acts are empty, so those of one step that wait are one."""

    def __init__(self, publish: Callable[[Step], object], depths: Callable[[], Mapping[str, int]]) -> None:
        self._publish = publish
        self._read = depths
        self._publisher = ThreadPoolExecutor(1, "act-hints")
        self._reader = ThreadPoolExecutor(1, "task-queue-depths")
        self._lock = threading.Lock()
        self._waiting: set[Step] = set()
        self._reading: Future[Mapping[str, int]] | None = None

    def hint(self, step: Step) -> None:
        """Hint that `step` has something to do; returns at once."""
        with self._lock:
            if step in self._waiting:
                return
            self._waiting.add(step)
        self._publisher.submit(self._publish_one, step)

    def depths(self) -> Mapping[str, int]:
        """Messages in the task queues; nothing if the broker does not answer within PATIENCE."""
        with self._lock:
            if self._reading is None or self._reading.done():
                self._reading = self._reader.submit(self._read)
            reading = self._reading
        try:
            return reading.result(PATIENCE)
        except TimeoutError:
            return {}

    def _publish_one(self, step: Step) -> None:
        with self._lock:
            self._waiting.discard(step)
        try:
            self._publish(step)
        except Exception:
            log.exception("hint_failed", step=step.value)

"""Hints: task messages that say that a step has something to do. They may be lost at any moment."""

import time
from collections.abc import Sequence
from typing import Any

import structlog
from amqp.exceptions import ChannelError, NotFound
from celery import Celery

from config.topology import Step
from worker.rabbitmq import impatient

log = structlog.get_logger(__name__)

_PAUSE_AFTER_FAILURE = 1.0
"""Seconds for which nothing is published once the broker was away: each try would cost a connection's time-out."""


class Hints:
    """Publishes hints over connections of the app's pool. Never raises: the sweeper is there."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._away_until = 0.0

    def publish(self, step: Step, items: Sequence[Any] = (), tries: int = 0) -> bool:
        """Hint that `step` has these items to do, or, without items, whatever has waited longest.

        Returns whether the broker took it.
        """
        if time.monotonic() < self._away_until:
            return False
        try:
            with self._app.producer_pool.acquire(block=True) as producer, impatient(producer.connection):
                # argsrepr: otherwise Celery writes what customers said a second time, into the headers.
                self._app.send_task(
                    step.value, (list(items), tries), queue=step.value, retry=False, producer=producer, argsrepr=""
                )
        except Exception as error:  # noqa: BLE001  transports raise their own errors; after a commit none matters
            self._away_until = time.monotonic() + _PAUSE_AFTER_FAILURE
            log.warning("hint_not_published", step=step.value, error=error)
            return False
        return True

    def publish_if_idle(self, step: Step) -> bool:
        """Hint what has waited longest, unless tasks of this step are queued already."""
        depth = self.depths([step]).get(step)
        return depth == 0 and self.publish(step)

    def depths(self, steps: Sequence[Step]) -> dict[Step, int]:
        """Messages in the task queues; nothing if the broker is away."""
        try:
            with self._app.pool.acquire(block=True) as connection, impatient(connection):
                depth = _depth_on_rabbitmq if connection.transport.driver_type == "amqp" else _depth
                return {step: depth(connection, step.value) for step in steps}
        except Exception as error:  # noqa: BLE001  as above
            log.warning("task_queues_not_read", error=error)
            return {}


def _depth(connection: Any, queue: str) -> int:
    try:
        return int(connection.default_channel.queue_declare(queue=queue, passive=True).message_count)
    except ChannelError:  # an empty queue does not exist on Redis
        return 0


def _depth_on_rabbitmq(connection: Any, queue: str) -> int:
    # A queue that is not there, because nobody has begun to work, costs the channel on which it was asked for.
    with connection.channel() as channel:
        try:
            return int(channel.queue_declare(queue=queue, passive=True).message_count)
        except NotFound:
            return 0

"""Hints: task messages that say that a step has something to do. They may be lost at any moment."""

import math
import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any
from uuid import uuid4

import structlog
from amqp.exceptions import ChannelError, NotFound
from celery import Celery
from kombu.exceptions import ContentDisallowed, SerializationError

from config.topology import Step
from worker.rabbitmq import impatient, is_rabbitmq

log = structlog.get_logger(__name__)

CLOSELY = 0.1
"""Seconds between two hints of a step within which the second looks whether the first is still queued."""

_PAUSE_AFTER_FAILURE = 1.0
"""Seconds for which nothing is published once the broker was away: each try would cost a connection's time-out."""


class Hints:
    """Publishes hints over connections of the app's pool. Never raises: the sweeper is there."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._away_until = 0.0
        self._told_at: dict[Step, float] = {}

    @cached_property
    def _on_rabbitmq(self) -> bool:
        """There nobody asks what is queued: it costs more than another task."""
        return is_rabbitmq(self._app.conf.broker_url or "")

    def publish(self, step: Step, items: Sequence[Any] = (), tries: int = 0) -> bool:
        """Hint that `step` has these items to do, or, without items, whatever has waited longest.

        Returns whether the broker took it.
        """
        if time.monotonic() < self._away_until:
            return False
        try:
            with self._app.producer_pool.acquire(block=True) as producer, impatient(producer.connection):
                self._send(producer, step, (list(items), tries))
        except Exception as error:  # noqa: BLE001  transports raise their own errors; after a commit none matters
            self._away_until = time.monotonic() + _PAUSE_AFTER_FAILURE
            log.warning("hint_not_published", step=step.value, error=error)
            return False
        return True

    def _send(self, producer: Any, step: Step, arguments: tuple[Any, ...]) -> None:
        """As `Celery.send_task` does it, without its routing: that costs as much as all the rest."""
        amqp = self._app.amqp
        # argsrepr: otherwise Celery writes what customers said a second time, into the headers.
        message = amqp.create_task_message(str(uuid4()), step.value, arguments, {}, argsrepr="", kwargsrepr="")
        # A quorum queue that nobody consumes yet has to be declared. On Redis whatever is pushed makes its queue.
        declare = None if self._on_rabbitmq else ()
        amqp.send_task_message(producer, step.value, message, queue=step.value, retry=False, declare=declare)

    def publish_if_idle(self, step: Step) -> bool:
        """Hint what has waited longest, unless tasks of this step are queued already."""
        depth = self.depths([step]).get(step)
        return depth == 0 and self.publish(step)

    def publish_news(self, step: Step, items: Sequence[int]) -> bool:
        """Hint that `step` has these items to do since a moment ago.

        Where tasks follow each other closely, one that is queued already is enough: it begins after this, takes what
        waits, and hints what it has to leave. So the busier the workers are, the fewer and fuller their tasks.
        """
        now = time.monotonic()
        if now - self._told_at.get(step, -math.inf) < CLOSELY and self._is_queued(step):
            return False
        self._told_at[step] = now
        return self.publish(step, items)

    def _is_queued(self, step: Step) -> bool:
        """Whether a task of this step waits for a worker; false if nobody knows, and where nobody asks."""
        if self._on_rabbitmq or time.monotonic() < self._away_until:
            return False
        depths = self.depths([step])
        if not depths:
            self._away_until = time.monotonic() + _PAUSE_AFTER_FAILURE
        return bool(depths.get(step))

    def take_queued(self, step: Step, most: int) -> list[list[Any]]:
        """Take tasks of this step from their queue until they name `most` items, the last one whole.

        Returns the items of each; it is not run on its own any more. On RabbitMQ nothing is taken.
        """
        taken: list[list[Any]] = []
        if self._on_rabbitmq or time.monotonic() < self._away_until:
            return taken
        try:
            with self._app.pool.acquire(block=True) as connection, impatient(connection):
                queue = self._app.amqp.queues[step.value].bind(connection.default_channel)
                while len(taken) < most and sum(map(len, taken)) < most:
                    if (items := _next_items(queue)) is None:
                        break
                    taken.append(items)
        except Exception as error:  # noqa: BLE001  as above
            self._away_until = time.monotonic() + _PAUSE_AFTER_FAILURE
            log.warning("queued_tasks_not_taken", step=step.value, error=error)
        return taken

    def depths(self, steps: Sequence[Step]) -> dict[Step, int]:
        """Messages in the task queues; nothing if the broker is away."""
        try:
            with self._app.pool.acquire(block=True) as connection, impatient(connection):
                depth = _DEPTHS.get(connection.transport.driver_type, _depth)
                return {step: depth(connection, step.value) for step in steps}
        except Exception as error:  # noqa: BLE001  as above
            log.warning("task_queues_not_read", error=error)
            return {}


def is_item(value: object) -> bool:
    """Whether it is what a task may name: an inbox id, or `[inbox id, normalised message as JSON]`."""
    if isinstance(value, list):
        return len(value) == 2 and _is_id(value[0]) and isinstance(value[1], str)
    return _is_id(value)


def _is_id(value: object) -> bool:
    return type(value) is int and 0 < value < 2**63


def _next_items(queue: Any) -> list[Any] | None:
    """What the next task of a queue names; None if there is none. Raises the transport's errors.

    A task that is none of ours names nothing: it must not harm those that are taken with it.
    """
    try:
        message = queue.get(accept=["json"])
        if message is None:
            return None
        items = message.decode()[0][0]
    except (ValueError, TypeError, LookupError, SerializationError, ContentDisallowed) as error:
        log.warning("queued_task_unreadable", error=error)
        return []
    if isinstance(items, list) and all(map(is_item, items)):
        return items
    log.warning("queued_task_unreadable", error="it names no items")
    return []


def _depth(connection: Any, queue: str) -> int:
    try:
        return int(connection.default_channel.queue_declare(queue=queue, passive=True).message_count)
    except ChannelError:  # an empty queue does not exist there
        return 0


def _depth_on_redis(connection: Any, queue: str) -> int:
    with connection.default_channel.conn_or_acquire() as client:
        return int(client.llen(queue))  # there is but one priority


def _depth_on_rabbitmq(connection: Any, queue: str) -> int:
    # A queue that is not there, because nobody has begun to work, costs the channel on which it was asked for.
    with connection.channel() as channel:
        try:
            return int(channel.queue_declare(queue=queue, passive=True).message_count)
        except NotFound:
            return 0


_DEPTHS = {"redis": _depth_on_redis, "amqp": _depth_on_rabbitmq}

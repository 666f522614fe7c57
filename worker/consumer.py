"""Celery's consumer, without what hints do not need."""

from celery.worker.consumer import Consumer


class HintConsumer(Consumer):  # type: ignore[misc]  # celery has no types
    """On quorum queues Celery would declare 28 more of them for delays, which nobody uses: delays are rows."""

    class Blueprint(Consumer.Blueprint):  # type: ignore[misc]
        """The steps of its start."""

        default_steps = tuple(step for step in Consumer.Blueprint.default_steps if "delayed_delivery" not in step)

"""Celery's consumer and its requests, without what hints do not need."""

from celery.worker.consumer import Consumer
from celery.worker.request import Request


class HintConsumer(Consumer):  # type: ignore[misc]  # celery has no types
    """On quorum queues Celery would declare 28 more of them for delays, which nobody uses: delays are rows."""

    class Blueprint(Consumer.Blueprint):  # type: ignore[misc]
        """The steps of its start."""

        default_steps = tuple(step for step in Consumer.Blueprint.default_steps if "delayed_delivery" not in step)


class UnkeptRequest(Request):  # type: ignore[misc]  # celery has no types
    """Of a task queue without acknowledgements: nothing was kept that would have to be taken back."""

    def acknowledge(self) -> None:
        """Nothing to do."""
        self.acknowledged = True

    def reject(self, requeue: bool = False) -> None:  # noqa: ARG002  Celery's signature
        """Nothing to do."""
        self.acknowledged = True

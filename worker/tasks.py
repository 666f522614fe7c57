"""The Celery tasks: decode, call, done. What all have in common lives in `StepTask`."""

from collections.abc import Callable, Sequence
from typing import Any

import structlog
from celery import Celery, Task

from config.topology import Step
from worker.runner import StepRunner

log = structlog.get_logger(__name__)

CarriedItem = list[Any]
"""`[inbox id, normalised message as JSON]`, as the webhook process publishes it to the first step."""


class StepTask(Task):  # type: ignore[misc]  # celery has no types
    """A step as a task. Binds the step to the log, and lets no error out: an unhandled one would be acked."""

    def __init__(self, step: Step, work: Callable[[Sequence[Any], int], None]) -> None:
        self.name = step.value
        self._step = step
        self._work = work

    def run(self, items: Sequence[Any] = (), tries: int = 0) -> None:
        """items: inbox ids, or CarriedItems; none asks for what has waited longest."""
        with structlog.contextvars.bound_contextvars(step=self._step.value, attempt=tries + 1, named=len(items)):
            try:
                self._work(items, tries)
            except Exception:
                # The items stand where they stood, and the sweeper will hint them again.
                log.exception("task_failed")


def run_items(runner: StepRunner) -> Callable[[Sequence[Any], int], None]:
    """Decode the items of a hint for an inbox step."""

    def work(items: Sequence[Any], tries: int) -> None:
        carried = {item[0]: item[1] for item in items if isinstance(item, list)}
        runner.run([item[0] if isinstance(item, list) else item for item in items], carried, tries)

    return work


def register(app: Celery, step: Step, work: Callable[[Sequence[Any], int], None]) -> None:
    """Make a step a task of the app."""
    app.register_task(StepTask(step, work))

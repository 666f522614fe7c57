"""The Celery tasks: decode, call, done. What all have in common lives in `StepTask`."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import structlog
from celery import Celery, Task

from config.topology import Step
from worker.hints import is_item
from worker.runner import StepRunner

log = structlog.get_logger(__name__)

Work = Callable[[Sequence[Any], int], None]
"""What a task does with its items, and how often it was tried."""

Others = Callable[[int], Sequence[Sequence[Any]]]
"""Takes other tasks of the step from its queue: the items of each. Told how many items there are already."""


class StepTask(Task):  # type: ignore[misc]  # celery has no types
    """A step as a task. Binds the step to the log, and lets no error out: nobody would see to it."""

    def __init__(self, step: Step, work: Work, consumed: Callable[[], None]) -> None:
        self.name = step.value
        self._step = step
        self._work = work
        self._consumed = consumed

    def run(self, items: Sequence[Any] = (), tries: int = 0) -> None:
        """items: see `worker.hints.is_item`; none asks for what has waited longest."""
        with structlog.contextvars.bound_contextvars(step=self._step.value, attempt=tries + 1, named=len(items)):
            self._consumed()
            try:
                self._work(items, tries)
            except Exception:
                # The items stand where they stood, and the sweeper will hint them again.
                log.exception("task_failed")
            self._consumed()


def run_items(runner: StepRunner, others: Others = lambda _: ()) -> Work:
    """Decode the items of a task of the inbox, and of those that it takes along."""

    def work(items: Sequence[Any], tries: int) -> None:
        if not all(map(is_item, items)):
            raise ValueError("a task names inbox ids, or pairs of an inbox id and a message")
        together = [*items, *chain.from_iterable(others(len(items)))]
        structlog.contextvars.bind_contextvars(named=len(together))
        carried = {item[0]: item[1] for item in together if isinstance(item, list)}
        runner.run([item[0] if isinstance(item, list) else item for item in together], carried, tries)

    return work


def register(app: Celery, step: Step, work: Work, consumed: Callable[[], None]) -> None:
    """Make a step a task of the app. consumed: told before and after each run."""
    task = StepTask(step, work, consumed)
    if app.amqp.queues[step.value].no_ack:
        task.Request = "worker.consumer:UnkeptRequest"
    app.register_task(task)

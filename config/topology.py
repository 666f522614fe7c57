"""The names of the pipeline's steps, which are also the names of their Celery tasks and task queues.

One vocabulary serves the database (`stage`), the broker (task and queue names), the logs and the metrics,
so that a name seen in one of them can be searched for in all others.
"""

from collections.abc import Mapping
from enum import StrEnum


class Step(StrEnum):
    """A step of the pipeline; each is one Celery task on the task queue of the same name."""

    CRM_LOOKUP = "crm_lookup"
    BIND_CHAT = "bind_chat"
    ENSURE_CARD = "ensure_card"
    DISTRIBUTE = "distribute"
    RESPOND = "respond"
    DELIVER = "deliver"


INBOX_STEPS: tuple[Step, ...] = (
    Step.CRM_LOOKUP,
    Step.BIND_CHAT,
    Step.ENSURE_CARD,
    Step.DISTRIBUTE,
    Step.RESPOND,
)
"""The steps through which an inbox item goes, in order; DELIVER works on the outbox instead."""

TASK_QUEUES: tuple[str, ...] = tuple(step.value for step in Step)


class WorkerRole(StrEnum):
    """Which task queues a worker consumes. Delivery waits for other people's servers, the inbox does not."""

    ALL = "all"
    INBOX = "inbox"
    DELIVERY = "delivery"


STEPS_OF_ROLE: Mapping[WorkerRole, tuple[Step, ...]] = {
    WorkerRole.ALL: tuple(Step),
    WorkerRole.INBOX: INBOX_STEPS,
    WorkerRole.DELIVERY: (Step.DELIVER,),
}


def steps_after(step: Step) -> tuple[Step, ...]:
    """The steps that come later for an inbox item, in order. It goes through those that have something to do for it."""
    return INBOX_STEPS[INBOX_STEPS.index(step) + 1 :]

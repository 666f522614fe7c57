"""A worker process: its sessions, its runners, and the Celery worker around them."""

import os
import socket
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4

import structlog
from celery import Celery
from celery.apps.worker import Worker
from celery.platforms import SecurityWarning

from config.topology import INBOX_STEPS, STEPS_OF_ROLE, Step, WorkerRole
from crm_store.database import DatabaseOptions, Session
from crm_store.secrets import SecretBox
from worker.consumer import HintConsumer
from worker.delivery import Delivery
from worker.handlers import BESIDES, HANDLERS
from worker.hints import Hints
from worker.runner import Handler, Limits, StepRunner, Workplace, nothing_besides
from worker.tasks import Work, register, run_items
from worker.watchdog import Watchdog

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DeliveryOptions:
    """Seconds for one call of a channel's API, and from a delivery's first try to giving up."""

    timeout: float = 8.0
    retry_for: float = 3600.0


def run_worker(
    app: Celery,
    database: DatabaseOptions,
    box: SecretBox,
    limits: Limits,
    delivery_options: DeliveryOptions,
    handlers: Mapping[Step, Handler] = HANDLERS,
    role: WorkerRole = WorkerRole.ALL,
) -> int:
    """Work in this process until SIGTERM; returns the exit code.

    One solo worker per core: a pool of children costs a sixth to a quarter of the throughput, and gives time
    limits that the steps do not need, because PostgreSQL limits their statements and their idle transactions.
    """
    name = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
    structlog.contextvars.bind_contextvars(worker=name)
    # Celery warns root because of pickle; this app reads JSON alone.
    warnings.simplefilter("ignore", SecurityWarning)
    hints = Hints(app)
    session, witness = Session(database), Session(database, asynchronous_commit=True)
    delivery = Delivery(session, box, hints, name, delivery_options.timeout, delivery_options.retry_for)
    watched = Hints(app)  # for the watchdog's thread
    steps = STEPS_OF_ROLE[role]
    watchdog = Watchdog(lambda: any(watched.depths(steps).values()))
    workplace = Workplace(name, session, witness, hints, limits)
    for step, handler in handlers.items():
        runner = StepRunner(step, handler, workplace, BESIDES.get(step, nothing_besides))
        register(app, step, _work(step, runner, hints, limits), watchdog.consumed)
    register(app, Step.DELIVER, delivery.run, watchdog.consumed)
    app.finalize()
    log.info("worker_started")
    worker = Worker(
        app=app,
        hostname=f"openchannel@{name}",
        pool_cls="solo",
        consumer_cls=HintConsumer,
        concurrency=1,
        queues=[step.value for step in steps],
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    watchdog.start()
    try:
        worker.start()
    finally:
        session.close()
        witness.close()
    return int(worker.exitcode or 0)


def _work(step: Step, runner: StepRunner, hints: Hints, limits: Limits) -> Work:
    """Tasks of the first step, each of which carries messages, take others along. Behind it one is queued at a time."""
    if step is not INBOX_STEPS[0]:
        return run_items(runner)
    return run_items(runner, lambda n_items: hints.take_queued(step, limits.batch - n_items))

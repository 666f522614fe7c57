"""The worker process."""

from typing import Annotated

import typer

from cli.composition import broker_url, database_options, database_url, process_settings, secret_box
from config.topology import WorkerRole
from worker.app import make_app
from worker.process import DeliveryOptions, run_worker
from worker.runner import Limits


def worker_command(
    role: Annotated[WorkerRole, typer.Option(help="Which task queues it consumes.")] = WorkerRole.ALL,
) -> None:
    """Work until SIGTERM."""
    settings = process_settings("worker", database_url, broker_url, secret_box)
    exit_code = run_worker(
        make_app(broker_url(settings), settings.broker.visibility_timeout),
        database_options(settings, "worker", by_index=True),
        secret_box(settings),
        Limits(settings.worker.batch_limit, settings.worker.retry_for),
        DeliveryOptions(settings.worker.delivery_timeout, settings.worker.delivery_retry_for),
        role=role,
    )
    raise typer.Exit(exit_code)

"""A worker of which one step fails with everything, as a bad release would, for as long as a file is there."""

from collections.abc import Sequence
from pathlib import Path

from cli.composition import broker_url, database_options, process_settings, secret_box
from config.topology import Step
from crm_store.database import Connection
from crm_store.inbox import ClaimedItem
from worker.app import make_app
from worker.handlers import HANDLERS
from worker.process import DeliveryOptions, run_worker
from worker.runner import Carried, Limits, Outcome

BROKEN = "broken"
"""Name of the file, in the data folder."""

RETRY_FOR = 5.0


if __name__ == "__main__":
    settings = process_settings("worker")
    broken: Path = settings.data_dir / BROKEN

    def bind_or_fail(connection: Connection, items: Sequence[ClaimedItem], carried: Carried) -> Outcome:
        """The whole step is broken, not its items."""
        if broken.exists():
            raise LookupError("a bad release")
        return HANDLERS[Step.BIND_CHAT](connection, items, carried)

    run_worker(
        make_app(broker_url(settings), settings.broker.visibility_timeout),
        database_options(settings, "worker"),
        secret_box(settings),
        Limits(retry_for=RETRY_FOR),
        DeliveryOptions(),
        {**HANDLERS, Step.BIND_CHAT: bind_or_fail},
    )

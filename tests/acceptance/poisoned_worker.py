"""A worker that a certain message kills, as a defect in C code or the OOM killer would."""

import os
import signal
from collections.abc import Sequence

from cli.composition import broker_url, database_options, process_settings, secret_box
from config.topology import Step
from crm_store.database import Connection
from crm_store.inbox import ClaimedItem
from worker.app import make_app
from worker.handlers import HANDLERS
from worker.messages import read_texts
from worker.process import DeliveryOptions, run_worker
from worker.runner import Carried, Limits, Outcome

POISON = "poison that kills"


def bind_or_die(connection: Connection, items: Sequence[ClaimedItem], carried: Carried) -> Outcome:
    """Half of the batch's work is done when the poison kills the process."""
    outcome = HANDLERS[Step.BIND_CHAT](connection, items, carried)
    if any(POISON in said.text for said in read_texts(connection, items, {}).values()):
        os.kill(os.getpid(), signal.SIGKILL)
    return outcome


if __name__ == "__main__":
    settings = process_settings("worker")
    run_worker(
        make_app(broker_url(settings), settings.broker.visibility_timeout),
        database_options(settings, "worker"),
        secret_box(settings),
        Limits(),
        DeliveryOptions(),
        {**HANDLERS, Step.BIND_CHAT: bind_or_die},
    )

"""Workers that do what poisoned messages say: raise, or die, as by a defect of ours or of C code."""

import os
import signal
from collections.abc import Collection, Sequence
from typing import cast

from chaos.poison import KILLS, RAISES
from config.topology import Step
from crm_store import inbox
from crm_store.database import Connection
from crm_store.inbox import ClaimedItem
from worker.handlers import HANDLERS
from worker.runner import Carried, Handler, Outcome


class PoisonError(Exception):
    """What a poisoned message raises."""

    reason = "poison"


def install() -> None:
    """From now on workers of this process do in bind_chat what poisoned messages say."""
    handlers = cast("dict[Step, Handler]", HANDLERS)
    handlers[Step.BIND_CHAT] = poisoned(handlers[Step.BIND_CHAT])


def poisoned(handler: Handler) -> Handler:
    """The step's work, with all of it done and nothing committed when the poison acts."""

    def work(connection: Connection, items: Sequence[ClaimedItem], carried: Carried) -> Outcome:
        outcome = handler(connection, items, carried)
        messages = inbox.read_messages(connection, [item.inbox_id for item in items], {}).values()
        _act(messages)
        return outcome

    return work


def _act(messages: Collection[str]) -> None:
    if any(KILLS in message for message in messages):
        os.kill(os.getpid(), signal.SIGKILL)
    if any(RAISES in message for message in messages):
        raise PoisonError("as it was planted")

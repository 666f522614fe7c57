"""The verdict: whether everything has come to rest, and whether what is there is what it must be."""

from collections.abc import Sequence

from chaos.channel_api import ChannelApi
from chaos.checks import histories, inbox
from chaos.checks.seen import read, rows_of, snapshot
from chaos.people import Act
from chaos.record import Record

_WAITS = {
    "items of the inbox are pending": "SELECT count(*) FROM inbox_state WHERE stage < 'done'",
    "answers are not sent yet": "SELECT count(*) FROM outbox WHERE state = 'pending'",
    "receipts are not applied yet": "SELECT count(*) FROM receipts",
    "timers are due": "SELECT count(*) FROM timers WHERE due_at <= now()",
}


def drained(database_url: str) -> str:
    """What is still to be done, empty if nothing is: timers that are not due yet are no work.

    Raises DatabaseAwayError.
    """
    with snapshot(database_url) as connection:
        rows = rows_of(connection)
        waits = {what: rows(query)[0][0] for what, query in _WAITS.items()}
    return ", ".join(f"{n} {what}" for what, n in waits.items() if n)


def problems(database_url: str, record: Record, api: ChannelApi, acts: Sequence[Act] = ()) -> list[str]:
    """All that is not as it must be, each a sentence with ids; empty if it balances. Ask it when all is drained.

    record: of the load. api: the receiver of answers. acts: of the people. Raises DatabaseAwayError.
    """
    with snapshot(database_url) as connection:
        seen = read(connection)
    acknowledged = sum(act.acknowledged for act in acts)
    arrived = len(api.arrivals)
    return [
        *([] if arrived or not acknowledged else ["no answer has arrived"]),
        *inbox.ledger(seen),
        *inbox.accepted(seen, record),
        *inbox.dead(seen, record),
        *histories.once(seen, record),
        *histories.order(seen, record),
    ]

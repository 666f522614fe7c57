"""The verdict: whether everything has come to rest, and whether what is there is what it must be."""

from collections.abc import Sequence

from chaos.channel_api import ChannelApi
from chaos.checks import answers, automatic, cards, dialogs, histories, inbox
from chaos.checks.seen import read, rows_of, snapshot
from chaos.people import Act
from chaos.record import Record
from crm_store.database import Connection

LATEST = 30.0
"""Seconds after which a due timer counts as lost: the clocks have had time enough."""

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
        return drained_in(connection)


def drained_in(connection: Connection) -> str:
    """The same, in the snapshot that a connection has."""
    rows = rows_of(connection)
    waits = {what: rows(query)[0][0] for what, query in _WAITS.items()}
    return ", ".join(f"{n} {what}" for what, n in waits.items() if n)


def problems(database_url: str, record: Record, api: ChannelApi, acts: Sequence[Act] = ()) -> list[str]:
    """All that is not as it must be, each a sentence with ids; empty if it balances. Ask it when all is drained.

    record: of the load. api: the receiver of answers. acts: of the people. Raises DatabaseAwayError.
    """
    with snapshot(database_url) as connection:
        return problems_in(connection, record, api, acts)


def problems_in(connection: Connection, record: Record, api: ChannelApi, acts: Sequence[Act] = ()) -> list[str]:
    """The same, in the snapshot that a connection has."""
    seen, rows = read(connection), rows_of(connection)
    written = answers.read(rows)
    return [
        *inbox.ledger(seen),
        *inbox.accepted(seen, record),
        *inbox.dead(seen, record),
        *histories.once(seen, record),
        *histories.order(seen, record),
        *cards.broken(rows),
        *cards.as_the_oracle_says(seen, record),
        *dialogs.broken(rows),
        *dialogs.missing_clocks(rows),
        *dialogs.overdue(rows, LATEST),
        *automatic.undone(rows),
        *answers.without_message(rows),
        *answers.acknowledged(written, acts),
        *answers.done_once(acts, rows),
        *answers.sent(written, api),
        *answers.in_order(written, api),
    ]

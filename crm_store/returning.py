"""Dialogs that go back from an operator who has left (D11).

Lock order: operators (by the caller, who has made the operator unavailable), dialogs by id, timers, outbox.
"""

from collections.abc import Collection

from crm_store import dialogs, events, outbox, seats
from crm_store.database import Connection
from crm_store.dialogs import LockedDialog
from tracker.dialogs import DialogStatus, is_unanswered


def hand_back(
    connection: Connection,
    operator_id: int,
    actor: str,
    cause: str,
    *,
    everything: bool,
    open_channel_ids: Collection[int] | None = None,
) -> int:
    """Return dialogs of an operator to the backlogs, which are due then, as are those that can use his slots (D8).

    everything: all that he has (dismissed, off the roster); what is closing is over then. Otherwise what nobody has
    accepted or answered (end of day, leave), where availability counts at all. open_channel_ids: of these alone. cause:
    `workday_ended`, `on_leave`, `dismissed`, `off_roster`. Returns how many have returned.
    """
    held = dialogs.lock_held(connection, operator_id, open_channel_ids, only_checked=not everything)
    closing = [one for one in held if everything and one.status is DialogStatus.CLOSING]
    going = [one for one in held if one not in closing and (everything or _is_unanswered(one))]
    # First, because this makes the backlogs of several open channels due in their order.
    for place in sorted({one.open_channel_id for one in (*going, *closing)}):
        seats.free_slot(connection, operator_id, place)
    dialogs.queue(connection, going, actor, cause)
    close(connection, closing, actor, cause)
    return len(going)


def close(connection: Connection, closing: Collection[LockedDialog], actor: str, cause: str) -> None:
    """Locked dialogs are over; what could not be sent in them expires."""
    if not closing:
        return
    dialogs.close(connection, [one.id for one in closing])
    events.log(connection, [one.event(actor, cause, DialogStatus.CLOSED, one.operator_id) for one in closing])
    outbox.expire_held(connection, [one.id for one in closing])


def _is_unanswered(dialog: LockedDialog) -> bool:
    return is_unanswered(dialog.status, answered=dialog.answered_at is not None)

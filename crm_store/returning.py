"""Dialogs that go back from an operator who has left (D11).

Lock order: operators (by the caller, who has made the operator unavailable), dialogs by id, timers, outbox.
"""

from collections.abc import Collection

from crm_store import dialogs, events, outbox, seats
from crm_store.database import Connection
from crm_store.dialogs import LockedDialog
from crm_store.seats import Slot
from tracker.dialogs import UNANSWERED, DialogStatus


def hand_back(connection: Connection, operator_id: int, actor: str, cause: str, *, everything: bool) -> int:
    """Return dialogs of an operator to the backlogs, which are due then, as are those that can use his slots (D8).

    See `take_back`. Returns how many have returned.
    """
    taken, slots = take_back(connection, operator_id, actor, cause, everything=everything)
    if slots:
        seats.free_slots(connection, slots)
    return taken


def take_back(
    connection: Connection,
    operator_id: int,
    actor: str,
    cause: str,
    *,
    everything: bool,
    open_channel_ids: Collection[int] | None = None,
) -> tuple[int, list[Slot]]:
    """Return dialogs of an operator to the backlogs; how many, and the slots that the caller frees in the end.

    everything: all that he has (dismissed, off the roster); what is closing is over then. Otherwise what nobody has
    accepted or answered (end of day, leave), where availability counts at all. open_channel_ids: of these alone. cause:
    `workday_ended`, `on_leave`, `dismissed`, `off_roster`.
    """
    held = dialogs.lock_held(connection, operator_id, open_channel_ids, only_checked=not everything)
    closing = [one for one in held if everything and one.status is DialogStatus.CLOSING]
    going = [one for one in held if one not in closing and (everything or one.status in UNANSWERED)]
    dialogs.queue(connection, going, actor, cause)
    close(connection, closing, actor, cause)
    return len(going), sorted({(operator_id, one.open_channel_id) for one in (*going, *closing)})


def close(connection: Connection, closing: Collection[LockedDialog], actor: str, cause: str) -> None:
    """Locked dialogs are over; what could not be sent in them expires."""
    if not closing:
        return
    dialogs.close(connection, [one.id for one in closing])
    events.log(connection, [one.event(actor, cause, DialogStatus.CLOSED, one.operator_id) for one in closing])
    outbox.expire_held(connection, [one.id for one in closing])

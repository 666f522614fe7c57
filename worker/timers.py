"""Clocks of dialogs that have run out (D5, S2-S4), worked off by any number of clock processes, a part at a time.

Each open channel is a transaction of its own: one that fails holds up no other. What was read without a lock is looked
at again under the locks of its dialog, so each goes off once.

Lock order: chats by id, the open channel, operators, dialogs by id, timers, outbox.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby

import structlog

from config.topology import Step
from crm_store import chats, desks, dialogs, events, outbox, returning, seats, timers
from crm_store.database import Connection, Session
from crm_store.desks import LockedOpenChannel
from crm_store.dialogs import LockedDialog
from crm_store.errors import BusyError, DatabaseAwayError
from crm_store.timers import DueClock
from tracker.dialogs import Clock, DialogStatus
from worker.closing import say, wind_up
from worker.distribution import SYSTEM, Demand, HandOver, prepare, serve_each
from worker.senders import SENDABLE_KINDS

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 200
"""Clocks that are worked off between two looks; after an outage the rest waits for the next."""

DEFECT_PAUSE = 60.0
"""Seconds after which clocks are looked at again that could not be worked off."""


def work_off(session: Session) -> set[Step]:
    """Work off clocks that have run out, those first that came due first. Returns the steps that have work then.

    Raises DatabaseAwayError.
    """
    with session.transaction() as connection:
        due = timers.due_clocks(connection, MOST_AT_ONCE)
    steps: set[Step] = set()
    # What ends first frees slots for what is handed over.
    for (open_channel_id, _), group in groupby(sorted(due, key=_part), key=_part):
        steps |= _work_off(session, open_channel_id, list(group))
    return steps


def _part(due: DueClock) -> tuple[int, bool]:
    """What is worked off in one transaction."""
    return due.open_channel_id, due.clock is Clock.HANDOVER


def _work_off(session: Session, open_channel_id: int, due: Sequence[DueClock]) -> set[Step]:
    try:
        with session.transaction() as connection:
            return _go_off(connection, open_channel_id, due)
    except BusyError as error:
        log.warning("clocks_wait", open_channel=open_channel_id, error=error)
        return set()
    except DatabaseAwayError:
        raise
    except Exception:
        if len(due) > 1:  # which of them?
            middle = len(due) // 2
            return _work_off(session, open_channel_id, due[:middle]) | _work_off(session, open_channel_id, due[middle:])
        log.exception("clock_failed", clock=due[0].clock.value, dialog=due[0].dialog_id)
        with session.transaction() as connection:
            timers.postpone_clocks(connection, [due[0].dialog_id], DEFECT_PAUSE)
        return set()


def _go_off(connection: Connection, open_channel_id: int, due: Sequence[DueClock]) -> set[Step]:
    """All in one transaction. Chats that a step or an act has at the moment are left to the next look."""
    free = chats.lock_free(connection, {one.chat_id for one in due})
    due = [one for one in due if one.chat_id in free]
    locked = desks.lock_open_channels(connection, [open_channel_id]) if due else []
    if not locked:
        return set()
    if due[0].clock is Clock.HANDOVER:
        return _hand_over(connection, locked[0], due)
    known = dialogs.lock_some(connection, {one.dialog_id for one in due})
    by_clock = _gone_off(connection, due, known)
    steps = _mark_unanswered(connection, locked[0], by_clock[Clock.UNANSWERED])
    for dialog in by_clock[Clock.AUTO_CLOSE]:
        steps |= _auto_close(connection, locked[0], dialog)
    _end_closing(connection, by_clock[Clock.CLOSING])
    ended = (*by_clock[Clock.AUTO_CLOSE], *by_clock[Clock.CLOSING])
    slots = sorted({(one.operator_id, open_channel_id) for one in ended if one.operator_id is not None})
    if slots:
        seats.free_slots(connection, slots)
        steps.add(Step.DISTRIBUTE)
    return steps


def _gone_off(
    connection: Connection, due: Sequence[DueClock], known: Mapping[int, LockedDialog]
) -> dict[Clock, list[LockedDialog]]:
    """Whose clocks have run out and run no more, by clock; what was stopped or set anew since is left out."""
    still = timers.still_due(connection, due)
    went_off = [one for one in due if (one.clock, one.dialog_id) in still and one.dialog_id in known]
    timers.forget_clocks(connection, [(one.clock, one.dialog_id) for one in went_off])
    return {clock: [known[one.dialog_id] for one in went_off if one.clock is clock] for clock in Clock}


def _hand_over(connection: Connection, desk: LockedOpenChannel, due: Sequence[DueClock]) -> set[Step]:
    """D5."""
    leaving = {one.dialog_id for one in due}
    backlogs = timers.backlogs(connection, [desk.id])
    (prepared,) = prepare(connection, [desk], backlogs, {desk.id: Demand(leaving=leaving)})
    late = _gone_off(connection, due, dialogs.lock_some(connection, leaving))[Clock.HANDOVER]
    served = serve_each(connection, [prepared], HandOver([dialog.id for dialog in late]))
    return {Step.DISTRIBUTE} if served.handed or served.more else set()


def _mark_unanswered(connection: Connection, desk: LockedOpenChannel, marked: Sequence[LockedDialog]) -> set[Step]:
    """S2: marked once, and the customer is told once."""
    marked = [
        one
        for one in marked
        if one.answered_at is None
        and one.status not in (DialogStatus.CLOSING, DialogStatus.CLOSED)
        and desk.settings.mark_unanswered_after is not None
    ]
    if not marked:
        return set()
    dialogs.mark_unanswered(connection, [one.id for one in marked])
    events.log(connection, [one.event(SYSTEM, "unanswered", one.status, one.operator_id) for one in marked])
    if not desk.settings.unanswered_text:
        return set()
    entries = [say(connection, one, desk.settings.unanswered_text) for one in marked]
    outbox.insert(connection, entries, SENDABLE_KINDS)
    return {Step.DELIVER}


def _auto_close(connection: Connection, desk: LockedOpenChannel, dialog: LockedDialog) -> set[Step]:
    """S3: idle since the operator's last message, and not pinned."""
    if dialog.status is not DialogStatus.AWAITING_CUSTOMER or dialog.pinned or desk.settings.close_after is None:
        return set()
    return wind_up(connection, dialog, desk.settings, desk.settings.auto_close_text, SYSTEM, "auto_close")


def _end_closing(connection: Connection, closing: Sequence[LockedDialog]) -> None:
    """S4: the customer did not come back."""
    over = [one for one in closing if one.status is DialogStatus.CLOSING]
    returning.close(connection, over, SYSTEM, "closing_over")

"""Step 4: a dialog for every message (S1), moved on if its operator has left (D11), and an operator for every dialog.

Lock order: chats (by the claim), open channels by id, then as `worker.distribution`.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace

import structlog

from config.topology import Step
from crm_store import chats, desks, dialogs, events, inbox, timers
from crm_store.chats import ChatContext
from crm_store.database import Connection, Session
from crm_store.desks import LockedOpenChannel
from crm_store.dialogs import LockedDialog, NewDialog, OpenDialog
from crm_store.errors import BusyError, DatabaseAwayError
from crm_store.events import Event
from crm_store.inbox import ClaimedItem, Move
from crm_store.timers import BacklogTimer, NewClock
from tracker.channels import Counted, OpenChannelSettings
from tracker.dialogs import HELD, Clock, DialogStatus, after_customer_message
from worker.distribution import BACKLOG_RETRY, Demand, lock_and_serve, look_again, prepare, serve_each
from worker.runner import Carried, Outcome

log = structlog.get_logger(__name__)

MOST_BACKLOGS = 20

_DID_NOT_COUNT = frozenset(
    {
        (Counted.WITHOUT_AWAITING_CUSTOMER, DialogStatus.AWAITING_CUSTOMER),
        (Counted.WITHOUT_CLOSING, DialogStatus.CLOSING),
    }
)
"""What does not count under which setting, and does so once the customer writes (D7)."""


def distribute(connection: Connection, items: Sequence[ClaimedItem], _carried: Carried) -> Outcome:
    """See the module."""
    contexts = chats.contexts(connection, {item.chat_id for item in items})
    open_before = dialogs.open_of_chats(connection, contexts)
    locked = _lock(connection, contexts, open_before)
    free = {desk.id for desk in locked}
    here = {chat_id for chat_id, places in _places(contexts, open_before).items() if places <= free}
    items = [item for item in items if item.chat_id in here]
    contexts = {chat_id: context for chat_id, context in contexts.items() if chat_id in here}
    open_before = {chat_id: one for chat_id, one in open_before.items() if chat_id in here}
    backlogs = timers.backlogs(connection, [desk.id for desk in locked])
    gone = _gone(connection, open_before.values())
    missing = [context for chat_id, context in contexts.items() if chat_id not in open_before]
    preferred = _preferred(connection, missing)
    demands = _demands(missing, preferred, [one for one in open_before.values() if _may_leave(one, gone)])
    prepared = prepare(connection, _worth_serving(locked, backlogs, demands), backlogs, demands)

    present = dialogs.lock_open_of_chats(connection, contexts)
    made = _make(connection, items, contexts, present, preferred)
    left = _note_messages(connection, items, contexts, present, {desk.id: desk.settings for desk in locked}, gone)
    more = {one.open_channel_id for one in left} - {one.desk.id for one in prepared}
    # Its dialog was closed since it was looked at: what was made instead was not planned for.
    unplanned = {contexts[chat_id].open_channel_id for chat_id in made} - {one.desk.id for one in prepared}
    more |= unplanned - backlogs.keys()
    prepared = [look_again(connection, one, _hear_again(present.values())) for one in prepared]
    freed = [(one.operator_id, one.open_channel_id) for one in left if one.operator_id is not None]
    more |= serve_each(connection, prepared, freed=freed, due=more).more
    dialog_ids = made | {chat_id: dialog.id for chat_id, dialog in present.items()}
    unnoticed = dialogs.unnoticed(connection, dialog_ids.values())
    return Outcome(
        [_move(item, dialog_ids[item.chat_id], unnoticed) for item in items],
        also_hint=(Step.DISTRIBUTE,) if more else (),
    )


def _move(item: ClaimedItem, dialog_id: int, unnoticed: Collection[int]) -> Move:
    """Only whose customer may have to be told something goes through the last step too."""
    return Move(item.inbox_id, Step.RESPOND if dialog_id in unnoticed else inbox.DONE, dialog_id=dialog_id)


def _hear_again(present: Collection[LockedDialog]) -> set[int]:
    """Operators with dialogs that may count again, now that the customers have written (D7)."""
    return {
        dialog.operator_id
        for dialog in present
        if dialog.operator_id is not None and after_customer_message(dialog.status) is not dialog.status
    }


def _places(contexts: Mapping[int, ChatContext], open_before: Mapping[int, OpenDialog]) -> dict[int, set[int]]:
    """The open channels that a chat's messages concern, by chat id: where it belongs, and where its dialog is."""
    return {
        chat_id: {context.open_channel_id}
        | ({open_before[chat_id].open_channel_id} if chat_id in open_before else set())
        for chat_id, context in contexts.items()
    }


def _lock(
    connection: Connection, contexts: Mapping[int, ChatContext], open_before: Mapping[int, OpenDialog]
) -> list[LockedOpenChannel]:
    """The open channels of these chats that nobody has at the moment; if no chat can go on with them, wait for all.

    So whoever has one of them, and is slow or stopped, holds up the messages of that one alone. What is left is hinted
    again by the runner.
    """
    by_chat = _places(contexts, open_before)
    wanted = set().union(*by_chat.values())
    # Only a chat with two of them can leave locks behind that nobody uses.
    undone = connection.transaction() if any(len(places) > 1 for places in by_chat.values()) else nullcontext()
    with suppress(_NothingFreeError), undone:
        locked = desks.lock_free_open_channels(connection, wanted)
        free = {desk.id for desk in locked}
        if any(places <= free for places in by_chat.values()):
            return locked
        raise _NothingFreeError  # and give them back: to wait while these are locked is against the order of locks
    return desks.lock_open_channels(connection, wanted)


class _NothingFreeError(Exception):
    """Somebody else has an open channel of every chat."""


def _worth_serving(
    locked: Sequence[LockedOpenChannel],
    backlogs: Mapping[int, BacklogTimer],
    demands: Mapping[int, Demand],
) -> list[LockedOpenChannel]:
    """Where something new waits, or something goes back.

    Where something waits already and it is not time to try it, nobody can have it: whatever changes that makes the
    backlog due. Only the responsible person may still be able to.
    """
    full = {place for place, timer in backlogs.items() if not timer.is_due}
    return [
        desk
        for desk in locked
        if desk.id in demands and (desk.id not in full or demands[desk.id].preferred or demands[desk.id].leaving)
    ]


def _preferred(connection: Connection, missing: Sequence[ChatContext]) -> dict[int, int]:
    """Whom the new dialogs prefer (D9), by chat id."""
    asking = [context.id for context in missing if context.settings.to_responsible]
    return dialogs.preferences(connection, asking) if asking else {}


def _demands(
    missing: Sequence[ChatContext], preferred: Mapping[int, int], leaving: Sequence[OpenDialog]
) -> dict[int, Demand]:
    """What will wait besides, by open channel id."""
    new: dict[int, list[int]] = {}
    for context in missing:
        new.setdefault(context.open_channel_id, []).append(context.id)
    going: dict[int, list[int]] = {}
    for dialog in leaving:
        going.setdefault(dialog.open_channel_id, []).append(dialog.id)
    return {
        place: Demand(
            len(new.get(place, ())),
            {preferred[chat_id] for chat_id in new.get(place, ()) if chat_id in preferred},
            going.get(place, ()),
        )
        for place in new.keys() | going.keys()
    }


def _may_leave(dialog: OpenDialog | LockedDialog, gone: Collection[int]) -> bool:
    """Whether it goes back if it is not pinned: its operator is gone (D11)."""
    return dialog.operator_id in gone and dialog.status in HELD


def _gone(connection: Connection, open_before: Collection[OpenDialog]) -> set[int]:
    """Operators who have taken these dialogs, and are not there (D11)."""
    holders = {one.operator_id for one in open_before if one.status in HELD and one.operator_id is not None}
    return desks.gone(connection, holders) if holders else set()


def serve_due_backlogs(session: Session) -> Sequence[Step]:
    """Try the backlogs that are due, each in a transaction of its own: one that fails holds up no other.

    Returns DISTRIBUTE if there is more to be distributed at once. Raises DatabaseAwayError.
    """
    with session.connection() as connection:
        due = timers.due_backlogs(connection, MOST_BACKLOGS)
    more = [open_channel_id for open_channel_id in due if _serve_due_backlog(session, open_channel_id)]
    return (Step.DISTRIBUTE,) if more else ()


def _serve_due_backlog(session: Session, open_channel_id: int) -> bool:
    try:
        with session.transaction() as connection:
            return lock_and_serve(connection, open_channel_id)
    except BusyError as error:
        log.warning("backlog_waits", open_channel=open_channel_id, error=error)
        return False
    except DatabaseAwayError:
        raise
    except Exception:
        log.exception("backlog_failed", open_channel=open_channel_id)
        with session.transaction() as connection:
            timers.postpone_backlog(connection, open_channel_id, BACKLOG_RETRY)
        return False


def _make(
    connection: Connection,
    items: Sequence[ClaimedItem],
    contexts: Mapping[int, ChatContext],
    present: Mapping[int, LockedDialog],
    preferred: Mapping[int, int],
) -> dict[int, int]:
    """Dialogs for the chats that have none open, by chat id; in the order of the messages (D8)."""
    in_order = sorted(items, key=lambda item: item.inbox_id)
    wanted = [contexts[chat_id] for chat_id in dict.fromkeys(i.chat_id for i in in_order if i.chat_id not in present)]
    if not wanted:
        return {}
    made = dialogs.insert(
        connection,
        [NewDialog(c.open_channel_id, c.id, c.card_id, c.deal_id, preferred.get(c.id)) for c in wanted],
    )
    new = [Event(made[c.id], c.open_channel_id, "customer", "message", None, DialogStatus.QUEUED) for c in wanted]
    events.log(connection, new)
    clocks = [
        NewClock(Clock.UNANSWERED, c.open_channel_id, made[c.id], c.settings.mark_unanswered_after)
        for c in wanted
        if c.settings.mark_unanswered_after is not None
    ]
    timers.set_clocks(connection, clocks)
    return made


def _note_messages(
    connection: Connection,
    items: Sequence[ClaimedItem],
    contexts: Mapping[int, ChatContext],
    present: Mapping[int, LockedDialog],
    settings: Mapping[int, OpenChannelSettings],
    gone: Collection[int],
) -> list[LockedDialog]:
    """The customers wrote again in open dialogs (S1, S4); those whose operators are gone go back (D11).

    Returns those that went back.
    """
    if not present:
        return []
    counts = Counter(item.chat_id for item in items)
    became = {dialog.id: after_customer_message(dialog.status) for dialog in present.values()}
    changed = [dialog for dialog in present.values() if became[dialog.id] is not dialog.status]
    heard_of = [dialog for dialog in present.values() if dialog in changed or dialog.awaits_customer]
    if heard_of:
        dialogs.heard_of(connection, [(dialog.id, became[dialog.id]) for dialog in heard_of])
    if changed:
        timers.stop_clocks(connection, [dialog.id for dialog in changed], (Clock.AUTO_CLOSE, Clock.CLOSING))
    over = _mark_over_limit(connection, changed, settings)
    wrote = [
        dialog.event(
            "customer",
            "message",
            became[dialog.id],
            dialog.operator_id,
            messages=counts[chat_id],
            over_limit=True if dialog.id in over else None,
        )
        for chat_id, dialog in present.items()
    ]
    events.log(connection, wrote)
    shown = [(d.id, contexts[chat_id].card_id, contexts[chat_id].deal_id) for chat_id, d in present.items()]
    dialogs.follow_cards(connection, shown)
    leaving = [
        replace(dialog, status=became[dialog.id])
        for dialog in present.values()
        if _may_leave(dialog, gone) and not dialog.pinned and settings[dialog.open_channel_id].check_availability
    ]
    dialogs.queue(connection, leaving, "system", "operator_unavailable")
    return leaving


def _mark_over_limit(
    connection: Connection, changed: Sequence[LockedDialog], settings: Mapping[int, OpenChannelSettings]
) -> set[int]:
    """Dialogs that did not count, and with which their operators are above a limit now: the customer wrote (D7)."""
    counts_again = [one.id for one in changed if (settings[one.open_channel_id].counted, one.status) in _DID_NOT_COUNT]
    return dialogs.mark_over_limit(connection, counts_again) if counts_again else set()

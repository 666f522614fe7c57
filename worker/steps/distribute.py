"""Step 4: a dialog for every message, and an operator for every dialog (D1-D4, D6-D8, D12, D13, S1).

Lock order: chats (by the claim), open channels by id, operators with a personal limit by id, dialogs, timers.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import structlog

from config.topology import Step
from crm_store import chats, desks, dialogs, inbox
from crm_store.chats import ChatContext
from crm_store.database import Connection, Session
from crm_store.desks import LockedOpenChannel, RosterRow
from crm_store.dialogs import DialogEvent, Load, NewDialog, OpenDialog
from crm_store.errors import DatabaseAwayError
from crm_store.inbox import ClaimedItem, Move
from tracker.channels import Distribution, OpenChannelSettings
from tracker.dialogs import DialogStatus, after_customer_message
from tracker.distribution import RosterOperator, free_slots, plan
from worker.runner import Carried, Outcome

log = structlog.get_logger(__name__)

BACKLOG_RETRY = 120.0
"""Seconds after which a backlog is tried again in any case (D8)."""

MOST_AT_ONCE = 1000
"""Waiting dialogs that one plan takes; the rest is planned by the next."""

MOST_BACKLOGS = 20


def distribute(connection: Connection, items: Sequence[ClaimedItem], _carried: Carried) -> Outcome:
    """See the module."""
    contexts = chats.contexts(connection, {item.chat_id for item in items})
    rostered = _lock_desks(connection, {context.open_channel_id for context in contexts.values()})
    dialog_ids = _ensure_dialogs(connection, items, contexts)
    more = _serve_backlogs(connection, rostered)
    return Outcome(
        [Move(item.inbox_id, inbox.stage_after(Step.DISTRIBUTE), dialog_id=dialog_ids[item.chat_id]) for item in items],
        also_hint=(Step.DISTRIBUTE,) if more else (),
    )


def serve_due_backlogs(session: Session) -> Sequence[Step]:
    """Try the backlogs that are due, each in a transaction of its own: one that fails holds up no other.

    Returns DISTRIBUTE if there is more to be distributed at once. Raises DatabaseAwayError.
    """
    with session.transaction() as connection:
        due = dialogs.due_backlogs(connection, MOST_BACKLOGS)
    more = [open_channel_id for open_channel_id in due if _serve_due_backlog(session, open_channel_id)]
    return (Step.DISTRIBUTE,) if more else ()


def _serve_due_backlog(session: Session, open_channel_id: int) -> bool:
    try:
        with session.transaction() as connection:
            return serve_backlog(connection, open_channel_id)
    except DatabaseAwayError:
        raise
    except Exception:
        log.exception("backlog_failed", open_channel=open_channel_id)
        with session.transaction() as connection:
            dialogs.postpone_backlog_timer(connection, open_channel_id, BACKLOG_RETRY)
        return False


def serve_backlog(connection: Connection, open_channel_id: int) -> bool:
    """Lock one open channel and distribute what waits in it. Returns whether there is more at once."""
    return _serve_backlogs(connection, _lock_desks(connection, {open_channel_id}))


@dataclass(frozen=True, slots=True)
class _RosteredDesk:
    """A locked open channel with its roster. timer: the generation of its backlog timer, before anything was read."""

    desk: LockedOpenChannel
    roster: Sequence[RosterRow]
    timer: int | None


def _lock_desks(connection: Connection, open_channel_ids: Collection[int]) -> list[_RosteredDesk]:
    """Lock open channels, and the operators of their rosters who have a personal limit."""
    locked = desks.lock_open_channels(connection, open_channel_ids)
    timers = dialogs.backlog_timers(connection, open_channel_ids)
    rosters = desks.read_rosters(connection, open_channel_ids)
    limited = {row.operator_id for roster in rosters.values() for row in roster if row.personal_limit is not None}
    if limited:
        desks.lock_operators(connection, limited)
    return [_RosteredDesk(desk, rosters.get(desk.id, ()), timers.get(desk.id)) for desk in locked]


def _ensure_dialogs(
    connection: Connection, items: Sequence[ClaimedItem], contexts: Mapping[int, ChatContext]
) -> dict[int, int]:
    """The open dialog of each chat, made where there is none; in the order of the messages (D8)."""
    present = dialogs.lock_open_of_chats(connection, contexts.keys())
    missing = {item.chat_id: None for item in sorted(items, key=lambda i: i.inbox_id) if item.chat_id not in present}
    made: dict[int, int] = {}
    if missing:
        wanted = [contexts[chat_id] for chat_id in missing]
        made = dialogs.insert(connection, [NewDialog(c.open_channel_id, c.id, c.card_id, c.deal_id) for c in wanted])
    _note_messages(connection, present, contexts)
    new_events = [
        DialogEvent(dialog_id, "customer", "message", None, DialogStatus.QUEUED) for dialog_id in made.values()
    ]
    if new_events:
        dialogs.log_events(connection, new_events)
    return {chat_id: dialog.id for chat_id, dialog in present.items()} | made


def _note_messages(
    connection: Connection, present: Mapping[int, OpenDialog], contexts: Mapping[int, ChatContext]
) -> None:
    """The customer wrote again in an open dialog (S1)."""
    changed = [
        (dialog, became)
        for dialog in present.values()
        if (became := after_customer_message(dialog.status)) is not dialog.status
    ]
    if changed:
        dialogs.set_statuses(connection, [(dialog.id, became) for dialog, became in changed])
        dialogs.log_events(
            connection,
            [DialogEvent(dialog.id, "customer", "message", dialog.status, became) for dialog, became in changed],
        )
    if present:
        dialogs.follow_cards(
            connection,
            [(dialog.id, contexts[chat_id].card_id, contexts[chat_id].deal_id) for chat_id, dialog in present.items()],
        )


def _serve_backlogs(connection: Connection, rostered: Sequence[_RosteredDesk]) -> bool:
    """Distribute what waits in these locked open channels, as far as there are free slots.

    Returns whether there is more to be distributed at once.
    """
    soon: list[int] = []
    later: list[int] = []
    for each in rostered:
        taken = _serve(connection, each.desk, each.roster)
        if taken == MOST_AT_ONCE:
            soon.append(each.desk.id)
        elif dialogs.waits_on(connection, each.desk.id):
            later.append(each.desk.id)
    # Only those that nobody has set anew since they were read: what made one due again may not have been seen.
    dialogs.clear_backlog_timers(connection, {each.desk.id: each.timer for each in rostered if each.timer is not None})
    if soon:
        dialogs.set_backlog_timers(connection, soon, 0.0)
    if later:
        dialogs.set_backlog_timers(connection, later, BACKLOG_RETRY)
    return bool(soon)


def _serve(connection: Connection, desk: LockedOpenChannel, roster: Sequence[RosterRow]) -> int:
    """Plan one open channel's backlog and carry the plan out; returns how many dialogs were planned."""
    joined = {row.operator_id: desk.turn for row in roster if row.turn is None}
    if joined:  # through a department; unwritten, his turn would grow with everybody's and never come
        desks.set_turns(connection, desk.id, joined)
    loads = dialogs.loads(connection, desk.id, [row.operator_id for row in roster])
    operators = as_operators(desk.settings, desk.turn, roster, loads)
    slots = free_slots(operators, desk.settings.check_availability)
    if desk.settings.distribution is Distribution.ALL and slots:
        slots = MOST_AT_ONCE
    waiting = dialogs.lock_waiting(connection, desk.id, min(slots, MOST_AT_ONCE)) if slots else []
    if not waiting:
        return 0
    made = plan(desk.settings.distribution, waiting, operators, desk.turn, desk.settings.check_availability)
    dialogs.carry_out(connection, made.decisions)
    if made.turns:
        desks.set_turns(connection, desk.id, made.turns)
        desks.set_open_channel_turn(connection, desk.id, made.turn)
    return len(waiting)


def as_operators(
    settings: OpenChannelSettings, turn: int, roster: Sequence[RosterRow], loads: Mapping[int, Load]
) -> list[RosterOperator]:
    """The roster as the policies see it. Who joined through a department counts from now on (D2)."""
    return [
        RosterOperator(
            operator_id=row.operator_id,
            position=position,
            turn=turn if row.turn is None else row.turn,
            held=loads.get(row.operator_id, Load()).here,
            limit=settings.max_dialogs,
            personal_held=loads.get(row.operator_id, Load()).over_all,
            personal_limit=row.personal_limit,
            online=row.online,
            dismissed=row.dismissed,
        )
        for position, row in enumerate(roster)
    ]

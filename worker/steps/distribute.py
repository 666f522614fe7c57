"""Step 4: a dialog for every message, and an operator for every dialog (D1-D4, D6-D8, D12, D13, S1).

Lock order: chats (by the claim), open channels by id, operators with a personal limit by id, dialogs, timers.
"""

from collections.abc import Mapping, Sequence

from config.topology import Step
from crm_store import chats, desks, dialogs, inbox
from crm_store.chats import ChatContext
from crm_store.database import Connection
from crm_store.desks import LockedOpenChannel, RosterRow
from crm_store.dialogs import DialogEvent, Load, NewDialog, OpenDialog
from crm_store.inbox import ClaimedItem, Move
from tracker.channels import Distribution, OpenChannelSettings
from tracker.dialogs import DialogStatus, after_customer_message
from tracker.distribution import RosterOperator, free_slots, plan
from worker.runner import Carried, Outcome

BACKLOG_RETRY = 120.0
"""Seconds after which a backlog is tried again in any case (D8)."""

MOST_AT_ONCE = 1000
"""Waiting dialogs that one plan takes; the rest is planned by the next."""

MOST_BACKLOGS = 20


def distribute(connection: Connection, items: Sequence[ClaimedItem], _carried: Carried) -> Outcome:
    """See the module."""
    contexts = chats.contexts(connection, {item.chat_id for item in items})
    desk_ids = {context.open_channel_id for context in contexts.values()}
    desk_ids |= set(dialogs.due_backlogs(connection, MOST_BACKLOGS))
    locked = desks.lock_open_channels(connection, desk_ids)
    dialog_ids = _ensure_dialogs(connection, items, contexts)
    more = serve_backlogs(connection, locked)
    return Outcome(
        [Move(item.inbox_id, inbox.stage_after(Step.DISTRIBUTE), dialog_id=dialog_ids[item.chat_id]) for item in items],
        also_hint=(Step.DISTRIBUTE,) if more else (),
    )


def serve_due_backlogs(connection: Connection) -> Outcome:
    """Try the backlogs that are due, where there is no item to distribute."""
    due = dialogs.due_backlogs(connection, MOST_BACKLOGS)
    more = serve_backlogs(connection, desks.lock_open_channels(connection, due)) if due else False
    return Outcome((), also_hint=(Step.DISTRIBUTE,) if more else ())


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


def serve_backlogs(connection: Connection, locked: Sequence[LockedOpenChannel]) -> bool:
    """Distribute what waits in these locked open channels, as far as there are free slots.

    Returns whether there is more to be distributed at once.
    """
    dialogs.clear_backlog_timers(connection, [desk.id for desk in locked])
    rosters = desks.read_rosters(connection, [desk.id for desk in locked])
    limited = {row.operator_id for roster in rosters.values() for row in roster if row.personal_limit is not None}
    if limited:
        desks.lock_operators(connection, limited)
    soon: list[int] = []
    later: list[int] = []
    for desk in locked:
        taken = _serve(connection, desk, rosters.get(desk.id, ()))
        if taken == MOST_AT_ONCE:
            soon.append(desk.id)
        elif dialogs.waits_on(connection, desk.id):
            later.append(desk.id)
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

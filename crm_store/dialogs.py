"""Dialogs: who handles which chat, since when and why."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from crm_store.database import Connection
from crm_store.queries import Queries
from tracker.dialogs import DialogStatus
from tracker.distribution import Decision, WaitingDialog

_SQL = Queries("dialogs")

BACKLOG_TIMER = "backlog"


@dataclass(frozen=True, slots=True)
class OpenDialog:
    """The dialog of a chat that is not closed."""

    id: int
    chat_id: int
    status: DialogStatus
    operator_id: int | None


@dataclass(frozen=True, slots=True)
class NewDialog:
    """A dialog that is to be made, waiting."""

    open_channel_id: int
    chat_id: int
    card_id: int | None
    deal_id: int | None


@dataclass(frozen=True, slots=True)
class DialogEvent:
    """A change of status (S1). actor: `customer`, `system` or `operator:ID`."""

    dialog_id: int
    actor: str
    cause: str
    was: DialogStatus | None
    became: DialogStatus


@dataclass(frozen=True, slots=True)
class LockedDialog:
    """A dialog that an act is about to change."""

    id: int
    chat_id: int
    open_channel_id: int
    card_id: int | None
    deal_id: int | None
    status: DialogStatus
    operator_id: int | None
    accepted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Load:
    """Dialogs of an operator that count against his limits (D7)."""

    here: int = 0
    over_all: int = 0


def lock_open_of_chats(connection: Connection, chat_ids: Collection[int]) -> dict[int, OpenDialog]:
    """The open dialogs of chats, locked, by chat id."""
    rows = connection.execute(_SQL["open_of_chats"], {"chat_ids": sorted(chat_ids)}).fetchall()
    return {
        chat_id: OpenDialog(dialog_id, chat_id, DialogStatus(status), operator_id)
        for dialog_id, chat_id, status, operator_id in rows
    }


def insert(connection: Connection, dialogs: Sequence[NewDialog]) -> dict[int, int]:
    """Make dialogs, served in the order given (D8). Returns their ids by chat id."""
    rows = connection.execute(
        _SQL["insert_dialogs"],
        {
            "open_channel_ids": [dialog.open_channel_id for dialog in dialogs],
            "chat_ids": [dialog.chat_id for dialog in dialogs],
            "card_ids": [dialog.card_id for dialog in dialogs],
            "deal_ids": [dialog.deal_id for dialog in dialogs],
        },
    ).fetchall()
    return {chat_id: dialog_id for dialog_id, chat_id in rows}


def set_statuses(connection: Connection, statuses: Sequence[tuple[int, DialogStatus]]) -> None:
    """Change the status of locked dialogs: dialog id and new status."""
    connection.execute(
        _SQL["set_statuses"],
        {"dialog_ids": [dialog_id for dialog_id, _ in statuses], "statuses": [status for _, status in statuses]},
    )


def follow_cards(connection: Connection, cards: Sequence[tuple[int, int | None, int | None]]) -> None:
    """Show the chats' present cards on their locked dialogs: dialog id, card id, deal id."""
    connection.execute(
        _SQL["follow_cards"],
        {
            "dialog_ids": [dialog_id for dialog_id, _, _ in cards],
            "card_ids": [card_id for _, card_id, _ in cards],
            "deal_ids": [deal_id for _, _, deal_id in cards],
        },
    )


def lock_waiting(connection: Connection, open_channel_id: int, limit: int) -> list[WaitingDialog]:
    """The oldest `limit` dialogs of the backlog of a locked open channel."""
    rows = connection.execute(_SQL["waiting"], {"open_channel_id": open_channel_id, "limit": limit}).fetchall()
    return [WaitingDialog(dialog_id, frozenset(passed_by)) for dialog_id, passed_by in rows]


def waits_on(connection: Connection, open_channel_id: int) -> bool:
    """Whether the backlog of an open channel holds any dialog."""
    row = connection.execute(_SQL["waits_on"], {"open_channel_id": open_channel_id}).fetchone()
    return bool(row and row[0])


def loads(connection: Connection, open_channel_id: int, operator_ids: Collection[int]) -> dict[int, Load]:
    """Loads by operator id; who holds nothing is left out."""
    rows = connection.execute(
        _SQL["loads"], {"open_channel_id": open_channel_id, "operator_ids": list(operator_ids)}
    ).fetchall()
    return {operator_id: Load(here, over_all) for operator_id, here, over_all in rows}


def carry_out(connection: Connection, decisions: Sequence[Decision]) -> None:
    """Write decisions about locked, queued dialogs down: assignments, offers, records (D12) and events."""
    changed = [decision for decision in decisions if _status_after(decision) is not DialogStatus.QUEUED]
    connection.execute(
        _SQL["assign"],
        {
            "dialog_ids": [decision.dialog_id for decision in changed],
            "statuses": [_status_after(decision) for decision in changed],
            "operator_ids": [decision.operator_id for decision in changed],
        },
    )
    connection.execute(
        _SQL["insert_decisions"],
        {
            "dialog_ids": [decision.dialog_id for decision in changed],
            "rules": [decision.rule for decision in changed],
            "operator_ids": [decision.operator_id for decision in changed],
            "candidates": [_dump_passed_over(decision) for decision in changed],
        },
    )
    log_events(
        connection,
        [
            DialogEvent(decision.dialog_id, "system", decision.rule, DialogStatus.QUEUED, _status_after(decision))
            for decision in changed
        ],
    )


def _dump_passed_over(decision: Decision) -> str:
    return orjson.dumps({why.value: operator_ids for why, operator_ids in decision.passed_over.items()}).decode()


def explain(
    connection: Connection,
    dialog_id: int,
    rule: str,
    operator_id: int,
    passed_over: Mapping[str, Collection[int]],
) -> None:
    """Record why an operator got a locked dialog (D12). passed_over: the others who were considered, by reason."""
    connection.execute(
        _SQL["insert_decisions"],
        {
            "dialog_ids": [dialog_id],
            "rules": [rule],
            "operator_ids": [operator_id],
            "candidates": [orjson.dumps({str(why): sorted(ids) for why, ids in passed_over.items()}).decode()],
        },
    )


def _status_after(decision: Decision) -> DialogStatus:
    if decision.offered:
        return DialogStatus.OFFERED
    return DialogStatus.QUEUED if decision.operator_id is None else DialogStatus.ASSIGNED


def log_events(connection: Connection, events: Sequence[DialogEvent]) -> None:
    """Add to the event log (S1)."""
    connection.execute(
        _SQL["insert_events"],
        {
            "dialog_ids": [event.dialog_id for event in events],
            "actors": [event.actor for event in events],
            "causes": [event.cause for event in events],
            "was": [event.was for event in events],
            "became": [event.became for event in events],
        },
    )


def lock_unnoticed(connection: Connection, dialog_ids: Collection[int]) -> dict[int, int]:
    """Waiting dialogs whose customers were not told so (D8), locked: dialog id to chat id."""
    rows = connection.execute(_SQL["unnoticed"], {"dialog_ids": sorted(dialog_ids)}).fetchall()
    return dict(rows)


def mark_noticed(connection: Connection, dialog_ids: Collection[int]) -> None:
    """The customers of these dialogs are told (D8)."""
    connection.execute(_SQL["mark_noticed"], {"dialog_ids": sorted(dialog_ids)})


def peek(connection: Connection, dialog_id: int) -> tuple[int, int] | None:
    """Chat and open channel of a dialog, which never change; to lock them first."""
    return connection.execute(_SQL["peek"], {"dialog_id": dialog_id}).fetchone()


def is_accepted(connection: Connection, dialog_id: int) -> bool:
    """Whether an operator has taken the dialog; stays so while its chat is locked."""
    return _flag(connection, "is_accepted", dialog_id)


def counts(connection: Connection, dialog_id: int) -> bool:
    """Whether the dialog counts against its operator's limits now (D7)."""
    return _flag(connection, "counts", dialog_id)


def _flag(connection: Connection, query: str, dialog_id: int) -> bool:
    row = connection.execute(_SQL[query], {"dialog_id": dialog_id}).fetchone()
    return bool(row and row[0])


def last_of_chat(connection: Connection, chat_id: int, card_id: int) -> tuple[int, int | None] | None:
    """The open dialog of a chat and its card, or else the last one, and who has it."""
    return connection.execute(_SQL["last_of_chat"], {"chat_id": chat_id, "card_id": card_id}).fetchone()


def lock(connection: Connection, dialog_id: int) -> LockedDialog | None:
    """Lock one dialog."""
    row = connection.execute(_SQL["lock_one"], {"dialog_id": dialog_id}).fetchone()
    if row is None:
        return None
    locked_id, chat_id, open_channel_id, card_id, deal_id, status, operator_id, accepted_at = row
    return LockedDialog(
        locked_id, chat_id, open_channel_id, card_id, deal_id, DialogStatus(status), operator_id, accepted_at
    )


def accept(connection: Connection, dialog_id: int, operator_id: int) -> None:
    """The operator has the locked dialog from now on."""
    connection.execute(_SQL["accept"], {"dialog_id": dialog_id, "operator_id": operator_id})


def answered(connection: Connection, dialog_id: int) -> None:
    """The operator has answered in the locked dialog, which accepts it too."""
    connection.execute(_SQL["answered"], {"dialog_id": dialog_id})


def close(connection: Connection, dialog_id: int) -> None:
    """The locked dialog is over."""
    connection.execute(_SQL["close"], {"dialog_id": dialog_id})


def set_backlog_timers(connection: Connection, open_channel_ids: Collection[int], seconds: float) -> None:
    """Try the backlogs again in `seconds`, or earlier if that was set already (D8)."""
    connection.execute(
        _SQL["set_timers"],
        {"kind": BACKLOG_TIMER, "open_channel_ids": sorted(open_channel_ids), "seconds": seconds},
    )


def backlog_timers(connection: Connection, open_channel_ids: Collection[int]) -> dict[int, int]:
    """Generations of the backlog timers that are set, by open channel id. Read them before what they are about."""
    rows = connection.execute(
        _SQL["read_timers"], {"kind": BACKLOG_TIMER, "open_channel_ids": sorted(open_channel_ids)}
    ).fetchall()
    return dict(rows)


def clear_backlog_timers(connection: Connection, generations: Mapping[int, int]) -> None:
    """These backlogs have been tried. A timer that was set anew since its generation was read stays."""
    connection.execute(
        _SQL["clear_timers"],
        {
            "kind": BACKLOG_TIMER,
            "open_channel_ids": list(generations),
            "generations": list(generations.values()),
        },
    )


def postpone_backlog_timer(connection: Connection, open_channel_id: int, seconds: float) -> None:
    """Try this backlog, which cannot be served now, in `seconds` again."""
    parameters = {"kind": BACKLOG_TIMER, "open_channel_id": open_channel_id, "seconds": seconds}
    connection.execute(_SQL["postpone_timer"], parameters)


def due_backlogs(connection: Connection, limit: int) -> list[int]:
    """Open channels whose backlog is to be tried now."""
    rows = connection.execute(_SQL["due_timers"], {"kind": BACKLOG_TIMER, "limit": limit}).fetchall()
    return [row[0] for row in rows]

"""Dialogs: who handles which chat, since when and why."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crm_store import events, timers
from crm_store.database import Connection
from crm_store.events import Event
from crm_store.queries import Queries
from tracker.dialogs import Clock, DialogStatus

_SQL = Queries("dialogs")


@dataclass(frozen=True, slots=True)
class NewDialog:
    """A dialog that is to be made, waiting. preferred_id: the card's responsible person (D9)."""

    open_channel_id: int
    chat_id: int
    card_id: int | None
    deal_id: int | None
    preferred_id: int | None = None


@dataclass(frozen=True, slots=True)
class OpenDialog:
    """Where an open dialog is handled, and by whom; to lock that before the dialog."""

    id: int
    open_channel_id: int
    status: DialogStatus
    operator_id: int | None


@dataclass(frozen=True, slots=True)
class LockedDialog:
    """A dialog that is about to change. accepted_at: by its present operator. answered_at: last, by anybody.

    awaits_customer: since then the customer has not written (S3).
    """

    id: int
    chat_id: int
    open_channel_id: int
    card_id: int | None
    deal_id: int | None
    status: DialogStatus
    operator_id: int | None
    passed_by: Sequence[int]
    accepted_at: datetime | None
    answered_at: datetime | None
    pinned: bool
    spam: bool
    transferred: bool
    awaits_customer: bool

    def event(self, actor: str, cause: str, became: DialogStatus, operator_id: int | None, **details: Any) -> Event:
        """What happens to it. operator_id: who has it from now on."""
        return Event(
            self.id,
            self.open_channel_id,
            actor,
            cause,
            self.status,
            became,
            self.operator_id,
            operator_id,
            {name: value for name, value in details.items() if value is not None},
        )


def lock_open_of_chats(connection: Connection, chat_ids: Collection[int]) -> dict[int, LockedDialog]:
    """The open dialogs of chats, locked, by chat id."""
    rows = connection.execute(_SQL["open_of_chats"], {"chat_ids": sorted(chat_ids)}).fetchall()
    return {row[1]: _locked(row) for row in rows}


def open_of_chats(connection: Connection, chat_ids: Collection[int]) -> dict[int, OpenDialog]:
    """The open dialogs of locked chats by chat id, as they are read without a lock of their own."""
    rows = connection.execute(_SQL["peek_open"], {"chat_ids": sorted(chat_ids)}).fetchall()
    return {
        chat_id: OpenDialog(dialog_id, place, DialogStatus(status), operator)
        for chat_id, dialog_id, place, status, operator in rows
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
            "preferred_ids": [dialog.preferred_id for dialog in dialogs],
        },
    ).fetchall()
    return {chat_id: dialog_id for dialog_id, chat_id in rows}


def preferences(connection: Connection, chat_ids: Collection[int]) -> dict[int, int]:
    """The responsible person of each chat's deal or card, by chat id (D9); none where somebody only stands in (C4)."""
    return dict(connection.execute(_SQL["preferences"], {"chat_ids": sorted(chat_ids)}).fetchall())


def heard_of(connection: Connection, statuses: Sequence[tuple[int, DialogStatus]]) -> None:
    """The customers wrote in these locked dialogs: dialog id and new status."""
    connection.execute(
        _SQL["heard_of"],
        {"dialog_ids": [dialog_id for dialog_id, _ in statuses], "statuses": [status for _, status in statuses]},
    )


def mark_over_limit(connection: Connection, dialog_ids: Collection[int]) -> set[int]:
    """Mark those of these locked dialogs with which their operators have more than their limits allow (D7).

    Returns them.
    """
    return {row[0] for row in connection.execute(_SQL["mark_over_limit"], {"dialog_ids": sorted(dialog_ids)})}


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


def lock_unnoticed(connection: Connection, dialog_ids: Collection[int]) -> list[LockedDialog]:
    """Waiting dialogs whose customers were not told so (D8), locked."""
    rows = connection.execute(_SQL["lock_unnoticed"], {"dialog_ids": sorted(dialog_ids)}).fetchall()
    return [_locked(row) for row in rows]


def unnoticed(connection: Connection, dialog_ids: Collection[int]) -> set[int]:
    """Waiting dialogs whose customers were not told so (D8), read without locks."""
    rows = connection.execute(_SQL["unnoticed"], {"dialog_ids": sorted(dialog_ids)}).fetchall()
    return {dialog_id for (dialog_id,) in rows}


def mark_noticed(connection: Connection, dialog_ids: Collection[int]) -> None:
    """The customers of these dialogs are told (D8)."""
    connection.execute(_SQL["mark_noticed"], {"dialog_ids": sorted(dialog_ids)})


def peek(connection: Connection, dialog_id: int) -> tuple[int, int] | None:
    """Chat and open channel of a dialog, to lock them first. The open channel may change until the chat is locked."""
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
    return lock_some(connection, [dialog_id]).get(dialog_id)


def lock_some(connection: Connection, dialog_ids: Collection[int]) -> dict[int, LockedDialog]:
    """Lock dialogs; those that there are, by id."""
    rows = connection.execute(_SQL["lock_some"], {"dialog_ids": sorted(dialog_ids)}).fetchall()
    return {row[0]: _locked(row) for row in rows}


def lock_held(
    connection: Connection,
    operator_id: int,
    open_channel_ids: Collection[int] | None = None,
    *,
    only_checked: bool = False,
) -> list[LockedDialog]:
    """All open dialogs that an operator has, or those of some open channels, locked.

    only_checked: those of open channels that check availability (D6).
    """
    parameters = {
        "operator_id": operator_id,
        "open_channel_ids": None if open_channel_ids is None else sorted(open_channel_ids),
        "only_checked": only_checked,
    }
    rows = connection.execute(_SQL["lock_held"], parameters).fetchall()
    return [_locked(row) for row in rows]


def has_other_open(connection: Connection, chat_id: int, dialog_id: int) -> bool:
    """Whether a locked chat has an open dialog besides this one."""
    row = connection.execute(_SQL["has_open"], {"chat_id": chat_id, "dialog_id": dialog_id}).fetchone()
    return bool(row and row[0])


def hold(connection: Connection, dialog_id: int, operator_id: int, *, over_limit: bool = False) -> None:
    """The operator has the locked dialog from now on, and has accepted it."""
    connection.execute(_SQL["hold"], {"dialog_id": dialog_id, "operator_id": operator_id, "over_limit": over_limit})


def hand_to(connection: Connection, dialog: LockedDialog, operator_id: int, *, over_limit: bool) -> None:
    """A person gives the locked dialog to an operator (D10). Whoever gives it away has let it pass."""
    passed_by = [] if dialog.operator_id is None else [dialog.operator_id]
    connection.execute(
        _SQL["hand_to"],
        {"dialog_id": dialog.id, "operator_id": operator_id, "passed_by": passed_by, "over_limit": over_limit},
    )


def queue(
    connection: Connection,
    dialogs: Sequence[LockedDialog],
    actor: str,
    cause: str,
    *,
    passed: bool = False,
    **details: Any,
) -> None:
    """Locked dialogs go to their backlogs, where they stand by their age (D8). The caller makes those due, last of all.

    passed: whoever had one has let it pass (D3). details: of the events.
    """
    if not dialogs:
        return
    connection.execute(
        _SQL["queue"],
        {
            "dialog_ids": [one.id for one in dialogs],
            "passed_by": [
                array([*one.passed_by, one.operator_id] if passed and one.operator_id else one.passed_by)
                for one in dialogs
            ],
        },
    )
    events.log(connection, [one.event(actor, cause, DialogStatus.QUEUED, None, **details) for one in dialogs])
    stopped = (Clock.HANDOVER, Clock.AUTO_CLOSE, Clock.CLOSING)
    timers.stop_clocks(connection, [one.id for one in dialogs], stopped)


def move(connection: Connection, dialog_id: int, open_channel_id: int) -> None:
    """The locked dialog goes to another open channel, with its clocks (D10)."""
    connection.execute(_SQL["move"], {"dialog_id": dialog_id, "open_channel_id": open_channel_id})
    timers.move_clocks(connection, dialog_id, open_channel_id)


def mark_transferred(connection: Connection, dialog_id: int) -> None:
    """Whoever accepts the locked dialog next got it by a transfer (D10)."""
    connection.execute(_SQL["mark_transferred"], {"dialog_id": dialog_id})


def set_pinned(connection: Connection, dialog_id: int, *, pinned: bool) -> None:
    """Pin a locked dialog to its operator, or not (S1)."""
    connection.execute(_SQL["set_pinned"], {"dialog_id": dialog_id, "pinned": pinned})


def mark_unanswered(connection: Connection, dialog_ids: Collection[int]) -> None:
    """Nobody has answered in these locked dialogs in time (S2)."""
    connection.execute(_SQL["mark_unanswered"], {"dialog_ids": sorted(dialog_ids)})


def answered(connection: Connection, dialog_id: int) -> None:
    """The operator has answered in the locked dialog, which he has accepted."""
    connection.execute(_SQL["answered"], {"dialog_id": dialog_id})


def begin_closing(connection: Connection, dialog_id: int) -> None:
    """The locked dialog is closing: its operator has done with it, and so had it accepted (S4)."""
    connection.execute(_SQL["begin_closing"], {"dialog_id": dialog_id})


def close(connection: Connection, dialog_ids: Collection[int], *, spam: bool = False) -> None:
    """The locked dialogs are over, and so are their clocks."""
    connection.execute(_SQL["close_some"], {"dialog_ids": sorted(dialog_ids), "spam": spam})
    timers.stop_clocks(connection, dialog_ids)


def _locked(row: Sequence[Any]) -> LockedDialog:
    dialog_id, chat_id, open_channel_id, card_id, deal_id, status, *rest = row
    return LockedDialog(dialog_id, chat_id, open_channel_id, card_id, deal_id, DialogStatus(status), *rest)


def array(ids: Sequence[int]) -> str:
    """Of ids, to be an element of another: PostgreSQL knows no arrays of arrays of different lengths."""
    return "{" + ",".join(map(str, dict.fromkeys(ids))) + "}"

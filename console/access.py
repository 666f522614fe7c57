"""Scopes: what a caller sees, and what he is to a dialog."""

from collections.abc import Collection, Mapping
from typing import Protocol

from console.problems import ProblemError
from console.security import Caller, Operator, Service, is_supervisor
from crm_store import access
from crm_store.access import Sight
from crm_store.database import Connection
from tracker.access import Standing


class Place(Protocol):
    """A dialog, as far as its place counts."""

    @property
    def id(self) -> int:
        """Its id."""
        ...

    @property
    def open_channel_id(self) -> int:
        """Where it is handled."""
        ...


def sight_of(connection: Connection, caller: Caller) -> Sight | None:
    """What the caller sees; None if everything."""
    return access.sight_of(connection, caller.id, caller.reach) if isinstance(caller, Operator) else None


def check_dialog(connection: Connection, caller: Caller, dialog_id: int) -> None:
    """Raises ProblemError (out_of_scope)."""
    if not _sees_dialog(connection, caller, dialog_id):
        raise _out_of_scope("dialog")


def check_chats(connection: Connection, caller: Caller, chat_ids: Collection[int]) -> None:
    """That any of these chats is in the caller's scope. Raises ProblemError (out_of_scope)."""
    sight = sight_of(connection, caller)
    if sight is not None and not access.sees_chats(connection, sight, chat_ids):
        raise _out_of_scope("chat")


def check_target(connection: Connection, caller: Caller, target: Mapping[str, int]) -> None:
    """That the dialog or the chat of an act is in the caller's scope. Raises ProblemError (out_of_scope)."""
    if "dialog_id" in target:
        check_dialog(connection, caller, target["dialog_id"])
    if "chat_id" in target:
        check_chats(connection, caller, [target["chat_id"]])


def check_waiting(connection: Connection, caller: Caller, open_channel_id: int) -> None:
    """That what waits in an open channel is in the caller's scope. Raises ProblemError (out_of_scope)."""
    sight = sight_of(connection, caller)
    if sight is not None and open_channel_id not in sight.open_channel_ids:
        raise _out_of_scope("open channel")


def standing(connection: Connection, caller: Caller, dialog: Place) -> Standing:
    """What the caller is to a dialog, which should be locked: it may change hands otherwise."""
    if isinstance(caller, Service):
        return Standing(None, supervises=True)
    return Standing(
        caller.id,
        on_roster=access.has_seat(connection, caller.id, dialog.open_channel_id),
        supervises=is_supervisor(caller) and _supervises_dialog(connection, caller, dialog.id),
    )


def _sees_dialog(connection: Connection, caller: Caller, dialog_id: int) -> bool:
    sight = sight_of(connection, caller)
    return sight is None or access.sees_dialog(connection, sight, dialog_id)


def _supervises_dialog(connection: Connection, caller: Caller, dialog_id: int) -> bool:
    sight = sight_of(connection, caller)
    return sight is None or access.supervises_dialog(connection, sight, dialog_id)


def _out_of_scope(what: str) -> ProblemError:
    return ProblemError(403, "out_of_scope", f"this {what} is not within what you may see")

"""Who sees which dialogs, and whom he supervises."""

from collections.abc import Collection
from dataclasses import dataclass

from crm_store.database import Connection
from crm_store.queries import Queries
from tracker.access import Scope

_SQL = Queries("access")


@dataclass(frozen=True, slots=True)
class Sight:
    """What an operator sees, if it is not everything.

    holders: whose dialogs: his own, and those of the members of the departments that he supervises, as far as his scope
    reaches. open_channel_ids: on whose rosters one of these stands, and whose waiting dialogs he sees.
    """

    operator_id: int
    holders: tuple[int, ...]
    open_channel_ids: tuple[int, ...]


def sight_of(connection: Connection, operator_id: int, scope: Scope) -> Sight | None:
    """What he sees now; None if everything."""
    if scope is Scope.ANY:
        return None
    parameters = {"operator_id": operator_id, "departments": scope is Scope.DEPARTMENT}
    row = connection.execute(_SQL["sight"], parameters).fetchone()
    assert row is not None  # noqa: S101  a query without FROM
    return Sight(operator_id, tuple(row[0]), tuple(row[1]))


def sees_dialog(connection: Connection, sight: Sight, dialog_id: int) -> bool:
    """Whether a dialog is in his scope."""
    return _is(connection, "sees_dialog", dialog_id=dialog_id, **_parameters(sight))


def supervises_dialog(connection: Connection, sight: Sight, dialog_id: int) -> bool:
    """Whether a supervisor who sees this may act on a dialog: his people have it, or it waits for them."""
    parameters = {"holders": list(sight.holders), "open_channel_ids": list(sight.open_channel_ids)}
    return _is(connection, "supervises_dialog", dialog_id=dialog_id, **parameters)


def sees_chats(connection: Connection, sight: Sight, chat_ids: Collection[int]) -> bool:
    """Whether any of these chats is in his scope: one of its dialogs is."""
    return _is(connection, "sees_chats", chat_ids=list(chat_ids), **_parameters(sight))


def has_seat(connection: Connection, operator_id: int, open_channel_id: int) -> bool:
    """Whether he stands on the roster of an open channel."""
    return _is(connection, "has_seat", operator_id=operator_id, open_channel_id=open_channel_id)


def seats_of(connection: Connection, operator_id: int) -> list[int]:
    """Open channels on whose rosters he stands."""
    return [row[0] for row in connection.execute(_SQL["seats_of"], {"operator_id": operator_id}).fetchall()]


def supervises_operator(connection: Connection, operator_id: int, member_id: int) -> bool:
    """Whether he supervises a department of which the other is a member."""
    return _is(connection, "supervises_operator", operator_id=operator_id, member_id=member_id)


def _parameters(sight: Sight) -> dict[str, object]:
    return {
        "operator_id": sight.operator_id,
        "holders": list(sight.holders),
        "open_channel_ids": list(sight.open_channel_ids),
    }


def _is(connection: Connection, query: str, **parameters: object) -> bool:
    row = connection.execute(_SQL[query], parameters).fetchone()
    return bool(row and row[0])

"""What plans read and write: the backlog, what is handed over, assignments, and why they were made (D8, D12).

Lock order: the open channel and the operators (by the caller), then dialogs.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from crm_store import dialogs
from crm_store.database import Connection
from crm_store.queries import Queries
from tracker.dialogs import DialogStatus
from tracker.distribution import WaitingDialog

_SQL = Queries("planning")


@dataclass(frozen=True, slots=True)
class PlannedDialog:
    """A dialog of which a plan decides. operator_id: who loses it (D5). kept: he was told before that he keeps it."""

    id: int
    open_channel_id: int
    status: DialogStatus
    operator_id: int | None
    passed_by: Sequence[int]
    first: bool
    preferred_id: int | None
    kept: bool

    @property
    def waiting(self) -> WaitingDialog:
        """As the policies see it."""
        return WaitingDialog(self.id, frozenset(self.passed_by), self.first, self.preferred_id, self.operator_id)


@dataclass(frozen=True, slots=True)
class Assignment:
    """What becomes of a planned dialog: assigned to somebody, or offered."""

    dialog_id: int
    status: DialogStatus
    operator_id: int | None
    passed_by: Sequence[int]


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """Why somebody got a dialog (D12). operator_id: None where it was offered to all.

    passed_over: others by reason; unnamed: how many more. over_limit: it passes a limit, as takes and transfers may.
    """

    dialog_id: int
    rule: str
    cause: str
    operator_id: int | None
    passed_over: Mapping[str, Sequence[int]]
    unnamed: Mapping[str, int]
    over_limit: bool = False


def count_waiting(connection: Connection, open_channel_id: int, limit: int) -> tuple[int, int]:
    """How many dialogs a backlog holds, counted up to `limit`, and how many of them had an operator before."""
    row = connection.execute(_SQL["count_waiting"], {"open_channel_id": open_channel_id, "limit": limit}).fetchone()
    assert row is not None  # noqa: S101  an aggregate
    return row[0], row[1]


def waiting(connection: Connection, open_channel_id: int, limit: int) -> list[PlannedDialog]:
    """The oldest `limit` dialogs of the backlog of a locked open channel."""
    rows = connection.execute(_SQL["waiting"], {"open_channel_id": open_channel_id, "limit": limit}).fetchall()
    return [_planned(row) for row in rows]


def preferred(connection: Connection, open_channel_id: int, dialog_ids: Collection[int]) -> list[int]:
    """Whom waiting dialogs of an open channel prefer, and these dialogs (D9)."""
    parameters = {"open_channel_id": open_channel_id, "dialog_ids": sorted(dialog_ids)}
    return [row[0] for row in connection.execute(_SQL["preferred"], parameters).fetchall()]


def waiting_for(
    connection: Connection, open_channel_id: int, operator_ids: Collection[int], limit: int
) -> list[PlannedDialog]:
    """The oldest `limit` dialogs of the backlog that prefer each of these people (D9)."""
    parameters = {"open_channel_id": open_channel_id, "operator_ids": sorted(operator_ids), "limit": limit}
    return [_planned(row) for row in connection.execute(_SQL["waiting_for"], parameters).fetchall()]


def most_passed(connection: Connection, open_channel_id: int, limit: int, dialog_ids: Collection[int]) -> int:
    """How many operators have let one of the oldest `limit` of a backlog pass, or one of these dialogs (D3)."""
    parameters = {"open_channel_id": open_channel_id, "limit": limit, "dialog_ids": sorted(dialog_ids)}
    row = connection.execute(_SQL["most_passed"], parameters).fetchone()
    return int(row[0]) if row else 0


def lock_assigned(connection: Connection, open_channel_id: int, dialog_ids: Collection[int]) -> list[PlannedDialog]:
    """Those of these dialogs of a locked open channel that somebody is still to accept, locked (D5)."""
    parameters = {"open_channel_id": open_channel_id, "dialog_ids": sorted(dialog_ids)}
    return [_planned(row) for row in connection.execute(_SQL["lock_assigned"], parameters).fetchall()]


def waits_on(connection: Connection, open_channel_id: int) -> bool:
    """Whether the backlog of an open channel holds any dialog."""
    row = connection.execute(_SQL["waits_on"], {"open_channel_id": open_channel_id}).fetchone()
    return bool(row and row[0])


def assign(connection: Connection, assignments: Sequence[Assignment]) -> None:
    """Give planned dialogs to operators, or offer them."""
    connection.execute(
        _SQL["assign"],
        {
            "dialog_ids": [one.dialog_id for one in assignments],
            "statuses": [one.status for one in assignments],
            "operator_ids": [one.operator_id for one in assignments],
            "passed_by": [dialogs.array(one.passed_by) for one in assignments],
        },
    )


def keep(connection: Connection, dialog_ids: Collection[int]) -> None:
    """Their operators keep these dialogs, because nobody else can have them (D5)."""
    connection.execute(_SQL["keep"], {"dialog_ids": sorted(dialog_ids)})


def insert_plan(connection: Connection, open_channel_id: int, ineligible: Mapping[str, Sequence[int]]) -> int:
    """Write down what the decisions of a plan have in common (D12); returns its id."""
    written = orjson.dumps({str(why): ids for why, ids in ineligible.items()}).decode()
    row = connection.execute(
        _SQL["insert_plan"], {"open_channel_id": open_channel_id, "ineligible": written}
    ).fetchone()
    assert row is not None  # noqa: S101  RETURNING
    return int(row[0])


def explain(connection: Connection, records: Sequence[DecisionRecord], plan_id: int | None = None) -> None:
    """Write down why operators got dialogs (D12)."""
    connection.execute(
        _SQL["insert_decisions"],
        {
            "plan_id": plan_id,
            "dialog_ids": [one.dialog_id for one in records],
            "rules": [one.rule for one in records],
            "operator_ids": [one.operator_id for one in records],
            "candidates": [orjson.dumps({str(k): v for k, v in one.passed_over.items()}).decode() for one in records],
            "unnamed": [orjson.dumps({str(k): v for k, v in one.unnamed.items()}).decode() for one in records],
            "causes": [one.cause for one in records],
            "over_limits": [one.over_limit for one in records],
        },
    )


def _planned(row: Sequence[Any]) -> PlannedDialog:
    dialog_id, open_channel_id, status, *rest = row
    return PlannedDialog(dialog_id, open_channel_id, DialogStatus(status), *rest)

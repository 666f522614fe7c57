"""Replays of dead letters: who asked for what, how far it is, and what became of each letter."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crm_store.database import Connection
from crm_store.queries import Queries
from crm_store.replays import ItemState, ReplayState

_SQL = Queries("replays")


@dataclass(frozen=True, slots=True)
class Replay:
    """A replay.

    selection: as asked. rate: letters per second, null for as fast as they go through. reason: why it is stopped or
    braked; changed_by: who stopped or resumed it last; changed_at: since when it is in its state. total: its letters,
    each of which waits, is under way, or ended: done, failed (it is a dead letter again) or skipped.
    """

    id: int
    actor: str
    asked_at: datetime
    selection: dict[str, Any]
    rate: float | None
    canary: int | None
    max_failures: float
    state: ReplayState
    reason: str
    changed_by: str
    changed_at: datetime
    total: int
    waiting: int
    under_way: int
    done: int
    failed: int
    skipped: int


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """How many of its letters ended in one way. outcome: a stage, or the stable reason of the death or of the skip."""

    state: ItemState
    outcome: str
    letters: int


@dataclass(frozen=True, slots=True)
class ReplayedLetter:
    """A letter of a replay. position: in the order in which the messages came."""

    position: int
    letter_id: int
    state: ItemState
    outcome: str
    sent_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class ReplayWithOutcomes(Replay):
    """A replay, and how its letters ended, the most frequent ways first."""

    outcomes: list[ReplayOutcome]


def page(connection: Connection, limit: int, before: int | None = None) -> list[Replay]:
    """Replays, the newest first."""
    return [Replay(**row) for row in _rows(connection, limit, before=before)]


def summary(connection: Connection, replay_id: int) -> Replay | None:
    """One replay, without what became of its letters."""
    rows = _rows(connection, 1, replay_id=replay_id)
    return Replay(**rows[0]) if rows else None


def read(connection: Connection, replay_id: int) -> ReplayWithOutcomes | None:
    """One replay."""
    rows = _rows(connection, 1, replay_id=replay_id)
    if not rows:
        return None
    ended = connection.execute(_SQL["outcomes"], {"replay_id": replay_id}).fetchall()
    outcomes = [ReplayOutcome(ItemState(state), outcome, n) for state, outcome, n in ended]
    return ReplayWithOutcomes(**rows[0], outcomes=outcomes)


def letters(
    connection: Connection, replay_id: int, limit: int, after: int = 0, state: ItemState | None = None
) -> list[ReplayedLetter]:
    """Letters of a replay in order, from behind the place `after`."""
    parameters = {"replay_id": replay_id, "limit": limit, "after": after, "state": state}
    return [
        ReplayedLetter(position, letter_id, ItemState(its_state), outcome, sent_at, ended_at)
        for position, letter_id, its_state, outcome, sent_at, ended_at in connection.execute(
            _SQL["items"], parameters
        ).fetchall()
    ]


def _rows(connection: Connection, limit: int, **filters: int | None) -> list[dict[str, Any]]:
    """What makes a Replay, by the names of its fields."""
    cursor = connection.execute(_SQL["list"], {"replay_id": None, "before": None, **filters, "limit": limit})
    return [
        {
            "id": row[0],
            "actor": row[1],
            "asked_at": row[2],
            "selection": row[3],
            "rate": row[4],
            "canary": row[5],
            "max_failures": row[6],
            "state": ReplayState(row[7]),
            "reason": row[8],
            "changed_by": row[9],
            "changed_at": row[10],
            "total": row[11],
            "waiting": row[12],
            "under_way": row[13],
            "done": row[14],
            "failed": row[15],
            "skipped": row[16],
        }
        for row in cursor.fetchall()
    ]

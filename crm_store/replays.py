"""Replays of dead letters: how they are asked for, driven, stopped and resumed. What is put back how: `put_back`.

Whoever holds a replay's row drives it. So any number of clocks drive one replay, one after the other, and what each
has committed the next one goes on from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import orjson

from crm_store.database import Connection
from crm_store.queries import Queries

_SQL = Queries("replays")


class ReplayState(StrEnum):
    """stopped: by a person. braked: by itself, and it says why. Both can be resumed."""

    RUNNING = "running"
    STOPPED = "stopped"
    BRAKED = "braked"
    DONE = "done"


class ItemState(StrEnum):
    """A letter of a replay. failed: it is a dead letter again. skipped: at its turn it was no dead letter any more."""

    WAITING = "waiting"
    SENT = "sent"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Pace:
    """How a replay goes.

    rate: letters per second, None for as fast as they go through. canary: so many go first, and all others only if none
    of them fails. max_failures: share of the last finished ones above which it brakes.
    """

    rate: float | None = None
    canary: int | None = None
    max_failures: float = 0.2


@dataclass(frozen=True, slots=True)
class TakenReplay:
    """A replay whose row this transaction holds. now: by the database's clock. next_at: when the next letter may go."""

    id: int
    actor: str
    state: ReplayState
    pace: Pace
    run: int
    next_at: datetime
    now: datetime
    waiting: int
    under_way: int
    done: int
    failed: int
    skipped: int


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a waiting letter. deaths: of the letter before, None if it was skipped. outcome: stable words."""

    position: int
    state: ItemState
    outcome: str = ""
    deaths: int | None = None


def start(
    connection: Connection, actor: str, selection: Mapping[str, Any], pace: Pace, letter_ids: Sequence[int]
) -> int:
    """Ask for a replay of these letters, in this order; a clock drives it. Returns its id.

    selection: as asked, for the history; no customer's words.
    """
    parameters = {
        "actor": actor,
        "selection": orjson.dumps(dict(selection)).decode(),
        "rate": pace.rate,
        "canary": pace.canary,
        "max_failures": pace.max_failures,
        "total": len(letter_ids),
    }
    row = connection.execute(_SQL["start"], parameters).fetchone()
    assert row is not None  # noqa: S101  RETURNING
    connection.execute(_SQL["add_letters"], {"replay_id": row[0], "letter_ids": list(letter_ids)})
    return int(row[0])


def at_work(connection: Connection) -> list[int]:
    """Replays that run, or whose letters are under way still, the oldest first."""
    return [replay_id for (replay_id,) in connection.execute(_SQL["at_work"]).fetchall()]


def take(connection: Connection, replay_id: int) -> TakenReplay | None:
    """Hold a replay's row to the end of the transaction; None if another clock drives it at the moment."""
    row = connection.execute(_SQL["take"], {"replay_id": replay_id}).fetchone()
    if row is None:
        return None
    _, actor, state, rate, canary, max_failures, *rest = row
    return TakenReplay(replay_id, actor, ReplayState(state), Pace(rate, canary, max_failures), *rest)


def settle(connection: Connection, replay: TakenReplay) -> int:
    """Note what has become of the letters that were sent; returns how many have ended."""
    if not replay.under_way:
        return 0
    row = connection.execute(_SQL["settle"], {"replay_id": replay.id}).fetchone()
    assert row is not None  # noqa: S101  an aggregate
    done, failed, skipped = row
    ended = int(done + failed + skipped)
    if ended:
        _advance(connection, replay, replay.next_at, under_way=-ended, done=done, failed=failed, skipped=skipped)
    return ended


def canary_states(connection: Connection, replay: TakenReplay) -> list[ItemState]:
    """How the first letters of this run have fared; none where no canary was asked for."""
    if replay.pace.canary is None:
        return []
    parameters = {"replay_id": replay.id, "run": replay.run, "canary": replay.pace.canary}
    return [ItemState(state) for (state,) in connection.execute(_SQL["canary"], parameters).fetchall()]


def last_failures(connection: Connection, replay: TakenReplay, limit: int) -> tuple[int, int]:
    """How many of the last finished letters of this run failed, and of how many, at most `limit`."""
    parameters = {"replay_id": replay.id, "run": replay.run, "limit": limit}
    failed, finished = connection.execute(_SQL["judged"], parameters).fetchone() or (0, 0)
    return failed, finished


def waiting(connection: Connection, replay: TakenReplay, limit: int) -> dict[int, int]:
    """The next letters by position, in order."""
    return dict(connection.execute(_SQL["waiting"], {"replay_id": replay.id, "limit": limit}).fetchall())


def mark(connection: Connection, replay: TakenReplay, tried: Sequence[Tried], next_at: datetime) -> None:
    """Note what was tried, and when the next letter may go."""
    connection.execute(
        _SQL["mark"],
        {
            "replay_id": replay.id,
            "run": replay.run,
            "positions": [one.position for one in tried],
            "states": [one.state for one in tried],
            "outcomes": [one.outcome for one in tried],
            "deaths": [one.deaths for one in tried],
        },
    )
    counts = {state: sum(one.state is state for one in tried) for state in ItemState}
    _advance(
        connection,
        replay,
        next_at,
        under_way=counts[ItemState.SENT],
        done=counts[ItemState.DONE],
        failed=counts[ItemState.FAILED],
        skipped=counts[ItemState.SKIPPED],
    )


def _advance(connection: Connection, replay: TakenReplay, next_at: datetime, **counts: int) -> None:
    connection.execute(_SQL["advance"], {"replay_id": replay.id, "next_at": next_at, **counts})


def end(connection: Connection, replay: TakenReplay) -> None:
    """All of its letters have ended."""
    _set_state(connection, replay, ReplayState.DONE, "")


def brake(connection: Connection, replay: TakenReplay, reason: str) -> None:
    """Nothing more is sent until a person resumes it."""
    _set_state(connection, replay, ReplayState.BRAKED, reason)


def by_state(connection: Connection) -> dict[ReplayState, int]:
    """How many there are."""
    counts = dict.fromkeys(ReplayState, 0)
    return counts | {ReplayState(state): count for state, count in connection.execute(_SQL["by_state"]).fetchall()}


def _set_state(connection: Connection, replay: TakenReplay, state: ReplayState, reason: str) -> None:
    connection.execute(_SQL["set_state"], {"replay_id": replay.id, "state": state, "reason": reason})


def lock(connection: Connection, replay_id: int) -> ReplayState | None:
    """Lock a replay for an act, waiting for a clock that drives it; its state, None if there is none."""
    row = connection.execute(_SQL["lock"], {"replay_id": replay_id}).fetchone()
    return ReplayState(row[0]) if row else None


def stop(connection: Connection, replay_id: int, actor: str) -> None:
    """A locked replay sends nothing more; what is under way goes on."""
    connection.execute(_SQL["stop"], {"replay_id": replay_id, "actor": actor})


def resume(connection: Connection, replay_id: int, actor: str) -> None:
    """A locked replay goes on with the letters that wait, with a canary and a brake of their own."""
    connection.execute(_SQL["resume"], {"replay_id": replay_id, "actor": actor})


def forget(connection: Connection, days: int, limit: int) -> int:
    """Forget up to `limit` replays that ended more than `days` days ago; returns how many."""
    return connection.execute(_SQL["forget"], {"days": days, "limit": limit}).rowcount

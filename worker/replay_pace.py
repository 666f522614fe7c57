"""How fast a replay goes, when it brakes and when it is done: pure decisions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from crm_store.replays import ItemState, TakenReplay

AT_ONCE = 100
"""Letters of one commit."""

UNDER_WAY = 300
"""Letters of a replay that may be on their way at the same time: so many at most fail before it brakes."""

JUDGED = 100
"""Of so many of the last finished letters the share that failed counts."""

JUDGED_FROM = 20
"""A share of fewer finished letters says nothing."""

LONGEST_DEBT = timedelta(seconds=1)
"""What was not sent for longer, because no clock came to it, is not made up for."""

CANARY_FAILED = "canary_failed"
TOO_MANY_FAILURES = "too_many_failures"
DEFECT = "defect"
"""Driving it failed; the clock's log says how."""


@dataclass(frozen=True, slots=True)
class Send:
    """Put back up to so many letters."""

    limit: int


@dataclass(frozen=True, slots=True)
class Brake:
    """Send nothing more, for this stable reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Finish:
    """All letters have ended."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing may be sent now."""


def next_act(
    replay: TakenReplay, canary: Sequence[ItemState], failed: int, finished: int
) -> Send | Brake | Finish | Wait:
    """What a running replay does now.

    canary: how its first letters have fared, if it was asked for one. failed, finished: of the last JUDGED finished
    letters. Where nothing waits any more there is nothing to brake.
    """
    if not replay.waiting:
        return Wait() if replay.under_way else Finish()
    if ItemState.FAILED in canary:
        return Brake(CANARY_FAILED)
    if finished >= JUDGED_FROM and failed > replay.pace.max_failures * finished:
        return Brake(TOO_MANY_FAILURES)
    limit = min(AT_ONCE, UNDER_WAY - replay.under_way, _due(replay))
    if replay.pace.canary is not None:
        if len(canary) < replay.pace.canary:
            limit = min(limit, replay.pace.canary - len(canary))
        elif ItemState.SENT in canary:
            limit = 0
    return Send(limit) if limit > 0 else Wait()


def next_at(replay: TakenReplay, sent: int) -> datetime:
    """When the next letter may go, after so many were sent now."""
    if replay.pace.rate is None:
        return replay.now
    return _since(replay) + timedelta(seconds=sent / replay.pace.rate)


def _due(replay: TakenReplay) -> int:
    if replay.pace.rate is None:
        return AT_ONCE
    waited = (replay.now - _since(replay)).total_seconds()
    return int(waited * replay.pace.rate) + 1 if waited >= 0 else 0


def _since(replay: TakenReplay) -> datetime:
    return max(replay.next_at, replay.now - LONGEST_DEBT)

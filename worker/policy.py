"""What happens to an item that failed, or whose worker died: pure decisions."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

CRASHES_TO_DEATH = 3
"""Times that a worker may die while an item runs alone; then the item is a dead letter."""

MOST_FAILURES_WHILE_PAUSED = 16
"""How often an item may fail in all before it is given up although its step is paused: it is mere poison then."""

FIRST_BACKOFF = 1.0
LONGEST_BACKOFF = 20.0


@dataclass(frozen=True, slots=True)
class Retry:
    """Try it again at `due_at`."""

    due_at: datetime


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It has failed for good."""


def after_failure(now: datetime, first_failed_at: datetime | None, attempts: int, retry_for: float) -> Retry | GiveUp:
    """Retry with doubling backoff, at most `retry_for` seconds after the first failure.

    attempts: how many there were before this one.
    """
    last_moment = (first_failed_at or now) + timedelta(seconds=retry_for)
    if now >= last_moment:
        return GiveUp()
    backoff = min(FIRST_BACKOFF * 2**attempts, LONGEST_BACKOFF)
    return Retry(min(now + timedelta(seconds=backoff), last_moment))


def after_failure_while_paused(now: datetime, attempts: int) -> Retry | GiveUp:
    """While its step is paused an item is not given up for its age: the step is to blame.

    Nor does it back off: the step does that, and when it goes on the item must not wait for longer than others.
    attempts: how many there were before this one.
    """
    if attempts + 1 >= MOST_FAILURES_WHILE_PAUSED:
        return GiveUp()
    return Retry(now + timedelta(seconds=FIRST_BACKOFF))


def delivery_backoff(attempts: int) -> float:
    """Seconds until a failed delivery is tried again, with jitter: an API that was away gets no thundering herd."""
    longest = min(2.0**attempts, 300.0)
    return longest * random.uniform(0.75, 1.0)


def half(batch_size: int) -> int:
    """The size at which a batch that crashed is run again."""
    return (batch_size + 1) // 2

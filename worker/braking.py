"""The brake of a step: when nearly everything of it fails, it pauses, so that not all of it ends as dead letters.

At its end a few items try the step. If one comes through, the step goes on; if not, it pauses for longer.
"""

import time
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field

import structlog

from config.topology import Step
from crm_store import alerts, brakes
from crm_store.alerts import AlertKind
from crm_store.brakes import Probe
from crm_store.database import Connection, Session
from crm_store.failures import Failure
from crm_store.inbox import ClaimedItem
from worker.failing import WrittenDown

log = structlog.get_logger(__name__)

WINDOW = 30.0
"""Seconds for which it counts what an item came to."""

FEWEST_FAILED = 20
FEWEST_CHATS = 10
FAILING_SHARE = 0.9
"""Of the window's items so many failed, of so many chats, and at least this share of all: the step is to blame."""

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0

REMEMBERED = 300.0
"""Seconds after which a step that fails again begins with a short pause again."""

MOST_PROBED = 5
PROBE_LEASE = 10.0
"""Seconds after which another worker tries the step, if the one that does says nothing."""

NOTHING_DUE = 1.0
"""Seconds until a paused step is looked at again whose items all wait for their time, or are in other hands."""


def pause_after(pauses: int) -> float:
    """Seconds of the pause number `pauses` in a row, from 1."""
    return float(min(FIRST_PAUSE * 2 ** min(pauses - 1, 30), LONGEST_PAUSE))


@dataclass(slots=True)
class Window:
    """What became of a step's items lately; each counts once. `now` in seconds of any steady clock."""

    _done: deque[tuple[float, int]] = field(default_factory=deque)
    _failed: dict[int, tuple[float, int]] = field(default_factory=dict)

    def done(self, now: float, inbox_ids: Collection[int]) -> None:
        """These went through."""
        if self._failed:
            for inbox_id in inbox_ids:
                self._failed.pop(inbox_id, None)
        self._done.append((now, len(inbox_ids)))
        self._forget(now)

    def failed(self, now: float, item: ClaimedItem) -> None:
        """This one failed, alone."""
        self._failed.pop(item.inbox_id, None)  # so that the oldest stand first
        self._failed[item.inbox_id] = (now, item.chat_id)
        self._forget(now)

    def nearly_all_fail(self, now: float) -> bool:
        """Whether the step is to blame, and not its items."""
        self._forget(now)
        failed = len(self._failed)
        if failed < FEWEST_FAILED or len({chat_id for _, chat_id in self._failed.values()}) < FEWEST_CHATS:
            return False
        return failed >= FAILING_SHARE * (failed + sum(count for _, count in self._done))

    def clear(self) -> None:
        """Count from here."""
        self._done.clear()
        self._failed.clear()

    def _forget(self, now: float) -> None:
        while self._done and self._done[0][0] < now - WINDOW:
            self._done.popleft()
        while self._failed:
            inbox_id, (at, _) = next(iter(self._failed.items()))
            if at >= now - WINDOW:
                break
            del self._failed[inbox_id]


@dataclass(frozen=True, slots=True)
class Tally:
    """What a try of the step came to: how many items ran, and how many of them went through."""

    ran: int = 0
    done: int = 0


class StepBrake:
    """The brake of one step, as a worker sees it. on: when it last looked."""

    def __init__(self, step: Step, worker: str, session: Session) -> None:
        self._step = step
        self._worker = worker
        self._session = session
        self._window = Window()
        self.on = False

    def look(self, connection: Connection) -> None:
        """See whether the step is paused."""
        self.on = brakes.is_on(connection, self._step)

    def look_again(self) -> bool:
        """Whether the step is paused. Only a worker that believes so asks: the others look once a second."""
        if self.on:
            with self._session.transaction() as connection:
                self.look(connection)
        return self.on

    def done(self, inbox_ids: Collection[int]) -> None:
        """These went through the step."""
        self._window.done(time.monotonic(), inbox_ids)

    def failed(self, item: ClaimedItem, written: WrittenDown) -> bool:
        """Note a failure. True if nearly everything fails now, and the step is not paused yet; then count anew.

        What was a dead letter before does not count: a replay has a brake of its own, and must stop nobody else.
        """
        self.on = self.on or written.item.paused
        if self.on or written.item.replayed:
            return False
        now = time.monotonic()
        self._window.failed(now, item)
        if not self._window.nearly_all_fail(now):
            return False
        self._window.clear()
        return True

    def engage(self, failure: Failure) -> None:
        """Pause the step because of this failure and its like."""
        with self._session.transaction() as connection:
            pauses = 1 + brakes.pauses_before(connection, self._step, REMEMBERED)
            pause = pause_after(pauses)
            first = brakes.engage(
                connection, self._step, pauses, pause, failure.reason, failure.fingerprint, self._worker
            )
            if first:
                alerts.raise_alert(
                    connection,
                    AlertKind.STEP_PAUSED,
                    f"step {self._step} is paused: nearly everything fails with {failure.fingerprint}",
                    {"step": self._step, "reason": failure.reason, "fingerprint": failure.fingerprint},
                )
        self.on = True
        if first:
            log.error("step_paused", seconds=pause, reason=failure.reason, fingerprint=failure.fingerprint)

    def begin_probe(self) -> Probe | None:
        """Whether this worker is to try the step now."""
        with self._session.transaction() as connection:
            return brakes.begin_probe(connection, self._step, PROBE_LEASE)

    def end_probe(self, probe: Probe, tally: Tally) -> bool:
        """Go on, or pause for longer. Returns whether the step goes on."""
        with self._session.transaction() as connection:
            if tally.done or (not tally.ran and not brakes.something_stands(connection, self._step)):
                self._release(connection, probe)
                return True
            if tally.ran:
                pauses = probe.pauses + 1
                pause = pause_after(pauses)
                log.warning("step_still_paused", tried=tally.ran, pauses=pauses, seconds=pause)
            else:
                pauses, pause = probe.pauses, NOTHING_DUE
            brakes.pause_again(connection, probe, pauses, pause)
        return False

    def _release(self, connection: Connection, probe: Probe) -> None:
        released = brakes.release(connection, probe)
        self._window.clear()
        self.on = False
        if released is None:
            return
        log.warning("step_resumed", paused_for=round(released.seconds, 1), pauses=released.pauses)
        alerts.raise_alert(
            connection,
            AlertKind.STEP_RESUMED,
            f"step {self._step} goes on after {released.seconds:.0f} s",
            {
                "step": self._step,
                "reason": released.reason,
                "fingerprint": released.fingerprint,
                "since": released.since.isoformat(),
                "seconds": round(released.seconds, 1),
                "pauses": released.pauses,
            },
        )

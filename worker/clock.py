"""The clock: a process of its own, apart from Celery; any number of them may run.

The sweeper hints what does not move: it makes up for every lost task message, also when Redis was wiped. Timers
are rows; those that are due are hinted too. Who is there (D6). What persons are to be told. Compaction of ledger and
costs. Partitions ahead of time, and retention.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import structlog

from config.topology import INBOX_STEPS, Step
from crm_store import brakes, clocks, costs, deaths, idempotency, inbox, ledger, outbox, partitions, receipts, timers
from crm_store.database import Connection, Session
from crm_store.errors import BusyError, DatabaseAwayError
from crm_store.retention import Retention, RetentionOptions
from worker.alert_watch import AlertThresholds, look_at_letters
from worker.hints import Hints
from worker.presence_watch import PresenceWatch
from worker.timers import work_off

log = structlog.get_logger(__name__)

FOLD_INTERVAL = 10.0
SIGN_INTERVAL = 5.0
"""Seconds after which a clock says again that it runs."""

WATCH_INTERVAL = 5.0
"""Seconds after which it is looked who is there."""

LETTERS_INTERVAL = 5.0
"""Seconds after which it is looked what has died."""

PARTITIONS_INTERVAL = 3600.0
PARTITIONS_AGAIN = 60.0
"""Seconds after which a partition is tried again to be made, if others had the table."""

RETENTION_INTERVAL = 3600.0
KEYS_AT_ONCE = 10_000
ACT_KEY_HOURS = 24
"""For so long an act that was done under a key is not done again."""

WHILE = 0.25
"""Seconds of a tick that retention may take."""

MOST_QUEUED = 10
"""A step with more tasks queued gets no further hint, however old its items: its workers are busy, or all gone."""


@dataclass(frozen=True, slots=True)
class ClockOptions:
    """Seconds, and days. visibility_timeout: after which work is hinted although tasks of its step are queued."""

    interval: float = 0.5
    stale_after: float = 2.0
    visibility_timeout: float = 60.0
    key_retention_days: int = 30
    retention: RetentionOptions = field(default_factory=RetentionOptions)
    alerts: AlertThresholds = field(default_factory=AlertThresholds)


class Clock:
    """See the module."""

    def __init__(
        self, session: Session, hints: Hints, options: ClockOptions, besides: Sequence[Callable[[], object]] = ()
    ) -> None:
        """besides: what else is done at each look. It raises nothing but DatabaseAwayError."""
        self._session = session
        self._hints = hints
        self._options = options
        self._name = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._besides = besides
        self._next_sign = time.monotonic()
        self._next_fold = time.monotonic() + FOLD_INTERVAL
        self._presence = PresenceWatch(session)
        self._next_watch = time.monotonic()
        self._next_letters = time.monotonic()
        self._next_forgotten = time.monotonic()
        self._next_acts_forgotten = time.monotonic()
        self._next_partitions = time.monotonic()
        self._retention = Retention(options.retention)
        self._next_retention = time.monotonic()

    def run(self, stop: threading.Event) -> None:
        """Tick until `stop` is set."""
        log.info("clock_started")
        while not stop.wait(self._options.interval):
            self.tick()
        self._sign_off()

    def tick(self) -> None:
        """Look once. Never raises for PostgreSQL or the broker being away."""
        try:
            self._next_sign = self._when_due(self._next_sign, self._sign)
            for step in sorted(work_off(self._session)):
                self._hints.publish(step)
            self._sweep()
            self._watch_presence()
            self._next_letters = self._when_due(self._next_letters, self._look_at_letters)
            self._next_fold = self._when_due(self._next_fold, self._fold)
            self._next_forgotten = self._when_due(self._next_forgotten, self._forget)
            self._next_acts_forgotten = self._when_due(self._next_acts_forgotten, self._forget_acts)
            self._next_partitions = self._for_a_while(self._next_partitions, self._make_partition)
            self._next_retention = self._for_a_while(self._next_retention, self._delete_old)
            for look in self._besides:  # last: what runs into a time limit there ends the tick
                look()
        except DatabaseAwayError as error:
            log.warning("clock_waits_for_database", error=error)

    def _sweep(self) -> None:
        """At most one hint per step: if its oldest item is stale and no task of the step is queued, or very old."""
        with self._session.transaction() as connection:
            waited = self._waiting(connection)
        stale = [step for step, seconds in waited.items() if seconds > self._options.stale_after]
        if not stale:
            return
        depths = self._hints.depths(stale)
        for step in stale:
            queued = depths.get(step)
            stuck = waited[step] > self._options.visibility_timeout and queued is not None and queued < MOST_QUEUED
            if queued == 0 or stuck:
                log.info("swept", step=step.value, waited=round(waited[step], 1))
                self._hints.publish(step)

    def _waiting(self, connection: Connection) -> dict[Step, float]:
        """Seconds for which the oldest work of each step has waited. A due timer or delivery is not to wait.

        A paused step has nothing to do until it is to be tried, and then at once.
        """
        waited = {step: seconds for step, seconds in inbox.oldest_due(connection).items() if step in INBOX_STEPS}
        for brake in brakes.on(connection):
            waited[brake.step] = self._options.stale_after + 0.001 if brake.resumes_in <= 0 else 0.0
        if timers.due_backlogs(connection, 1):
            waited[Step.DISTRIBUTE] = max(waited.get(Step.DISTRIBUTE, 0.0), self._options.stale_after + 0.001)
        if outbox.oldest_due(connection) is not None or receipts.wait(connection):
            waited[Step.DELIVER] = self._options.stale_after + 0.001
        return waited

    def _watch_presence(self) -> None:
        if time.monotonic() >= self._next_watch:
            self._presence.look()
            self._next_watch = time.monotonic() + WATCH_INTERVAL

    def _sign(self, connection: Connection) -> float:
        clocks.sign(connection, self._name)
        clocks.forget(connection)
        return SIGN_INTERVAL

    def _sign_off(self) -> None:
        try:
            with self._session.transaction() as connection:
                clocks.sign_off(connection, self._name)
        except DatabaseAwayError as error:
            log.info("clock_not_signed_off", error=error)

    def _look_at_letters(self, connection: Connection) -> float:
        look_at_letters(connection, self._options.alerts)
        return LETTERS_INTERVAL

    def _fold(self, connection: Connection) -> float:
        ledger.fold(connection)
        costs.fold(connection)
        deaths.fold(connection)
        brakes.forget(connection)
        return FOLD_INTERVAL

    def _forget(self, connection: Connection) -> float:
        """Some keys at a time; while there are more, the next tick goes on."""
        forgotten = inbox.forget_keys(connection, self._options.key_retention_days, KEYS_AT_ONCE)
        log.info("keys_forgotten", keys=forgotten)
        return 0.0 if forgotten == KEYS_AT_ONCE else RETENTION_INTERVAL

    def _forget_acts(self, connection: Connection) -> float:
        """Keys of acts, as those of messages."""
        forgotten = idempotency.forget(connection, ACT_KEY_HOURS, KEYS_AT_ONCE)
        return 0.0 if forgotten == KEYS_AT_ONCE else RETENTION_INTERVAL

    def _make_partition(self, connection: Connection) -> float:
        """The next one that is missing; each in a commit of its own, because it locks."""
        try:
            for kind in (partitions.INBOX, partitions.MESSAGES):
                if partitions.take_turn(connection) and (name := partitions.make_next(connection, kind)):
                    log.info("partition_made", partition=name)
                    return 0.0
        except BusyError:
            return PARTITIONS_AGAIN
        except (partitions.NotOwnerError, partitions.DefaultTooLargeError) as error:
            log.warning("partition_not_made", error=error)
        return PARTITIONS_INTERVAL

    def _delete_old(self, connection: Connection) -> float:
        """A part at a time; the next one follows at once for a while, then at the next tick."""
        if self._retention.part(connection):
            return 0.0
        log.info("retention_done", **self._retention.deleted, dropped=self._retention.dropped)
        return RETENTION_INTERVAL

    def _for_a_while(self, due: float, work: Callable[[Connection], float]) -> float:
        """The same again and again, each time in a commit of its own, while there is more and time for it."""
        end = time.monotonic() + WHILE
        while time.monotonic() >= due:
            due = self._when_due(due, work)
            if time.monotonic() > end:
                break
        return due

    def _when_due(self, due: float, work: Callable[[Connection], float]) -> float:
        """Do it if it is due; `work` returns the seconds until it is due again. Returns when that is."""
        if time.monotonic() < due:
            return due
        with self._session.transaction() as connection:
            pause = work(connection)
        return time.monotonic() + pause

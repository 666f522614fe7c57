"""How a step is run: claim, work, move and commit; halve what fails, suspect what crashed.

The order of things, and what a kill between any two of them leaves behind:
  1. one transaction locks the chats and reads what may enter: nothing;
  2. another session writes the batch down: a batch whose session is gone, found by whoever comes next;
  3. the effects, the items' moves and the end of the batch are one commit: all or nothing;
  4. the hint for the next step is published: without it the sweeper sends one.
"""

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from config.topology import Step, steps_after
from crm_store import brakes, failures, inbox
from crm_store.database import Connection, Session
from crm_store.errors import DatabaseAwayError
from crm_store.inbox import ClaimedItem, Move
from worker.batches import Batch, choose
from worker.braking import MOST_PROBED, StepBrake, Tally
from worker.failing import FailingItems
from worker.hints import Hints
from worker.policy import half

log = structlog.get_logger(__name__)

Carried = Mapping[int, str]
"""Normalised messages, as JSON, that came with the task, by inbox id."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where each item of a batch goes from here, and which other steps have work now."""

    moves: Sequence[Move]
    also_hint: Sequence[Step] = ()


Handler = Callable[[Connection, Sequence[ClaimedItem], Carried], Outcome]
"""A step's work on a batch, within the caller's transaction."""

Besides = Callable[[Session], Sequence[Step]]
"""What a step does besides its items, after them and in transactions of its own; returns which steps have work now."""


def nothing_besides(_session: Session) -> Sequence[Step]:
    """Most steps have nothing to do but their items."""
    return ()


MOST_TRIES = 10
"""How often within REMEMBERED an item is hinted again because another worker has its chat; the sweeper does it then."""

PAUSES = (0.0, 0.005, 0.01, 0.015, 0.02, 0.025)
"""Seconds before it is hinted the first time, the second, and so on, by who had nothing else to do."""

REMEMBERED = 2.0
"""Seconds."""

SETTLE_INTERVAL = 1.0
"""Seconds between two looks for crashed batches and at the step's brake, where nothing points at one."""

LONG_AGO = 2.0
"""Seconds since the last look after which the next comes before the work, and not after it."""


class CrashedBeforeError(Exception):
    """A claimed item is named by a batch that nobody finished: settle that first."""


@dataclass(frozen=True, slots=True)
class Limits:
    """batch: items of one task. retry_for: seconds from an item's first failure to its dead letter."""

    batch: int = 500
    retry_for: float = 60.0


@dataclass(frozen=True, slots=True)
class Workplace:
    """What a worker process works with.

    worker: its name, unique for ever. witness: a second session, on which batches are written down while the first
    one holds the locks.
    """

    worker: str
    session: Session
    witness: Session
    hints: Hints
    limits: Limits


@dataclass(frozen=True, slots=True)
class _Tried:
    """What an attempt left: items whose chats others have, whether more wait, items under suspicion.

    tally: what its batch came to; where it was halved, the halves are not counted.
    """

    left: tuple[int, ...] = ()
    more: bool = False
    suspects_left: frozenset[int] = frozenset()
    tally: Tally = field(default_factory=Tally)


class _LeftAgain:
    """Counts how often each item was left: one in a chat that a stopped worker holds is found by every task."""

    def __init__(self) -> None:
        self._times: dict[int, int] = {}
        self._since = -math.inf

    def of(self, inbox_ids: Sequence[int]) -> tuple[list[int], int]:
        """Those that are to be hinted again, and how often one of them was at the most."""
        now = time.monotonic()
        if now - self._since > REMEMBERED:
            self._times.clear()
            self._since = now
        again = [inbox_id for inbox_id in inbox_ids if self._times.get(inbox_id, 0) < MOST_TRIES]
        times = max((self._times.get(inbox_id, 0) for inbox_id in again), default=0)
        for inbox_id in again:
            self._times[inbox_id] = self._times.get(inbox_id, 0) + 1
        return again, times


class StepRunner:
    """Runs one step in this process. Not safe for use by several threads."""

    def __init__(self, step: Step, handler: Handler, workplace: Workplace, besides: Besides = nothing_besides) -> None:
        self._step = step
        self._handler = handler
        self._besides = besides
        self._worker = workplace.worker
        self._session = workplace.session
        self._witness = workplace.witness
        self._hints = workplace.hints
        self._limits = workplace.limits
        self._failing = FailingItems(step, workplace.worker, workplace.session, workplace.limits.retry_for)
        self._brake = StepBrake(step, workplace.worker, workplace.session)
        self._identity: tuple[int, datetime] | None = None
        self._known_connection: Connection | None = None
        self._settled_at = -math.inf
        self._left_again = _LeftAgain()

    def run(self, named: Collection[int], carried: Carried, tries: int = 0) -> None:
        """Take the named items, and what has waited longest, through the step.

        Returns normally whatever happens: what could not be done stays where it is, or is a retry or a dead letter.
        """
        try:
            if time.monotonic() - self._settled_at > LONG_AGO:
                self._settle()
            tried = self._probe_if_due() if self._brake.look_again() else self._work(named, carried)
            for step in self._besides(self._session):
                self._hints.publish_if_idle(step)
            self._hint_rest(tried, tries)
            if time.monotonic() - self._settled_at > SETTLE_INTERVAL:
                self._settle()
        except DatabaseAwayError as error:
            log.warning("step_waits_for_database", error=error)

    def _hint_rest(self, tried: "_Tried", tries: int) -> None:
        if self._brake.on:
            return  # the clock hints it when it is to be tried
        left, times = self._left_again.of(tried.left)
        if left:
            if not tried.tally.ran:  # their chats are in another worker's hands, for milliseconds
                time.sleep(PAUSES[min(times, len(PAUSES) - 1)])
            self._hints.publish(self._step, left, tries + 1)
        if tried.more:
            self._hints.publish_if_idle(self._step)

    def _work(self, named: Collection[int], carried: Carried) -> _Tried:
        tried = self._attempt(named, self._limits.batch, None, carried)
        if tried.suspects_left and not self._brake.on:  # trusted items go first, but not for ever
            again = self._attempt(tried.suspects_left, len(tried.suspects_left), tried.suspects_left, carried)
            tried = replace(tried, more=tried.more or again.more)
        return tried

    def _probe_if_due(self) -> _Tried:
        """Of a paused step only some items are tried, by one worker, when its pause is over."""
        probe = self._brake.begin_probe()
        return _Tried(more=probe is not None and self._brake.end_probe(probe, self._probe()))

    def _probe(self) -> Tally:
        """Run some items of different chats, each alone, until one comes through."""
        with self._session.transaction() as connection:
            inbox_ids = brakes.to_probe(connection, self._step, MOST_PROBED)
        ran = 0
        for inbox_id in inbox_ids:
            tally = self._attempt((inbox_id,), 1, frozenset((inbox_id,)), {}).tally
            ran += tally.ran
            if tally.done:
                return Tally(ran, tally.done)
        return Tally(ran)

    def _attempt(self, named: Collection[int], limit: int, only: frozenset[int] | None, carried: Carried) -> _Tried:
        """Run one batch, and its halves if it fails."""
        batch_id: int | None = None
        batch = Batch((), more=False)
        outcome = Outcome(())
        began = time.perf_counter()
        try:
            with self._session.transaction() as connection:
                self._identify(connection)
                looked_at = 0 if only is not None else limit
                claim = inbox.claim(connection, self._step, named, limit, looked_at)
                batch = choose(claim.lines, limit, only)
                if batch.items:
                    batch_id = self._begin(batch.items)
                    outcome = self._handler(connection, batch.items, carried)
                    inbox.move(connection, self._step, outcome.moves, batch_id, time.perf_counter() - began)
        except CrashedBeforeError:
            self._settle()
            return _Tried(more=True)
        except DatabaseAwayError:
            self._strike_out(batch_id)
            # A batch may have been written down without our knowing its id: strike out all of ours before the next.
            self._known_connection = None
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, it is written down and retried
            self._strike_out(batch_id)
            return _Tried(more=self._after_error(batch.items, error, carried), tally=Tally(len(batch.items)))
        except BaseException:  # the process is being stopped
            self._strike_out(batch_id)
            raise
        self._hint_next(outcome)
        if batch.items:
            log.info("step_done", items=len(batch.items), seconds=round(time.perf_counter() - began, 4))
        moved = {move.inbox_id for move in outcome.moves}
        stayed = tuple(item.inbox_id for item in batch.items if item.inbox_id not in moved)
        if moved:
            self._brake.done(moved)
        tally = Tally(len(batch.items), len(moved))
        return _Tried((*claim.left, *stayed), claim.full or batch.more, batch.suspects_left, tally)

    def _begin(self, items: Sequence[ClaimedItem]) -> int:
        assert self._identity is not None  # noqa: S101  set before the claim
        inbox_ids = [item.inbox_id for item in items]
        batch_id, crashed_before = failures.begin_batch(
            self._witness, self._step, self._worker, self._identity, inbox_ids
        )
        if crashed_before:
            self._strike_out(batch_id)
            raise CrashedBeforeError
        return batch_id

    def _strike_out(self, batch_id: int | None) -> None:
        """This worker lives: a batch that it gives up is nobody's crash."""
        if batch_id is None:
            return
        try:
            with self._witness.connection() as connection:
                failures.end_batch(connection, batch_id)
        except DatabaseAwayError:
            self._known_connection = None  # so that it is done on the next connection

    def _identify(self, connection: Connection) -> None:
        if connection is not self._known_connection:
            failures.end_batches_of(self._witness, self._worker, self._step)
            self._identity = failures.session_identity(connection)
            self._known_connection = connection

    def _hint_next(self, outcome: Outcome) -> None:
        for following in steps_after(self._step):
            moved = [move.inbox_id for move in outcome.moves if move.stage == following.value]
            if moved:
                self._hints.publish_news(following, moved)
        for step in outcome.also_hint:
            self._hints.publish_if_idle(step)

    def _after_error(self, items: Sequence[ClaimedItem], error: Exception, carried: Carried) -> bool:
        """Halve a failed batch until the culprit is alone, then retry or bury it. Returns if more may wait."""
        if not items:
            raise error  # the claim itself failed: nothing to blame, and a defect of ours
        if len(items) == 1:
            self._after_failure(items[0], error)
            return True
        log.warning("batch_halved", items=len(items), error=error)
        middle = half(len(items))
        for part in (items[:middle], items[middle:]):
            if self._brake.on:
                break
            inbox_ids = frozenset(item.inbox_id for item in part)
            self._attempt(inbox_ids, len(part), inbox_ids, carried)
        return True

    def _after_failure(self, item: ClaimedItem, error: Exception) -> None:
        """Write it down. If nearly everything fails, and others that are tried fail too, the step is paused."""
        written = self._failing.write_down(item.inbox_id, error)
        if written is not None and self._brake.failed(item, written) and not self._probe().done:
            self._brake.engage(written.failure)

    def _settle(self) -> None:
        with self._session.transaction() as connection:
            self._failing.settle_crashed(connection)
            self._brake.look(connection)
        self._settled_at = time.monotonic()

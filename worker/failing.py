"""What becomes of items that failed, or whose worker died: written down, and tried again or given up."""

from dataclasses import dataclass

import structlog

from config.causes import fingerprint, reason_of
from config.masking import mask_error, masked_traceback
from config.topology import Step
from crm_store import failures
from crm_store.database import Connection, Session
from crm_store.failures import FailingItem, Failure
from tracker.texts import clean
from worker.policy import (
    CRASHES_TO_DEATH,
    GiveUp,
    Retry,
    after_failure,
    after_failure_while_paused,
    half,
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WrittenDown:
    """A failure that was written down, and the item as it was before."""

    failure: Failure
    item: FailingItem


class FailingItems:
    """Those of one step in this process. retry_for: seconds from an item's first failure to its dead letter."""

    def __init__(self, step: Step, worker: str, session: Session, retry_for: float) -> None:
        self._step = step
        self._worker = worker
        self._session = session
        self._retry_for = retry_for

    def write_down(self, inbox_id: int, error: Exception) -> WrittenDown | None:
        """Retry or bury an item that failed alone. None if it has left the step meanwhile."""
        failure = Failure(
            inbox_id=inbox_id,
            step=self._step,
            worker=self._worker,
            reason=reason_of(error),
            fingerprint=fingerprint(error),
            # PostgreSQL would refuse a NUL that an error quotes, and the item would never come to its end.
            error=clean(f"{type(error).__name__}: {mask_error(str(error))}"),
            traceback=clean(masked_traceback(error)),
        )
        with self._session.transaction() as connection:
            item = failures.failing_item(connection, self._step, inbox_id)
            if item is None:
                return None
            decision = self._decide(item)
            if isinstance(decision, Retry):
                failures.retry(connection, failure, item.attempts + 1, decision.due_at)
                log.warning("item_retried", item=inbox_id, attempt=item.attempts + 1, due_at=decision.due_at)
            else:
                failures.bury(connection, failure, item.attempts + 1)
                log.error("dead_letter", item=inbox_id, reason=failure.reason, fingerprint=failure.fingerprint)
        return WrittenDown(failure, item)

    def _decide(self, item: FailingItem) -> Retry | GiveUp:
        if item.replayed:  # it has one try in each step, whatever the step does: its chat has waited long enough
            return GiveUp()
        if item.paused:
            return after_failure_while_paused(item.now, item.attempts)
        return after_failure(item.now, item.first_failed_at, item.attempts, self._retry_for)

    def settle_crashed(self, connection: Connection) -> None:
        """Look for batches that died with their workers. A crash counts only for an item that ran alone."""
        taken = failures.take_crashed(connection, self._step)
        alone = [crashed.inbox_ids[0] for crashed in taken if crashed.counts and len(crashed.inbox_ids) == 1]
        if alone:
            failures.lock_chats_of(connection, alone)
        for crashed in taken:
            log.error("batch_crashed", crashed_worker=crashed.worker, items=len(crashed.inbox_ids))
            if not crashed.counts:
                continue
            if len(crashed.inbox_ids) > 1:
                failures.suspect(connection, self._step, crashed.inbox_ids, half(len(crashed.inbox_ids)))
            else:
                self._count_crash(connection, crashed.inbox_ids[0], crashed.worker)

    def _count_crash(self, connection: Connection, inbox_id: int, worker: str) -> None:
        """The item's chat is locked."""
        crashes = failures.count_crash(connection, self._step, inbox_id)
        if crashes >= CRASHES_TO_DEATH:
            failure = Failure(
                inbox_id=inbox_id,
                step=self._step,
                worker=worker,
                reason="worker_crashed",
                fingerprint=f"worker_crashed:{self._step}",
                error=f"its worker died {crashes} times while it ran alone",
                traceback="",
            )
            failures.bury(connection, failure, crashes)
            log.error("dead_letter", item=inbox_id, reason=failure.reason, fingerprint=failure.fingerprint)

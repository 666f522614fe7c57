"""What went wrong with inbox items: batches that died with their worker, failed attempts, dead letters."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from config.topology import Step
from crm_store import ledger
from crm_store.database import Connection, Session
from crm_store.inbox import DEAD
from crm_store.queries import Queries

_SQL = Queries("inbox")


@dataclass(frozen=True, slots=True)
class CrashedBatch:
    """A batch whose worker died in it. counts: false if PostgreSQL itself was restarted since."""

    inbox_ids: tuple[int, ...]
    worker: str
    counts: bool


@dataclass(frozen=True, slots=True)
class FailingItem:
    """An item that has just failed, before this failure is written. Times by the database's clock.

    first_failed_at: moved on by what its step was paused since. paused: its step is paused. replayed: it was a dead
    letter before.
    """

    attempts: int
    first_failed_at: datetime | None
    now: datetime
    paused: bool
    replayed: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt. error and traceback are masked already."""

    inbox_id: int
    step: Step
    worker: str
    reason: str
    fingerprint: str
    error: str
    traceback: str


def session_identity(connection: Connection) -> tuple[int, datetime]:
    """Backend pid and start of a session, by which others can tell whether it is still there."""
    row = connection.execute(_SQL["session_start"]).fetchone()
    assert row is not None  # noqa: S101  a session always sees itself
    return connection.info.backend_pid, row[0]


def begin_batch(
    session: Session, step: Step, worker: str, identity: tuple[int, datetime], inbox_ids: Collection[int]
) -> tuple[int, bool]:
    """Write down, for others to see, that this worker begins with these items.

    Returns the batch's id, and whether an unsettled batch names one of the items too: while the caller holds
    their chats' locks that can only be one whose worker has died or is just giving up.
    """
    backend_pid, backend_start = identity
    with session.connection() as connection:
        row = connection.execute(
            _SQL["begin_batch"],
            {
                "step": step,
                "worker": worker,
                "backend_pid": backend_pid,
                "backend_start": backend_start,
                "inbox_ids": list(inbox_ids),
            },
        ).fetchone()
    assert row is not None  # noqa: S101  RETURNING
    return row[0], row[1]


def end_batch(connection: Connection, batch_id: int) -> None:
    """Strike a batch out: in the transaction of its effects, or after its rollback."""
    connection.execute(_SQL["end_batch"], {"id": batch_id})


def end_batches_of(session: Session, worker: str, step: Step) -> None:
    """Strike out what this worker left open when it lost its connection: it is alive, so nothing has crashed."""
    with session.connection() as connection:
        connection.execute(_SQL["end_batches_of_worker"], {"worker": worker, "step": step})


def take_crashed(connection: Connection, step: Step) -> list[CrashedBatch]:
    """Strike out the batches of `step` whose workers are gone, and return them to be settled in this transaction."""
    rows = connection.execute(_SQL["crashed_batches"], {"step": step}).fetchall()
    return [CrashedBatch(tuple(inbox_ids), worker, counts) for inbox_ids, worker, counts in rows]


def suspect(connection: Connection, step: Step, inbox_ids: Collection[int], batch_limit: int) -> None:
    """From now on run these items in batches of at most `batch_limit`."""
    connection.execute(_SQL["suspect_items"], {"step": step, "inbox_ids": list(inbox_ids), "limit": batch_limit})


def count_crash(connection: Connection, step: Step, inbox_id: int) -> int:
    """Count a crash against an item that ran alone. Returns how many there were; 0 if it has left the step."""
    row = connection.execute(_SQL["count_crash"], {"step": step, "inbox_id": inbox_id}).fetchone()
    return row[0] if row else 0


def failing_item(connection: Connection, step: Step, inbox_id: int) -> FailingItem | None:
    """Lock a failed item, and its chat before it; None if it has left the step."""
    lock_chats_of(connection, [inbox_id])
    row = connection.execute(_SQL["failing_item"], {"step": step, "inbox_id": inbox_id}).fetchone()
    return FailingItem(*row) if row else None


def retry(connection: Connection, failure: Failure, attempt: int, due_at: datetime) -> None:
    """Write a failed attempt down and try the item again, alone, at `due_at`."""
    connection.execute(_SQL["retry_item"], {"inbox_id": failure.inbox_id, "due_at": due_at})
    _insert_failure(connection, failure, attempt)


def lock_chats_of(connection: Connection, inbox_ids: Collection[int]) -> None:
    """Lock the chats of items, in which a burial fixes their places; before the items, as a claim does."""
    connection.execute(_SQL["lock_chats_of"], {"inbox_ids": list(inbox_ids)})


def bury(connection: Connection, failure: Failure, attempts: int) -> bool:
    """Make an item a dead letter; its chat, which is locked, goes on. False if it has left the step meanwhile."""
    row = connection.execute(
        _SQL["bury_item"], {"step": failure.step, "inbox_id": failure.inbox_id, "reason": failure.reason}
    ).fetchone()
    if row is None:
        return False
    if row[0] is not None:
        connection.execute(_SQL["place_buried"], {"inbox_id": failure.inbox_id, "chat_seq": row[0]})
    _insert_failure(connection, failure, attempts)
    connection.execute(
        _SQL["insert_dead_letter"],
        {
            "inbox_id": failure.inbox_id,
            "step": failure.step,
            "reason": failure.reason,
            "fingerprint": failure.fingerprint,
            "attempts": attempts,
            "error": failure.error,
            "traceback": failure.traceback,
        },
    )
    ledger.enter(connection, {DEAD: 1})
    return True


def _insert_failure(connection: Connection, failure: Failure, attempt: int) -> None:
    connection.execute(
        _SQL["insert_failure"],
        {
            "inbox_id": failure.inbox_id,
            "step": failure.step,
            "attempt": attempt,
            "worker": failure.worker,
            "reason": failure.reason,
            "error": failure.error,
            "traceback": failure.traceback,
        },
    )

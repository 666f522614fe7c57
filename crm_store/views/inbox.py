"""The way of an inbox item through the steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from config.masking import mask_error
from config.topology import INBOX_STEPS
from crm_store.database import Connection
from crm_store.inbox import DONE
from crm_store.views import SQL


@dataclass(frozen=True, slots=True)
class StepTime:
    """A step that the item has gone through. seconds: since the step before, waiting included."""

    step: str
    at: datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """An attempt that failed; customers' words are masked in its error."""

    step: str
    attempt: int
    failed_at: datetime
    worker: str
    reason: str
    error: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why the item was given up. fingerprint: the cause, the same for all items that died of it."""

    step: str
    reason: str
    fingerprint: str
    attempts: int
    error: str
    traceback: str
    died_at: datetime


@dataclass(frozen=True, slots=True)
class InboxItem:
    """An accepted event. stage: the step that it waits for, or how it ended.

    attempts, crashes: failures in this stage. due_at: not before. seconds: from acceptance to the end.
    candidates: live cards that seemed to be the customer's when crm_lookup saw the message (T2); bind_chat decided.
    card_id, dialog_id: the result; card_id is null while there is no card yet (C2, C3).
    """

    id: int
    stage: str
    reason: str | None
    channel_key: str | None
    channel_kind: str | None
    kind: str | None
    external_id: str | None
    chat_id: int | None
    chat_seq: int | None
    received_at: datetime | None
    accepted_at: datetime
    finished_at: datetime | None
    seconds: float | None
    due_at: datetime
    attempts: int
    crashes: int
    candidates: list[int]
    card_id: int | None
    dialog_id: int | None
    steps: list[StepTime]
    failures: list[FailedAttempt]
    dead_letter: DeadLetter | None


def read(connection: Connection, inbox_id: int) -> InboxItem | None:
    """One item."""
    row = connection.execute(SQL["inbox_item"], {"inbox_id": inbox_id}).fetchone()
    if row is None:
        return None
    accepted_at, *times, finished_at = row[16:]
    failures = connection.execute(SQL["failures_of"], {"inbox_id": inbox_id}).fetchall()
    letter = connection.execute(SQL["dead_letter_of"], {"inbox_id": inbox_id}).fetchone()
    # The last step has no column of its own: it ends where a done item ends.
    last = finished_at if times[-1] is not None and row[1] == DONE else None
    return InboxItem(
        id=row[0],
        stage=row[1],
        reason=row[2],
        channel_key=row[3],
        channel_kind=row[4],
        kind=row[5],
        external_id=row[6],
        chat_id=row[7],
        chat_seq=row[8],
        received_at=row[9],
        accepted_at=accepted_at,
        finished_at=finished_at,
        seconds=None if finished_at is None else (finished_at - accepted_at).total_seconds(),
        due_at=row[10],
        attempts=row[11],
        crashes=row[12],
        candidates=row[15] or [],
        card_id=row[13],
        dialog_id=row[14],
        steps=_steps(accepted_at, [*times, last]),
        failures=[FailedAttempt(*[*failure[:5], mask_error(failure[5])]) for failure in failures],
        dead_letter=DeadLetter(*[*letter[:4], mask_error(letter[4]), *letter[5:]]) if letter else None,
    )


def _steps(accepted_at: datetime, times: Sequence[datetime | None]) -> list[StepTime]:
    steps: list[StepTime] = []
    before = accepted_at
    for step, at in zip(INBOX_STEPS, times, strict=True):
        if at is not None:
            steps.append(StepTime(step, at, (at - before).total_seconds()))
            before = at
    return steps

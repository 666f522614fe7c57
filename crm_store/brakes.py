"""Brakes of steps: while one is on, its step is not claimed but for a few items now and then that try it.

What time a failed item has left is read without the pauses of its step, see `failures.failing_item`.
"""

from dataclasses import dataclass
from datetime import datetime

from config.topology import Step
from crm_store.database import Connection
from crm_store.queries import Queries

_SQL = Queries("brakes")

LOOKED_AT = 2_000
"""Items at each end of a paused step's line among which those are drawn that try it."""


@dataclass(frozen=True, slots=True)
class Brake:
    """A brake that is on. resumes_in: seconds until some items are tried; less than 0 if that is overdue.

    reason, fingerprint: of the failure that engaged it. worker: who did.
    """

    step: Step
    since: datetime
    pauses: int
    resumes_in: float
    reason: str
    fingerprint: str
    worker: str


@dataclass(frozen=True, slots=True)
class Probe:
    """The right to try a paused step. pauses: how many there were in a row."""

    step: Step
    number: int
    pauses: int


@dataclass(frozen=True, slots=True)
class Released:
    """A brake that has ended just now. seconds: for which it was on."""

    since: datetime
    seconds: float
    pauses: int
    reason: str
    fingerprint: str


def on(connection: Connection) -> list[Brake]:
    """The brakes that are on."""
    rows = connection.execute(_SQL["on"]).fetchall()
    return [Brake(Step(step), *rest) for step, *rest in rows]


def is_on(connection: Connection, step: Step) -> bool:
    """Whether this step is paused."""
    row = connection.execute(_SQL["is_on"], {"step": step}).fetchone()
    return bool(row and row[0])


def pauses_before(connection: Connection, step: Step, remembered: float) -> int:
    """Pauses of the step's last brake, if it ended less than `remembered` seconds ago; else 0."""
    row = connection.execute(_SQL["pauses_before"], {"step": step, "remembered": remembered}).fetchone()
    return row[0] if row else 0


def engage(
    connection: Connection, step: Step, pauses: int, pause: float, reason: str, fingerprint: str, worker: str
) -> bool:
    """Pause the step for `pause` seconds. False if it is paused already."""
    row = connection.execute(
        _SQL["engage"],
        {
            "step": step,
            "pauses": pauses,
            "pause": pause,
            "reason": reason,
            "fingerprint": fingerprint,
            "worker": worker,
        },
    ).fetchone()
    return row is not None


def begin_probe(connection: Connection, step: Step, lease: float) -> Probe | None:
    """Take the right to try the step, for `lease` seconds; None if it is not due, or another worker has it."""
    row = connection.execute(_SQL["begin_probe"], {"step": step, "lease": lease}).fetchone()
    return Probe(step, *row) if row else None


def pause_again(connection: Connection, probe: Probe, pauses: int, pause: float) -> None:
    """The step is tried again after `pause` seconds."""
    connection.execute(
        _SQL["pause_again"], {"step": probe.step, "number": probe.number, "pauses": pauses, "pause": pause}
    )


def release(connection: Connection, probe: Probe) -> Released | None:
    """The step goes on. None if another worker has released it."""
    row = connection.execute(_SQL["release"], {"step": probe.step, "number": probe.number}).fetchone()
    return Released(*row) if row else None


def to_probe(connection: Connection, step: Step, limit: int) -> list[int]:
    """Due items of different chats to try the step with, those that have failed least first."""
    rows = connection.execute(_SQL["to_probe"], {"step": step, "limit": limit, "looked_at": LOOKED_AT}).fetchall()
    return [inbox_id for (inbox_id,) in rows]


def something_stands(connection: Connection, step: Step) -> bool:
    """Whether anything is in this step, due or not."""
    row = connection.execute(_SQL["something_stands"], {"step": step}).fetchone()
    return bool(row and row[0])


def engaged(connection: Connection) -> dict[Step, int]:
    """How often each step was paused, ever; steps that never were are left out."""
    return {Step(step): count for step, count in connection.execute(_SQL["engaged"]).fetchall()}


def forget(connection: Connection) -> None:
    """Delete brakes that ended a month ago."""
    connection.execute(_SQL["forget"])

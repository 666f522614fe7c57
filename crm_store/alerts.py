"""Alerts: what persons are to be told. Whoever finds something raises one in its transaction; a clock sends it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from crm_store.database import Connection
from crm_store.queries import Queries

_SQL = Queries("alerts")


class AlertKind(StrEnum):
    """What an alert tells."""

    NEW_GROUP = "dead_letters.new_group"
    RATE = "dead_letters.rate"
    STEP_PAUSED = "step.paused"
    STEP_RESUMED = "step.resumed"
    REPLAY_BRAKED = "replay.braked"
    TEST = "test"


class AlertState(StrEnum):
    """Where an alert stands. logged: nobody is to be told by webhook."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"
    LOGGED = "logged"


@dataclass(frozen=True, slots=True)
class LeasedAlert:
    """An alert that this clock is to send. attempts: this try included. now: the database's clock.

    message_id: the same at each try. details: JSON.
    """

    id: int
    message_id: str
    at: datetime
    kind: str
    subject: str
    details: str
    attempts: int
    first_tried_at: datetime
    now: datetime


@dataclass(frozen=True, slots=True)
class Look:
    """A look at the dead letters. since: when they died that are looked at. rate_due: no rate was told lately."""

    since: datetime
    rate_due: bool


@dataclass(frozen=True, slots=True)
class LetterGroup:
    """Dead letters of one cause. example: id of one of them."""

    step: str
    reason: str
    fingerprint: str
    letters: int
    example: int


def raise_alert(connection: Connection, kind: AlertKind, subject: str, details: Mapping[str, Any]) -> None:
    """Tell persons of this, if the caller's transaction commits.

    subject: one line for people. Neither it nor `details` may have a word of a customer.
    """
    connection.execute(_SQL["raise"], {"kind": kind, "subject": subject, "details": json.dumps(details)})


def begin_look(connection: Connection, every: float) -> Look | None:
    """Lock what one clock at a time may look at; None if another does. every: seconds between two rates."""
    row = connection.execute(_SQL["begin_look"], {"every": every}).fetchone()
    return Look(*row) if row else None


def end_look(connection: Connection, *, rate_alerted: bool) -> None:
    """The next look begins where this one did."""
    connection.execute(_SQL["end_look"], {"rate_alerted": rate_alerted})


def new_groups(connection: Connection, since: datetime) -> list[LetterGroup]:
    """Causes of letters that died since then and that were not seen in the last seven days. Now they are."""
    connection.execute(_SQL["forget_groups"])
    rows = connection.execute(_SQL["new_groups"], {"since": since}).fetchall()
    connection.execute(_SQL["see_groups"], {"since": since})
    return [LetterGroup(*row) for row in rows]


def deaths_of_last_minute(connection: Connection) -> int:
    """Letters that died within it."""
    row = connection.execute(_SQL["deaths_of_last_minute"]).fetchone()
    return row[0] if row else 0


def lease(connection: Connection, limit: int, seconds: float) -> list[LeasedAlert]:
    """Take alerts that are due, the oldest first, for so long."""
    rows = connection.execute(_SQL["lease"], {"limit": limit, "lease": seconds}).fetchall()
    return sorted((LeasedAlert(*row) for row in rows), key=lambda alert: alert.id)


def end(connection: Connection, alert: LeasedAlert, state: AlertState, error: str = "") -> None:
    """This is what became of it, unless its lease was lost."""
    connection.execute(_SQL["end"], {"id": alert.id, "attempts": alert.attempts, "state": state, "error": error})


def retry(connection: Connection, alert: LeasedAlert, due_at: datetime, error: str) -> None:
    """Send it again at `due_at`, unless its lease was lost."""
    connection.execute(_SQL["retry"], {"id": alert.id, "attempts": alert.attempts, "due_at": due_at, "error": error})


def forget(connection: Connection) -> None:
    """Delete alerts of more than a month ago."""
    connection.execute(_SQL["forget"])


def by_state(connection: Connection) -> dict[AlertState, int]:
    """How many there are, of the last month."""
    counts = dict.fromkeys(AlertState, 0)
    return counts | {AlertState(state): count for state, count in connection.execute(_SQL["by_state"]).fetchall()}

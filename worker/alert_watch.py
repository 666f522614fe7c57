"""What a clock looks for to tell persons: new causes of dead letters, and many of them at once."""

from dataclasses import dataclass

import structlog

from crm_store import alerts
from crm_store.alerts import AlertKind
from crm_store.database import Connection

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AlertThresholds:
    """rate: dead letters of one minute that are worth an alert. every: seconds at least between two such alerts."""

    rate: int = 60
    every: float = 600.0


def look_at_letters(connection: Connection, thresholds: AlertThresholds) -> None:
    """Raise what is to be told of the letters that died since the last look.

    In one transaction with what is remembered of it: over any number of clocks each thing is told once.
    """
    look = alerts.begin_look(connection, thresholds.every)
    if look is None:
        return
    for group in alerts.new_groups(connection, look.since):
        alerts.raise_alert(
            connection,
            AlertKind.NEW_GROUP,
            f"dead letters of a new cause in {group.step}: {group.reason}, {group.fingerprint}",
            {
                "step": group.step,
                "reason": group.reason,
                "fingerprint": group.fingerprint,
                "letters": group.letters,
                "letter_id": group.example,
            },
        )
    died = alerts.deaths_of_last_minute(connection)
    too_many = died >= thresholds.rate and look.rate_due
    if too_many:
        alerts.raise_alert(
            connection,
            AlertKind.RATE,
            f"{died} dead letters within one minute",
            {"letters": died, "threshold": thresholds.rate},
        )
    alerts.end_look(connection, rate_alerted=too_many)
    alerts.forget(connection)

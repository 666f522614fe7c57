"""Sending alerts: a signed POST (Standard Webhooks), by a thread of the clock, so that a slow receiver delays no timer.

An alert is leased, the lease committed, the call made, its result written if the lease was not lost. So it is sent at
least once, with the same `webhook-id` at each try.
"""

import asyncio
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import orjson
import structlog

from crm_store import alerts
from crm_store.alerts import AlertState, LeasedAlert
from crm_store.database import Session
from crm_store.errors import DatabaseAwayError
from ingest.adapters.signatures import sign
from worker.policy import delivery_backoff

log = structlog.get_logger(__name__)

AT_ONCE = 10
TIMEOUT = 8.0
"""Seconds for one call."""

LEASE = AT_ONCE * TIMEOUT + 30.0
LOOK_INTERVAL = 1.0
RETRY_FOR = timedelta(hours=1)
"""From its first try, for so long it is tried again, whatever its receiver answers: he may be mended meanwhile."""

_EXCERPT = 200
"""Bytes of a refusal that are shown to who tests it."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who is told. url: http or https. secret: of Standard Webhooks, base64 with or without `whsec_`."""

    url: str
    secret: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said. error: empty if he has it. status: of HTTP, None if there was no answer."""

    error: str
    status: int | None = None
    body: str = ""


class AlertSender:
    """Sends what is due. receiver: None logs alerts instead."""

    def __init__(self, session: Session, receiver: Receiver | None) -> None:
        self._session = session
        self._receiver = receiver

    def run(self, stop: threading.Event) -> None:
        """Send until `stop` is set. Never raises: alerts must not end the clock, nor the other way round."""
        while not stop.wait(LOOK_INTERVAL):
            try:
                while self.send_due() == AT_ONCE and not stop.is_set():
                    pass
            except DatabaseAwayError as error:
                log.warning("alerts_wait_for_database", error=error)
            except Exception:
                log.exception("alerts_not_sent")
        self._session.close()

    def send_due(self) -> int:
        """Send some of the alerts that are due, the oldest first. Returns how many were due."""
        with self._session.transaction() as connection:
            leased = alerts.lease(connection, AT_ONCE, LEASE)
        for alert in leased:
            self._tell(alert)
        return len(leased)

    def _tell(self, alert: LeasedAlert) -> None:
        if self._receiver is None:
            with self._session.transaction() as connection:
                alerts.end(connection, alert, AlertState.LOGGED)
            log.error("alert", kind=alert.kind, subject=alert.subject, details=orjson.loads(alert.details))
            return
        answer = send(self._receiver, alert)
        with self._session.transaction() as connection:
            if not answer.error:
                alerts.end(connection, alert, AlertState.SENT)
                log.info("alert_sent", alert=alert.id, kind=alert.kind)
                return
            due_at = alert.now + timedelta(seconds=delivery_backoff(alert.attempts))
            if due_at <= alert.first_tried_at + RETRY_FOR:
                alerts.retry(connection, alert, due_at, answer.error)
                log.warning("alert_retried", alert=alert.id, kind=alert.kind, error=answer.error)
            else:
                alerts.end(connection, alert, AlertState.FAILED, answer.error)
                log.error("alert_failed", alert=alert.id, kind=alert.kind, subject=alert.subject, error=answer.error)


def send(receiver: Receiver, alert: LeasedAlert) -> Answer:
    """POST it: `{"type", "timestamp", "text", "data"}`, signed. Waits TIMEOUT seconds at the most."""
    return asyncio.run(_send(receiver, alert))


def body_of(alert: LeasedAlert) -> bytes:
    """What is sent. `text` is for people: chat programs show it as it is."""
    told: dict[str, Any] = {
        "type": alert.kind,
        "timestamp": alert.at.isoformat(),
        "text": f"openchannel: {alert.subject}",
        "data": orjson.loads(alert.details),
    }
    return orjson.dumps(told)


async def _send(receiver: Receiver, alert: LeasedAlert) -> Answer:
    body, timestamp = body_of(alert), int(alert.now.timestamp())
    headers = {
        "content-type": "application/json",
        "webhook-id": alert.message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(receiver.secret, alert.message_id, timestamp, body),
    }
    try:
        # For the whole call: a receiver that answers a byte now and then never runs into the client's own limits.
        async with (
            asyncio.timeout(TIMEOUT),
            httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False) as client,
            client.stream("POST", receiver.url, content=body, headers=headers) as response,
        ):
            if response.is_success:
                return Answer("", response.status_code)
            said = b""
            async for part in response.aiter_bytes():
                said += part
                if len(said) > _EXCERPT:
                    break
            return Answer(
                f"HTTP {response.status_code}", response.status_code, said[:_EXCERPT].decode(errors="replace")
            )
    except TimeoutError:
        return Answer("timeout")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Answer(type(error).__name__)

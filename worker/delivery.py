"""Delivery: from the outbox to the channels' APIs, in the order of each chat.

No lock is held while a channel is called: a delivery is leased, the lease committed, the call made, its result
written under the condition that the lease was not lost. A worker that dies in between has its lease run out, and
the message is sent again with the same idempotency key.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import httpx
import structlog

from config.topology import Step
from crm_store import costs, desks, outbox, receipts
from crm_store.database import Connection, Session
from crm_store.errors import DatabaseAwayError
from crm_store.outbox import LeasedDelivery
from crm_store.secrets import SecretBox
from tracker.channels import Channel
from worker.hints import Hints
from worker.policy import delivery_backoff
from worker.senders import SENDERS, Delivered, Refused, Result, TryAgain

log = structlog.get_logger(__name__)

AT_ONCE = 16
"""Deliveries that are leased, and sent side by side, at once."""

RECEIPTS_AT_ONCE = 1000
"""Receipts that one commit applies."""

LONGEST_CALL = 60.0
"""Seconds that the HTTP client gives each part of a call; the whole call has less, see `timeout`."""

LEASE_BEYOND_TIMEOUT = 4.0
"""A lease lasts so many times as long as a call may; the rest is for writing the result down."""


class Delivery:
    """Sends what is due. Not safe for use by several threads."""

    def __init__(
        self, session: Session, box: SecretBox, hints: Hints, timeout: float = 8.0, retry_for: float = 3600.0
    ) -> None:
        """timeout: seconds for one call. retry_for: seconds from the first try to giving up."""
        self._session = session
        self._box = box
        self._hints = hints
        self._retry_for = retry_for
        self._lease = timeout * LEASE_BEYOND_TIMEOUT
        self._timeout = timeout
        # Reading the authorities' certificates takes 20 ms of CPU: once, not in each round.
        self._tls = httpx.create_ssl_context()

    def run(self, _items: Sequence[Any] = (), _tries: int = 0) -> None:
        """Apply what channels have reported, and send one round of what is due, whatever the hint named."""
        began = time.perf_counter()
        try:
            while self._apply_receipts() == RECEIPTS_AT_ONCE:
                pass
            with self._session.transaction() as connection:
                leased = outbox.lease(connection, AT_ONCE, self._lease)
                channels = self._channels(connection) if leased else {}
            if not leased:
                return
            results = asyncio.run(self._send_all(channels, leased))
            with self._session.transaction() as connection:
                # By id, as receipts lock them: two that wait for each other would both be sent again.
                for delivery, result in sorted(zip(leased, results, strict=True), key=lambda pair: pair[0].id):
                    self._write_down(connection, delivery, result)
                costs.enter(connection, Step.DELIVER, len(leased), time.perf_counter() - began)
        except DatabaseAwayError as error:
            log.warning("delivery_waits_for_database", error=error)
            return
        self._hints.publish_if_idle(Step.DELIVER)

    def _apply_receipts(self) -> int:
        """Before anything is leased: what is known to have arrived is not sent again (S5)."""
        with self._session.transaction() as connection:
            return receipts.apply(connection, RECEIPTS_AT_ONCE)

    async def _send_all(self, channels: Mapping[int, Channel], leased: Sequence[LeasedDelivery]) -> list[Result]:
        async with httpx.AsyncClient(verify=self._tls, timeout=LONGEST_CALL, follow_redirects=False) as client:
            return await asyncio.gather(*(self._send(client, channels, delivery) for delivery in leased))

    async def _send(
        self, client: httpx.AsyncClient, channels: Mapping[int, Channel], delivery: LeasedDelivery
    ) -> Result:
        channel = channels.get(delivery.channel_id)
        if channel is None:
            return Refused("its channel is gone")
        try:
            # For the whole call: a receiver that answers a byte now and then never runs into the client's own limits.
            async with asyncio.timeout(self._timeout):
                return await SENDERS[channel.kind](client, channel, delivery)
        except TimeoutError:
            return TryAgain("timeout")
        except Exception as error:  # a defect of a sender must not hold up the other deliveries
            log.exception("sender_failed", channel=channel.key)
            return TryAgain(type(error).__name__)

    def _channels(self, connection: Connection) -> dict[int, Channel]:
        return {channel.id: channel for channel in desks.read_channels(connection, self._box)}

    def _write_down(self, connection: Connection, delivery: LeasedDelivery, result: Result) -> None:
        match result:
            case Delivered():
                outbox.sent(connection, delivery)
            case TryAgain(error, after):
                due_at = delivery.now + timedelta(seconds=after or delivery_backoff(delivery.attempts))
                if due_at > delivery.first_tried_at + timedelta(seconds=self._retry_for):
                    self._give_up(connection, delivery, error)
                else:
                    outbox.retry(connection, delivery, due_at, error)
            case Refused(error):
                self._give_up(connection, delivery, error)

    def _give_up(self, connection: Connection, delivery: LeasedDelivery, error: str) -> None:
        outbox.failed(connection, delivery, error)
        log.error("delivery_failed", delivery=delivery.id, attempts=delivery.attempts, error=error)

"""Sending to channels. So far the custom channel: a signed POST to its callback URL (Standard Webhooks)."""

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import httpx
import orjson

from config.causes import reason_of
from crm_store.outbox import LeasedDelivery
from ingest.adapters.signatures import sign
from tracker.channels import Channel


@dataclass(frozen=True, slots=True)
class Delivered:
    """The channel has taken it."""


@dataclass(frozen=True, slots=True)
class TryAgain:
    """It may not have arrived; trying again is safe, because the receiver knows the idempotency key.

    reason: stable, the dead letter's group. after: seconds.
    """

    error: str
    reason: str
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """It will never be taken."""

    error: str
    reason: str


Result = Delivered | TryAgain | Refused
Sender = Callable[[httpx.AsyncClient, Channel, LeasedDelivery], Awaitable[Result]]

LONGEST_PAUSE = 300.0
"""Seconds that a receiver may ask us to wait; he may ask again."""

_RETRIED_STATUSES = frozenset({408, 409, 425, 429})


async def send_custom(client: httpx.AsyncClient, channel: Channel, delivery: LeasedDelivery) -> Result:
    """POST the message to the channel's `callback_url`, signed with its newest secret.

    `webhook-id` is the idempotency key: a receiver that has seen it answers 2xx and does nothing.
    """
    url = channel.config.get("callback_url")
    if not isinstance(url, str) or not url:
        return Refused("the channel has no callback_url in its config", "no_callback_url")
    if channel.unreadable:
        return TryAgain("the channel's secret cannot be decrypted", "secret_key")
    if not channel.secrets:
        return Refused("the channel has no secret to sign with", "no_secret")
    body = orjson.dumps(
        {
            "type": "message",
            "id": str(delivery.idempotency_key),
            "chat_id": delivery.address,
            "text": delivery.text,
            "sent_at": delivery.written_at.isoformat(),
        }
    )
    message_id, timestamp = str(delivery.idempotency_key), int(delivery.now.timestamp())
    headers = {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(channel.secrets[0], message_id, timestamp, body),
    }
    try:
        # The answer's body is of no interest, and may be endless: only its head is read.
        async with client.stream("POST", url, content=body, headers=headers) as response:
            return _read_answer(response)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        return Refused("the channel's callback_url is not a URL", "bad_callback_url")
    except httpx.HTTPError as error:
        return TryAgain(type(error).__name__, reason_of(error))


def _read_answer(response: httpx.Response) -> Result:
    if response.is_success:
        return Delivered()
    error, reason = f"HTTP {response.status_code}", f"http_{response.status_code}"
    if response.status_code >= 500 or response.status_code in _RETRIED_STATUSES:
        return TryAgain(error, reason, _retry_after(response))
    return Refused(error, reason)


def _retry_after(response: httpx.Response) -> float | None:
    try:
        seconds = float(response.headers["retry-after"])
    except (KeyError, ValueError):
        return None
    return min(seconds, LONGEST_PAUSE) if math.isfinite(seconds) and seconds > 0 else None


SENDERS: Mapping[str, Sender] = {"custom": send_custom}
"""By the channel's kind. Messages of other channels are held until sending over them is built."""

SENDABLE_KINDS = frozenset(SENDERS)

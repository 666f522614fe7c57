"""From parsed events to inbox items."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import orjson

from crm_store import inbox
from crm_store.inbox import NewItem
from crm_store.receipts import Receipt
from crm_store.secrets import SecretBox
from ingest.adapters.base import ParsedEvent, ParseError
from tracker.channels import Channel
from tracker.deliveries import REPORTED, DeliveryState
from tracker.messages import CHANGE_KINDS, InboundMessage, MessageKind

PARSE = "parse"
"""The step in which a body that cannot be read fails."""

UNKNOWN_ACCOUNT = "unknown_account"

_SECRET_HEADERS = ("authorization", "cookie", "token", "secret", "signature")


def as_item(
    event: ParsedEvent, channel: Channel, headers: Mapping[str, str], received_at: datetime, box: SecretBox
) -> NewItem:
    """The inbox item of an event of this channel."""
    if event.message is None:
        return unread(event, channel, headers, received_at, box, ParseError.reason)
    return _readable(event.raw, event.message, channel, box)


def unread(
    event: ParsedEvent,
    channel: Channel,
    headers: Mapping[str, str],
    received_at: datetime,
    box: SecretBox,
    reason: str,
) -> NewItem:
    """A verified event that cannot be used now: kept raw and dead-lettered, recognised by its bytes."""
    kept = {name: value for name, value in headers.items() if not any(part in name for part in _SECRET_HEADERS)}
    return NewItem(
        channel_id=channel.id,
        key_hash=box.hash(f"raw:{hashlib.sha256(event.raw).hexdigest()}"),
        received_at=received_at,
        raw=event.raw,
        headers=orjson.dumps(kept).decode(),
        stage=inbox.DEAD,
        reason=reason,
        failed_in=PARSE,
        error=event.error,
    )


def _readable(raw: bytes, message: InboundMessage, channel: Channel, box: SecretBox) -> NewItem:
    acts = message.from_customer or message.kind in CHANGE_KINDS
    return NewItem(
        channel_id=channel.id,
        key_hash=box.hash(message.key),
        received_at=message.received_at,
        raw=raw,
        message=message.model_dump_json(exclude_defaults=True),
        chat=message.chat_id if acts else None,
        customer_id=message.customer_id,
        name=message.name,
        stage=inbox.FIRST_STAGE if acts else inbox.IGNORED,
        reason=None if acts else message.kind.value,
        receipt=_receipt(message, channel),
    )


def _receipt(message: InboundMessage, channel: Channel) -> Receipt | None:
    """What a status reports of a message of ours (S5); None where its target has not the form of our ids.

    Where a channel gives our messages ids of its own, those are not known yet.
    """
    if message.kind is not MessageKind.STATUS or message.text not in REPORTED:
        return None
    try:
        message_key = UUID(message.target)
    except ValueError:
        return None
    return Receipt(channel.id, message_key, DeliveryState(message.text))

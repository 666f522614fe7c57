"""From parsed events to inbox items."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from uuid import UUID

import orjson

from crm_store import inbox
from crm_store.inbox import NewItem
from crm_store.receipts import Receipt
from crm_store.secrets import SecretBox
from ingest.adapters.base import Adapter, ParsedEvent, ParseError, load_json, parse_slice
from tracker.channels import Channel
from tracker.deliveries import REPORTED, DeliveryState
from tracker.messages import CHANGE_KINDS, InboundMessage, MessageKind
from tracker.texts import clean

PARSE = "parse"
"""The step in which a body that cannot be read fails."""

UNKNOWN_ACCOUNT = "unknown_account"

OfAccount = Callable[[Channel, str], Channel | None]
"""Finds the channel of another account; see `ingest.directory.channel_of_account`."""

_SECRET_HEADERS = ("auth", "cookie", "token", "secret", "signature", "key", "passw", "credential")
"""Parts of the names of headers that may open something; proxies and providers have their own, as `x-api-key`."""

HEADERS_LENGTH = 8 * 1024
"""Characters of a request's headers that are kept with each of its items."""


def kept_headers(headers: Mapping[str, str]) -> str:
    """A request's headers as they are kept, as JSON: without secrets, and no more of them than is sensible."""
    kept: dict[str, str] = {}
    left = HEADERS_LENGTH
    for name, value in headers.items():
        if _may_open_something(name):
            continue
        left -= len(name) + len(value)
        if left > 0:
            kept[name] = clean(value)
    return orjson.dumps(kept).decode()


@lru_cache(maxsize=1024)
def _may_open_something(name: str) -> bool:
    return any(part in name.lower() for part in _SECRET_HEADERS)


def as_item(event: ParsedEvent, channel: Channel, headers: str, received_at: datetime, box: SecretBox) -> NewItem:
    """The inbox item of an event of this channel. headers: as `kept_headers` gives them."""
    if event.message is None:
        return unread(event, channel, headers, received_at, box, ParseError.reason)
    return _readable(event.raw, event.message, channel, headers, box)


def item_of_account(
    adapter: Adapter,
    event: ParsedEvent,
    channel: Channel,
    headers: str,
    received_at: datetime,
    of_account: OfAccount,
    box: SecretBox,
) -> NewItem:
    """As `as_item`; an event of another account than this channel's belongs to the channel of that one."""
    account_id = event.message.account_id if event.message else ""
    if account_id and channel.account_id and account_id != channel.account_id:
        other = of_account(channel, account_id)
        if other is None:
            event = replace(event, message=None, error=f"no channel is connected to account {account_id}")
            return unread(event, channel, headers, received_at, box, UNKNOWN_ACCOUNT)
        channel = other
        # Once more, for the channel that it belongs to: region and namespaces are that channel's.
        event = parse_slice(adapter, load_json(event.raw), channel, received_at)
    return as_item(event, channel, headers, received_at, box)


def unread(
    event: ParsedEvent,
    channel: Channel,
    headers: str,
    received_at: datetime,
    box: SecretBox,
    reason: str,
) -> NewItem:
    """A verified event that cannot be used now: kept raw and dead-lettered, recognised by its bytes."""
    return NewItem(
        channel_id=channel.id,
        key_hash=box.hash(f"raw:{hashlib.sha256(event.raw).hexdigest()}"),
        received_at=received_at,
        raw=event.raw,
        headers=headers,
        stage=inbox.DEAD,
        reason=reason,
        failed_in=PARSE,
        error=event.error,
        fingerprint=event.fingerprint or reason,
        traceback=event.traceback,
        whole_body=event.whole_body,
    )


def _readable(raw: bytes, message: InboundMessage, channel: Channel, headers: str, box: SecretBox) -> NewItem:
    acts = message.from_customer or message.kind in CHANGE_KINDS
    return NewItem(
        channel_id=channel.id,
        key_hash=box.hash(message.key),
        received_at=message.received_at,
        raw=raw,
        message=message.model_dump_json(exclude_defaults=True),
        headers=headers,
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

"""Live chat: our own widget's protocol, one JSON message per request, from browsers (docs/adapters.md)."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar

from ingest.adapters.base import PUBLIC_BODY_LIMIT, AdapterDefaults, ParseError, Reply, Slice, WebhookRequest, load_json
from ingest.adapters.envelope import Envelope
from ingest.adapters.identity_token import claims_of
from ingest.adapters.own_protocol import attachments, contact_details
from ingest.adapters.reading import Json, an_object, instant, mapping, missing, required, text
from tracker.channels import Channel
from tracker.identifiers import Evidence, messenger
from tracker.messages import InboundMessage, MessageKind

VISITOR_ID = re.compile(r"[A-Za-z0-9_-]{16,128}")
"""Who knows a visitor's id is the visitor: the widget makes it at random. It cannot hold the colon of SIGNED."""

SIGNED = "signed:"
"""Stands before the `sub` of an identity token, in chats and senders."""


class LiveChat(AdapterDefaults):
    """Anybody may write; an identity token, where there is one, proves who it is."""

    kind: ClassVar[str] = "livechat"
    content_types: ClassVar[frozenset[str]] = frozenset({"application/json"})
    from_browsers: ClassVar[bool] = True
    body_limit: ClassVar[int] = PUBLIC_BODY_LIMIT

    def verify(self, request: WebhookRequest, channel: Channel) -> None:
        """A token in the message is valid; a message without one needs no proof."""
        try:
            message = mapping(load_json(request.body))
        except ParseError:
            return  # nothing that could carry a token: kept, and reported as unparsable
        _claims(message, channel, request.received_at)

    def slices(self, request: WebhookRequest) -> Iterable[Slice]:
        """The message."""
        return [an_object(load_json(request.body), "message")]

    def normalise(self, event: Slice, channel: Channel, received_at: datetime) -> InboundMessage:
        """Raises ParseError for a message without ids or content, and SignatureError for a bad token."""
        message = an_object(event, "message")
        claims = _claims(message, channel, received_at)
        sender = f"{SIGNED}{text(claims.get('sub'))}" if claims else _visitor(message)
        message_id = required(message, "message_id")
        written, files = text(message.get("text")), attachments(message.get("attachments"))
        details = [
            *contact_details(claims, Evidence.SIGNED, channel.region),
            *contact_details(message, Evidence.TYPED, channel.region),
        ]
        # The sender is part of the key: nobody can use up the message ids of somebody else.
        envelope = Envelope(channel, channel.account_id, f"{sender}:{message_id}", received_at)
        return envelope.message(
            _kind(written, bool(files), any(details)),
            message_id,
            chat_id=sender,
            customer_id=sender,
            name=text(claims.get("name")) or text(message.get("name")),
            text=written,
            attachments=files,
            identifiers=[messenger(f"livechat/{channel.key}", sender), *details],
            sent_at=instant(message.get("sent_at")),
            referral=text(message.get("page_url")),
        )

    def accepted(self, _request: WebhookRequest, _channel: Channel) -> Reply:
        """JSON, as the widget asked in JSON."""
        return Reply(body='{"ok":true}', content_type="application/json")


def _claims(message: Json, channel: Channel, received_at: datetime) -> Json:
    token = message.get("identity_token")
    return claims_of(token, channel, received_at.timestamp()) if token not in (None, "") else {}


def _visitor(message: Json) -> str:
    visitor_id = required(message, "visitor_id")
    if not VISITOR_ID.fullmatch(visitor_id):
        raise ParseError("visitor_id is not 16 to 128 letters, digits, - and _")
    return visitor_id


def _kind(written: str, has_files: bool, has_details: bool) -> MessageKind:
    if has_files:
        return MessageKind.MEDIA
    if written:
        return MessageKind.TEXT
    return MessageKind.CONTACT if has_details else missing("text")

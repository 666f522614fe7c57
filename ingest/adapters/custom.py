"""Custom channels: our own JSON protocol, from a server that signs as Standard Webhooks says (docs/adapters.md)."""

from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar

from ingest.adapters.base import AdapterDefaults, ParseError, Slice, WebhookRequest, load_json
from ingest.adapters.envelope import Envelope
from ingest.adapters.own_protocol import attachments, contact_details
from ingest.adapters.reading import Json, an_object, instant, mapping, missing, required, text
from ingest.adapters.signatures import check_standard_webhook
from tracker.channels import Channel
from tracker.identifiers import Evidence, messenger
from tracker.messages import CHANGE_KINDS, CUSTOMER_KINDS, Attachment, InboundMessage, MessageKind

_KINDS = {kind.value: kind for kind in MessageKind}
_STATUS = "status"
_SAY_SOMETHING = frozenset({MessageKind.TEXT, MessageKind.MEDIA})


class Custom(AdapterDefaults):
    """One message, or `{"messages": [...]}`."""

    kind: ClassVar[str] = "custom"
    content_types: ClassVar[frozenset[str]] = frozenset({"application/json"})

    def verify(self, request: WebhookRequest, channel: Channel) -> None:
        """`webhook-id`, `webhook-timestamp` and `webhook-signature`, five minutes, any valid secret."""
        check_standard_webhook(request, channel)

    def slices(self, request: WebhookRequest) -> Iterable[Slice]:
        """Each message with the id of its delivery, which stands in for an id of its own."""
        body = an_object(load_json(request.body), "body")
        messages = body.get("messages", [body])
        if not isinstance(messages, list):
            missing("messages")
        delivery = request.headers.get("webhook-id", "")
        return [{"delivery": f"{delivery}#{index}", "message": message} for index, message in enumerate(messages)]

    def normalise(self, event: Slice, channel: Channel, received_at: datetime) -> InboundMessage:
        """Raises ParseError for a message that breaks the protocol."""
        delivery = required(mapping(event), "delivery")
        message = an_object(mapping(event).get("message"), "message")
        if message.get("type") == _STATUS:
            return _status(message, delivery, channel, received_at)
        files = attachments(message.get("attachments"))
        kind = _kind(message, files)
        target = required(message, "target") if kind in CHANGE_KINDS else text(message.get("target"))
        message_id = text(message.get("id")) or delivery
        # An edit that gives the id of what it edits would pass for a repeated delivery of it.
        key = delivery if message_id == target else message_id
        chat_id = text(message.get("chat_id")) or required(message, "customer_id")
        customer_id = text(message.get("customer_id")) or chat_id
        details = contact_details(message, _evidence(message), channel.region)
        return Envelope(channel, channel.account_id, key, received_at).message(
            kind,
            message_id,
            chat_id=chat_id,
            customer_id=customer_id,
            name=text(message.get("name")),
            text=text(message.get("text")),
            attachments=files,
            identifiers=[messenger(f"custom/{channel.key}", customer_id), *details] if kind in CUSTOMER_KINDS else (),
            sent_at=instant(message.get("sent_at")),
            reply_to=text(message.get("reply_to")),
            target=target,
            referral=text(message.get("referral")),
            forwarded=message.get("forwarded") is True,
        )


def _status(message: Json, delivery: str, channel: Channel, received_at: datetime) -> InboundMessage:
    """What became of a message of ours (S5), which the caller names by the id that we gave it."""
    status = required(message, "status")
    # A server that reports under the id of the message itself sends several deliveries with one id.
    return Envelope(channel, channel.account_id, f"{status}:{delivery}", received_at).message(
        MessageKind.STATUS,
        "",
        chat_id=text(message.get("chat_id")),
        text=status,
        sent_at=instant(message.get("sent_at")),
        target=required(message, "id"),
    )


def _kind(message: Json, files: list[Attachment]) -> MessageKind:
    default = MessageKind.MEDIA if files else MessageKind.TEXT
    # An unknown kind is of a newer protocol than ours, perhaps: kept.
    kind = _KINDS.get(text(message.get("kind")) or default, MessageKind.IGNORED)
    if kind in _SAY_SOMETHING and not files and not text(message.get("text")):
        raise ParseError(f"a message of kind {kind} needs text or attachments")
    return kind


def _evidence(message: Json) -> Evidence:
    """T3. The caller's server is trusted to say how it knows, but has to say it."""
    written = message.get("evidence", Evidence.TYPED.value)
    if written not in list(Evidence):
        raise ParseError("evidence is not proven, signed or typed")
    return Evidence(text(written))

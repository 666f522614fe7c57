"""LINE official accounts (Messaging API, https://developers.line.biz/en/reference/messaging-api/#webhooks)."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import ClassVar

from ingest.adapters.base import AdapterDefaults, Slice, WebhookRequest, load_json
from ingest.adapters.envelope import Envelope, on_standby
from ingest.adapters.reading import (
    Json,
    an_object,
    fingerprint,
    instant_in_milliseconds,
    mapping,
    missing,
    number,
    required,
    size,
    text,
)
from ingest.adapters.signatures import check_base64_sha256
from tracker.channels import Channel
from tracker.identifiers import Identifier, messenger
from tracker.messages import CUSTOMER_KINDS, Attachment, InboundMessage, MessageKind

KINDS = {
    "text": MessageKind.TEXT,
    "image": MessageKind.MEDIA,
    "video": MessageKind.MEDIA,
    "audio": MessageKind.MEDIA,
    "file": MessageKind.MEDIA,
    "location": MessageKind.LOCATION,
    "sticker": MessageKind.STICKER,
}
"""By `message.type`; what is not here is unsupported."""

FILES = {"image": "image", "video": "video", "audio": "audio", "file": "document", "sticker": "sticker"}


class Line(AdapterDefaults):
    """Batches, also of several users, proved by `x-line-signature` under the channel secret.

    A body without events, by which LINE tries a webhook, is a body like any other.
    """

    kind: ClassVar[str] = "line"
    content_types: ClassVar[frozenset[str]] = frozenset({"application/json"})

    def verify(self, request: WebhookRequest, channel: Channel) -> None:
        """The header is the base64 HMAC-SHA256 of the raw body."""
        check_base64_sha256(request, "x-line-signature", channel)

    def slices(self, request: WebhookRequest) -> Iterable[Slice]:
        """Each event with the bot that it is for."""
        body = an_object(load_json(request.body), "body")
        events = body.get("events")
        destination = text(body.get("destination"))
        return [
            {"destination": destination, "event": event}
            for event in (events if isinstance(events, list) else missing("events"))
        ]

    def normalise(self, event: Slice, channel: Channel, received_at: datetime) -> InboundMessage:
        """Raises ParseError for an event that lacks its ids."""
        whole = an_object(event, "event")
        item = an_object(whole.get("event"), "event")
        return _READERS.get(text(item.get("type")), _read_note)(
            _Event(item, text(whole.get("destination")), channel, received_at)
        )


class _Event:
    """An event, with who it is from and how it is recognised."""

    def __init__(self, item: Json, account_id: str, channel: Channel, received_at: datetime) -> None:
        self.item = item
        self.content = mapping(item.get("message"))
        source = mapping(item.get("source"))
        self.user_id = text(source.get("userId"))
        self.is_private = source.get("type") == "user"
        self.chat_id = text(source.get("groupId")) or text(source.get("roomId")) or self.user_id
        self._channel = channel
        # A user's id is the same for all bots of one provider, whose id LINE does not send (T2).
        self._namespace = f"line/{text(channel.config.get('provider')) or account_id or channel.key}"
        self._of = (channel, account_id, self._key(), received_at)

    def message(
        self,
        kind: MessageKind,
        message_id: str = "",
        *,
        text: str = "",
        attachments: Iterable[Attachment] = (),
        reply_to: str = "",
        target: str = "",
    ) -> InboundMessage:
        """message_id: empty for what is no message. Nothing in a group makes a customer (C5)."""
        if not self.is_private:
            kind = MessageKind.GROUP
        elif self.item.get("mode") == "standby":
            kind = on_standby(kind)
        return Envelope(*self._of).message(
            kind,
            message_id,
            chat_id=self.chat_id,
            customer_id=self.user_id,
            text=text,
            attachments=attachments,
            identifiers=[self._sender()] if kind in CUSTOMER_KINDS else (),
            sent_at=instant_in_milliseconds(self.item.get("timestamp")),
            reply_to=reply_to,
            target=target,
        )

    def _sender(self) -> Identifier:
        return messenger(self._namespace, self.user_id)

    def _key(self) -> str:
        # A redelivery keeps its id; events of before 2022 have none.
        if event_id := text(self.item.get("webhookEventId")):
            return event_id
        message_id = text(self.content.get("id"))
        return f"message:{message_id}" if message_id and self.item.get("type") == "message" else fingerprint(self.item)


def _read_message(event: _Event) -> InboundMessage:
    return event.message(
        KINDS.get(text(event.content.get("type")), MessageKind.UNSUPPORTED),
        required(event.content, "id"),
        text=_text(event.content),
        attachments=_attachments(event.content),
        reply_to=text(event.content.get("quotedMessageId")),
    )


def _read_edit(event: _Event) -> InboundMessage:
    message_id = required(event.content, "id")
    return event.message(MessageKind.EDIT, message_id, text=_text(event.content), target=message_id)


def _read_unsend(event: _Event) -> InboundMessage:
    message_id = required(mapping(event.item.get("unsend")), "messageId")
    return event.message(MessageKind.DELETE, message_id, target=message_id)


def _read_postback(event: _Event) -> InboundMessage:
    return event.message(MessageKind.BUTTON, text=text(mapping(event.item.get("postback")).get("data")))


def _read_lifecycle(event: _Event) -> InboundMessage:
    # `unfollow`: the customer has blocked the account.
    return event.message(MessageKind.LIFECYCLE, text=text(event.item.get("type")))


def _read_note(event: _Event) -> InboundMessage:
    return event.message(MessageKind.SYSTEM, text=text(event.item.get("type")))


_READERS: Mapping[str, Callable[[_Event], InboundMessage]] = {
    "message": _read_message,
    "messageEdited": _read_edit,
    "unsend": _read_unsend,
    "postback": _read_postback,
    "follow": _read_lifecycle,
    "unfollow": _read_lifecycle,
}


def _text(message: Json) -> str:
    return (
        text(message.get("text"))
        or text(message.get("fileName"))
        or text(message.get("title"))
        or text(message.get("address"))
    )


def _attachments(message: Json) -> list[Attachment]:
    kind = text(message.get("type"))
    if kind in FILES:
        return [_file(FILES[kind], message)]
    if kind == "location":
        return [
            Attachment(
                kind=kind,
                name=text(message.get("title")) or text(message.get("address")),
                latitude=number(message.get("latitude")),
                longitude=number(message.get("longitude")),
            )
        ]
    return []


def _file(kind: str, message: Json) -> Attachment:
    # The file itself is fetched by the message's id, unless the customer's app keeps it elsewhere.
    return Attachment(
        kind=kind,
        id=text(message.get("stickerId")) or text(message.get("id")),
        url=text(mapping(message.get("contentProvider")).get("originalContentUrl")),
        name=text(message.get("fileName")),
        size=size(message.get("fileSize")),
    )

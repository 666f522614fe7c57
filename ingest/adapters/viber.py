"""Viber bots (https://developers.viber.com/docs/api/rest-bot-api/#callbacks)."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import ClassVar

from ingest.adapters.base import AdapterDefaults, Slice, WebhookRequest, load_json
from ingest.adapters.envelope import Envelope
from ingest.adapters.reading import (
    Json,
    an_object,
    fingerprint,
    instant_in_milliseconds,
    mapping,
    number,
    required,
    size,
    text,
)
from ingest.adapters.signatures import check_hex_sha256
from tracker.channels import Channel
from tracker.identifiers import messenger
from tracker.messages import Attachment, InboundMessage, MessageKind

KINDS = {
    "text": MessageKind.TEXT,
    "url": MessageKind.TEXT,
    "picture": MessageKind.MEDIA,
    "video": MessageKind.MEDIA,
    "file": MessageKind.MEDIA,
    "sticker": MessageKind.STICKER,
    "contact": MessageKind.CONTACT,
    "location": MessageKind.LOCATION,
}
"""By `type`; what is not here is unsupported."""

FILES = {"picture": "image", "video": "video", "file": "document", "sticker": "sticker"}


class Viber(AdapterDefaults):
    """One event per request, proved by `X-Viber-Content-Signature` under the bot's token.

    The event `webhook`, by which Viber tries a new webhook, is signed too: a wrong token shows at the set-up.
    """

    kind: ClassVar[str] = "viber"
    content_types: ClassVar[frozenset[str]] = frozenset({"application/json"})

    def verify(self, request: WebhookRequest, channel: Channel) -> None:
        """The header is the hex HMAC-SHA256 of the raw body."""
        check_hex_sha256(request, "x-viber-content-signature", "", channel)

    def slices(self, request: WebhookRequest) -> Iterable[Slice]:
        """The event."""
        return [an_object(load_json(request.body), "event")]

    def normalise(self, event: Slice, channel: Channel, received_at: datetime) -> InboundMessage:
        """An event of a kind that is not known is ignored. Raises ParseError for one that lacks its ids."""
        whole = an_object(event, "event")
        name, token = required(whole, "event"), text(whole.get("message_token")) or fingerprint(whole)
        # A receipt has the token of the message that it is about.
        key = ":".join(part for part in (name, token, text(whole.get("user_id"))) if part)
        return _READERS.get(name, _read_other)(Envelope(channel, channel.account_id, key, received_at), whole)


def _read_message(envelope: Envelope, event: Json) -> InboundMessage:
    sender, message = mapping(event.get("sender")), mapping(event.get("message"))
    sender_id = required(sender, "id")
    is_group = bool(text(event.get("chat_id")))
    kind = KINDS.get(text(message.get("type")), MessageKind.UNSUPPORTED)
    # A shared contact may be anybody's: it proves no phone (T3).
    return envelope.message(
        MessageKind.GROUP if is_group else kind,
        required(event, "message_token"),
        chat_id=text(event.get("chat_id")) or sender_id,
        customer_id=sender_id,
        name=text(sender.get("name")),
        text=_text(message),
        attachments=_attachments(message),
        identifiers=() if is_group else [messenger(_namespace(envelope.channel), sender_id)],
        sent_at=instant_in_milliseconds(event.get("timestamp")),
    )


def _read_status(envelope: Envelope, event: Json) -> InboundMessage:
    token, customer_id = text(event.get("message_token")), text(event.get("user_id"))
    return envelope.message(
        MessageKind.STATUS,
        token,
        chat_id=customer_id,
        customer_id=customer_id,
        text=f"{text(event.get('event'))} {text(event.get('desc'))}".rstrip(),
        sent_at=instant_in_milliseconds(event.get("timestamp")),
        target=token,
    )


def _read_lifecycle(envelope: Envelope, event: Json) -> InboundMessage:
    # The customer has opened the chat, or subscribed, or blocked the bot; nothing is written yet.
    user, referral = mapping(event.get("user")), text(event.get("context"))
    customer_id = text(user.get("id")) or text(event.get("user_id"))
    return envelope.message(
        MessageKind.REFERRAL if referral else MessageKind.LIFECYCLE,
        text(event.get("message_token")),
        chat_id=customer_id,
        customer_id=customer_id,
        name=text(user.get("name")),
        text=text(event.get("event")),
        sent_at=instant_in_milliseconds(event.get("timestamp")),
        referral=referral,
    )


def _read_set_up(envelope: Envelope, event: Json) -> InboundMessage:
    return envelope.message(MessageKind.SYSTEM, text(event.get("message_token")), text=text(event.get("event")))


def _read_other(envelope: Envelope, event: Json) -> InboundMessage:
    return envelope.message(MessageKind.IGNORED, text(event.get("message_token")), text=text(event.get("event")))


_READERS: Mapping[str, Callable[[Envelope, Json], InboundMessage]] = {
    "message": _read_message,
    "delivered": _read_status,
    "seen": _read_status,
    "failed": _read_status,
    "subscribed": _read_lifecycle,
    "unsubscribed": _read_lifecycle,
    "conversation_started": _read_lifecycle,
    "webhook": _read_set_up,
}


def _namespace(channel: Channel) -> str:
    """A user's id is another one for each bot (T2)."""
    return f"viber/{channel.account_id or channel.key}"


def _text(message: Json) -> str:
    # A message carries the fields of other types too, so the type says what counts.
    return text(message.get("text")) or (text(message.get("media")) if message.get("type") == "url" else "")


def _attachments(message: Json) -> list[Attachment]:
    kind = text(message.get("type"))
    if kind in FILES:
        return [_file(FILES[kind], message)]
    if kind == "location":
        point = mapping(message.get("location"))
        return [Attachment(kind=kind, latitude=number(point.get("lat")), longitude=number(point.get("lon")))]
    if kind == "contact":
        card = mapping(message.get("contact"))
        return [Attachment(kind=kind, name=text(card.get("name")), url=f"tel:{text(card.get('phone_number'))}")]
    return []


def _file(kind: str, message: Json) -> Attachment:
    return Attachment(
        kind=kind,
        id=text(message.get("sticker_id")),
        url=text(message.get("media")),
        name=text(message.get("file_name")),
        size=size(message.get("size")),
    )

"""WhatsApp Cloud API (https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference).

A body is cut by `whatsapp_slices`; here a slice is normalised.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import ClassVar

from ingest.adapters import whatsapp_slices
from ingest.adapters.base import Slice, WebhookRequest, load_json
from ingest.adapters.envelope import Envelope
from ingest.adapters.meta import MetaWebhook
from ingest.adapters.reading import (
    Json,
    an_object,
    fingerprint,
    instant,
    mapping,
    mappings,
    number,
    required,
    size,
    text,
)
from tracker.channels import Channel
from tracker.identifiers import Evidence, Identifier, messenger, phone_from_digits
from tracker.messages import CUSTOMER_KINDS, Attachment, InboundMessage, MessageKind

KINDS = {
    "text": MessageKind.TEXT,
    "image": MessageKind.MEDIA,
    "video": MessageKind.MEDIA,
    "audio": MessageKind.MEDIA,
    "document": MessageKind.MEDIA,
    "sticker": MessageKind.STICKER,
    "location": MessageKind.LOCATION,
    "contacts": MessageKind.CONTACT,
    "interactive": MessageKind.BUTTON,
    "button": MessageKind.BUTTON,
    "order": MessageKind.ORDER,
    "reaction": MessageKind.REACTION,
    "edit": MessageKind.EDIT,
    "revoke": MessageKind.DELETE,
    "system": MessageKind.SYSTEM,
    "request_welcome": MessageKind.LIFECYCLE,
}
"""By `type`; what is not here is unsupported."""

FILES = ("image", "video", "audio", "document", "sticker")

_CHANGES_NOTHING = frozenset({"edit", "revoke", "reaction"})


class WhatsApp(MetaWebhook):
    """Batches of several numbers."""

    kind: ClassVar[str] = "whatsapp"

    def slices(self, request: WebhookRequest) -> Iterable[Slice]:
        """One per message, status, echo or message of the history, and one for all else of a change."""
        return whatsapp_slices.cut(an_object(load_json(request.body), "body"))

    def normalise(self, event: Slice, channel: Channel, received_at: datetime) -> InboundMessage:
        """Raises ParseError for an event that lacks its ids."""
        whole = an_object(event, "event")
        # Empty in news of the whole business account, which are of no one number's channel.
        account_id = text(mapping(whole.get("metadata")).get("phone_number_id"))
        for part, read in _READERS.items():
            if part in whole:
                return read(_Event(whole, an_object(whole[part], part), account_id, channel, received_at))
        envelope = Envelope(channel, account_id, fingerprint(whole), received_at)
        kind = MessageKind.SYSTEM if "change" in whole else MessageKind.IGNORED
        return envelope.message(kind, envelope.key, text=text(whole.get("field")))


class _Event:
    """A slice about one message, with what its change says of the sender."""

    def __init__(self, whole: Json, item: Json, account_id: str, channel: Channel, received_at: datetime) -> None:
        self.item = item
        self.type = text(item.get("type"))
        self.id = required(item, "id")
        self.phone = text(item.get("from"))
        self.waba = text(whole.get("waba"))
        self.contact = mapping(whole.get("contact"))
        self.user_id = text(item.get("from_user_id")) or text(self.contact.get("user_id"))
        self.sent_at = instant(item.get("timestamp"))
        self.whole = whole
        self._of = (channel, account_id, received_at)

    def envelope(self, *detail: str) -> Envelope:
        """The envelope of this event. A wamid is unique per number only; `detail` is what else makes a key."""
        channel, account_id, received_at = self._of
        return Envelope(channel, account_id, ":".join((account_id, self.id, *detail)), received_at)


def _read_message(event: _Event) -> InboundMessage:
    kind = _kind(event)
    item, context = event.item, mapping(event.item.get("context"))
    system = mapping(item.get("system"))
    # An edit carries the message as it is now.
    content = mapping(mapping(item.get("edit")).get("message")) if kind is MessageKind.EDIT else item
    forwarded = context.get("forwarded") is True or context.get("frequently_forwarded") is True
    return event.envelope().message(
        kind,
        event.id,
        chat_id=text(item.get("group_id")) or event.phone or event.user_id or text(system.get("user_id")),
        customer_id=event.user_id or event.phone or text(system.get("user_id")),
        name=text(mapping(event.contact.get("profile")).get("name")),
        text=_text(content),
        attachments=_attachments(content),
        identifiers=_identifiers(event, forwarded) if kind in CUSTOMER_KINDS else (),
        sent_at=event.sent_at,
        reply_to=text(context.get("id")),
        target=_target(item),
        referral=_referral(mapping(item.get("referral"))),
        forwarded=forwarded,
    )


def _read_status(event: _Event) -> InboundMessage:
    status = required(event.item, "status")
    recipient = text(event.item.get("recipient_id")) or text(event.item.get("recipient_user_id"))
    errors = mappings(event.item.get("errors"))
    return event.envelope(status).message(
        MessageKind.STATUS,
        event.id,
        chat_id=recipient,
        customer_id=event.user_id or recipient,
        text=" ".join([status, *(text(error.get("code")) for error in errors)]),
        sent_at=event.sent_at,
        target=event.id,
    )


def _read_echo(event: _Event) -> InboundMessage:
    return event.envelope().message(
        MessageKind.ECHO,
        event.id,
        chat_id=text(event.item.get("to")) or text(event.item.get("to_user_id")),
        customer_id=event.phone,
        text=_text(event.item),
        attachments=_attachments(event.item),
        sent_at=event.sent_at,
        target=_target(event.item),
    )


def _read_history(event: _Event) -> InboundMessage:
    return event.envelope("history").message(
        MessageKind.HISTORY,
        event.id,
        chat_id=text(event.whole.get("thread")),
        customer_id=event.phone,
        text=_text(event.item),
        attachments=_attachments(event.item),
        sent_at=event.sent_at,
        target=_target(event.item),
    )


_READERS: Mapping[str, Callable[[_Event], InboundMessage]] = {
    "message": _read_message,
    "status": _read_status,
    "echo": _read_echo,
    "history": _read_history,
}


def _kind(event: _Event) -> MessageKind:
    if "group_id" in event.item:
        return MessageKind.GROUP
    # What Meta cannot show of an edit or a deletion comes as unsupported: it is no message of the customer (C5).
    if text(mapping(event.item.get("unsupported")).get("type")) in _CHANGES_NOTHING:
        return MessageKind.IGNORED
    return KINDS.get(event.type, MessageKind.UNSUPPORTED)


def _identifiers(event: _Event, forwarded: bool) -> list[Identifier | None]:
    found = [phone_from_digits(event.phone, Evidence.PROVEN)]
    if not event.phone and not forwarded:
        found.append(_requested_phone(event.item))
    if event.user_id:
        # Meta makes it unique within a business portfolio and does not tell the portfolio's id. All numbers of a
        # WhatsApp business account are in one portfolio, so the account never says that two people are one.
        found.append(messenger(f"whatsapp/{event.waba}", event.user_id))
    return found


def _requested_phone(message: Json) -> Identifier | None:
    """The number that the customer gave with the button of a contact request, which sends his own card (T3).

    Its `origin`, of the message or of the card, tells it from the card of somebody else.
    """
    cards = mappings(message.get("contacts"))
    if len(cards) != 1:
        return None
    origin = text(message.get("origin")) or text(cards[0].get("origin"))
    phones = mappings(cards[0].get("phones"))
    if not origin.startswith("contact_request") or len(phones) != 1:
        return None
    return phone_from_digits(text(phones[0].get("wa_id")) or text(phones[0].get("phone")), Evidence.PROVEN)


def _text(message: Json) -> str:
    kind = text(message.get("type"))
    content = mapping(message.get(kind))
    if kind == "interactive":
        reply = mapping(content.get(text(content.get("type"))))
        return text(reply.get("title")) or text(reply.get("body"))
    for field in ("body", "caption", "text", "emoji"):
        if written := text(content.get(field)):
            return written
    return ""


def _target(message: Json) -> str:
    kind = text(message.get("type"))
    content = mapping(message.get(kind))
    return text(content.get("original_message_id")) or (text(content.get("message_id")) if kind == "reaction" else "")


def _referral(referral: Json) -> str:
    return next((found for name in ("source_id", "source_url", "ctwa_clid") if (found := text(referral.get(name)))), "")


def _attachments(message: Json) -> list[Attachment]:
    kind = text(message.get("type"))
    content = mapping(message.get(kind))
    if kind in FILES:
        return [_file("voice" if content.get("voice") is True else kind, content)]
    if kind == "location":
        return [
            Attachment(
                kind="location",
                name=text(content.get("name")) or text(content.get("address")),
                latitude=number(content.get("latitude")),
                longitude=number(content.get("longitude")),
            )
        ]
    return [_card(card) for card in mappings(message.get("contacts"))] if kind == "contacts" else []


def _file(kind: str, file: Json) -> Attachment:
    return Attachment(
        kind=kind,
        id=text(file.get("id")),
        url=text(file.get("url")),
        mime=text(file.get("mime_type")),
        name=text(file.get("filename")),
        size=size(file.get("file_size")),
    )


def _card(card: Json) -> Attachment:
    phones = mappings(card.get("phones"))
    number_of_card = text(phones[0].get("phone")) if phones else ""
    return Attachment(
        kind="contact",
        name=text(mapping(card.get("name")).get("formatted_name")),
        url=f"tel:{number_of_card}" if number_of_card else "",
    )

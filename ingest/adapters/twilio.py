"""SMS and WhatsApp over Twilio (https://www.twilio.com/docs/messaging/guides/webhook-request)."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar

from ingest.adapters.base import AdapterDefaults, Reply, Slice, WebhookRequest, load_json
from ingest.adapters.envelope import Envelope
from ingest.adapters.reading import Json, an_object, fingerprint, instant, integer, mapping, missing, number, text
from ingest.adapters.twilio_signature import check_twilio, is_json, parameters
from tracker.channels import Channel
from tracker.identifiers import Evidence, Identifier, IdentifierKind, messenger, phone_key
from tracker.messages import Attachment, InboundMessage, MessageKind

MOST_FILES = 20

_IDS = ("MessageSid", "SmsSid", "SmsMessageSid")
_NUMBER = re.compile(r"\+[1-9][0-9]{1,14}")
_CARRIERS = ("whatsapp:", "rcs:")
_INCOMING = frozenset({"", "received", "receiving"})
_STREAMED = "com.twilio.messaging.inbound-message.received"
_FILES = ("image", "video", "audio")


class Twilio(AdapterDefaults):
    """One message or receipt per form, proved by `X-Twilio-Signature` under the account's auth token."""

    kind: ClassVar[str] = "twilio"
    content_types: ClassVar[frozenset[str]] = frozenset({"application/x-www-form-urlencoded", "application/json"})

    def verify(self, request: WebhookRequest, channel: Channel) -> None:
        """See `twilio_signature`."""
        check_twilio(request, channel)

    def slices(self, request: WebhookRequest) -> Iterable[Slice]:
        """The form; of JSON (Event Streams) each event."""
        if not is_json(request):
            return [_form(request.body)]
        body = load_json(request.body)
        return body if isinstance(body, list) else [an_object(body, "body")]

    def normalise(self, event: Slice, channel: Channel, received_at: datetime) -> InboundMessage:
        """Raises ParseError for an event that lacks its ids."""
        whole = an_object(event, "event")
        if "specversion" in whole:
            return _read_streamed(whole, channel, received_at)
        return _read_parameters(whole, channel, received_at)

    def accepted(self, _request: WebhookRequest, _channel: Channel) -> Reply:
        """Empty TwiML: Twilio answers the customer with what stands in there."""
        return Reply(body="<Response/>", content_type="text/xml; charset=utf-8")


def _form(body: bytes) -> Json:
    form = {name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in parameters(body)}
    return form if form.keys() & _IDS else missing(_IDS[0])


def _read_streamed(event: Json, channel: Channel, received_at: datetime) -> InboundMessage:
    """An event of Event Streams, a CloudEvent, whose `data` has the parameters' names in lower camel case."""
    if event.get("type") != _STREAMED:
        envelope = Envelope(channel, channel.account_id, text(event.get("id")) or fingerprint(event), received_at)
        return envelope.message(MessageKind.IGNORED, text(event.get("id")), text=text(event.get("type")))
    fields = {name[:1].upper() + name[1:]: value for name, value in mapping(event.get("data")).items()}
    return _read_parameters(fields, channel, received_at)


def _read_parameters(fields: Json, channel: Channel, received_at: datetime) -> InboundMessage:
    message_id = next((found for name in _IDS if (found := text(fields.get(name)))), "") or missing(_IDS[0])
    status = text(fields.get("MessageStatus")) or text(fields.get("SmsStatus"))
    if status.lower() in _INCOMING:
        return _read_message(message_id, fields, channel, received_at)
    customer = _address(fields, "To")
    account_id = _account(fields, "From", channel)
    return Envelope(channel, account_id, f"{message_id}:{status}", received_at).message(
        MessageKind.STATUS,
        message_id,
        chat_id=customer,
        customer_id=customer,
        text=f"{status} {text(fields.get('ErrorCode'))}".rstrip(),
        target=message_id,
    )


def _read_message(message_id: str, fields: Json, channel: Channel, received_at: datetime) -> InboundMessage:
    sender = _address(fields, "From") or missing("From")
    account_id = _account(fields, "To", channel)
    files = _attachments(fields)
    return Envelope(channel, account_id, message_id, received_at).message(
        _kind(fields, files),
        message_id,
        chat_id=sender,
        customer_id=sender,
        name=text(fields.get("ProfileName")),
        text=text(fields.get("Body")) or text(fields.get("ButtonText")) or text(fields.get("ListTitle")),
        attachments=files,
        identifiers=[_sender(sender, fields)],
        # A form carries no time; an event of Event Streams does.
        sent_at=instant(fields.get("Timestamp")),
        reply_to=text(fields.get("OriginalRepliedMessageSid")),
        referral=text(fields.get("ReferralSourceId")) or text(fields.get("ReferralSourceUrl")),
        forwarded="true" in (fields.get("Forwarded"), fields.get("FrequentlyForwarded")),
    )


def _address(fields: Json, name: str) -> str:
    """A number or another address, without the name of what carries it."""
    written = text(fields.get(name))
    for carrier in _CARRIERS:
        written = written.removeprefix(carrier)
    return written


def _account(fields: Json, side: str, channel: Channel) -> str:
    """Our side of the message: the channel's account if it is one of its names, otherwise the number."""
    names = ("MessagingServiceSid", "AccountSid", side)
    given = [name for name in (_address(fields, side), *(text(fields.get(one)) for one in names)) if name]
    return channel.account_id if channel.account_id in given else next(iter(given), "")


def _sender(sender: str, fields: Json) -> Identifier:
    """T3: the network proves the number that a message comes from. Who hides it has an id of the account's own (T2).

    A number is not held against the numbering plans; `+` tells it from the short code of a service.
    """
    if not _NUMBER.fullmatch(sender):
        return messenger(f"twilio/{text(fields.get('AccountSid'))}", sender)
    return Identifier(
        kind=IdentifierKind.PHONE, value=sender, key=phone_key(sender), written=sender, evidence=Evidence.PROVEN
    )


def _kind(fields: Json, files: list[Attachment]) -> MessageKind:
    if "ButtonPayload" in fields or "ButtonText" in fields or "ListId" in fields:
        return MessageKind.BUTTON
    if "Latitude" in fields and "Longitude" in fields:
        return MessageKind.LOCATION
    if files:
        return MessageKind.STICKER if fields.get("MessageType") == "sticker" else MessageKind.MEDIA
    # An SMS without a word is a message all the same.
    has_text = text(fields.get("Body")) or fields.get("MessageType", "text") == "text"
    return MessageKind.TEXT if has_text else MessageKind.UNSUPPORTED


def _attachments(fields: Json) -> list[Attachment]:
    count = min(integer(fields.get("NumMedia")) or 0, MOST_FILES)
    found = [_file(text(fields.get(f"MediaUrl{n}")), text(fields.get(f"MediaContentType{n}"))) for n in range(count)]
    latitude, longitude = _degrees(fields.get("Latitude")), _degrees(fields.get("Longitude"))
    if latitude is not None and longitude is not None:
        name = text(fields.get("Label")) or text(fields.get("Address"))
        found.append(Attachment(kind="location", name=name, latitude=latitude, longitude=longitude))
    return found


def _degrees(value: object) -> float | None:
    try:
        return number(float(value)) if isinstance(value, str) else number(value)
    except ValueError:
        return None


def _file(url: str, mime: str) -> Attachment:
    kind = mime.partition("/")[0]
    return Attachment(kind=kind if kind in _FILES else "document", url=url, mime=mime)

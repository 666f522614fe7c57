"""What becomes of Twilio's parameters (T2, T3, C5, CHANNELS).

Its signature: tests/contract/test_provider_signatures.py.
"""

from dataclasses import replace

import orjson
import pytest

from ingest.adapters.base import ParsedEvent, parse
from ingest.adapters.registry import adapter_for
from tests.contract.adapter_requests import TWILIO, with_headers
from tracker.identifiers import Evidence, IdentifierKind
from tracker.messages import InboundMessage, MessageKind

pytestmark = pytest.mark.unit

SMS = {"MessageSid": "SM1", "AccountSid": "AC1", "From": "+79123456789", "To": "+12025550100", "Body": "Hello"}
WHATSAPP = {**SMS, "From": "whatsapp:+79123456789", "To": "whatsapp:+12025550100", "ProfileName": "Anna"}


def read(base: dict[str, str] = SMS, account_id: str = "", **fields: str) -> InboundMessage:
    channel = replace(TWILIO.channel(), account_id=account_id)
    (event,) = parse(adapter_for("twilio"), TWILIO.request(body={**base, **fields}), channel)
    assert event.message is not None, event.error
    return event.message


def test_an_sms():
    """T3: the network proves the number; a form has no time, so it is ours."""
    found = read()
    assert (found.kind, found.text, found.external_id, found.key) == (MessageKind.TEXT, "Hello", "SM1", "SM1")
    assert (found.account_id, found.chat_id, found.customer_id) == ("+12025550100", "+79123456789", "+79123456789")
    assert found.sent_at == found.received_at
    (phone,) = found.identifiers
    assert (phone.kind, phone.value, phone.evidence) == (IdentifierKind.PHONE, "+79123456789", Evidence.PROVEN)


def test_whatsapp_over_twilio():
    """The number without `whatsapp:`, and the name of the profile."""
    found = read(WHATSAPP)
    assert (found.account_id, found.chat_id, found.name) == ("+12025550100", "+79123456789", "Anna")
    assert [one.value for one in found.identifiers] == ["+79123456789"]


def test_variants_of_a_number_are_one_subscriber():
    """T12: Brazil's ninth digit; the raw number stays the address."""
    old, new = read(From="+555181234567"), read(From="+5551981234567")
    assert old.identifiers[0].key == new.identifiers[0].key
    assert (old.chat_id, new.chat_id) == ("+555181234567", "+5551981234567")


@pytest.mark.parametrize("sender", ["12345", "BANK", "messenger:17841", "whatsapp:US.134912"])
def test_who_has_no_number_has_an_id_of_the_account(sender):
    """A short code, a name or a hidden number is no phone (T2)."""
    (identifier,) = read(From=sender).identifiers
    assert (identifier.kind, identifier.value) == ("messenger", f"twilio/AC1/{sender.removeprefix('whatsapp:')}")


@pytest.mark.parametrize(
    ("account_id", "expected"),
    [
        ("", "+12025550100"),
        ("+12025550100", "+12025550100"),
        ("whatsapp:+12025550100", "whatsapp:+12025550100"),
        ("MG1", "MG1"),
        ("AC1", "AC1"),
        ("+19995550100", "+12025550100"),
    ],
)
def test_the_account_may_be_given_by_any_of_its_names(account_id, expected):
    """A number, a messaging service or the whole account; another number is another account."""
    assert read(WHATSAPP, account_id, MessagingServiceSid="MG1").account_id == expected


def test_without_a_number_of_ours_the_messaging_service_is_the_account():
    """`To` may be missing."""
    fields = {name: value for name, value in SMS.items() if name not in ("To", "MessageSid")}
    found = read(fields, SmsSid="SM2", MessagingServiceSid="MG1")
    assert (found.account_id, found.external_id) == ("MG1", "SM2")


@pytest.mark.parametrize(
    ("fields", "kind", "text"),
    [
        ({"Body": "a\x00b\x00"}, MessageKind.TEXT, "a\ufffdb\ufffd"),
        ({"Body": ""}, MessageKind.TEXT, ""),
        ({"Body": "", "NumMedia": "1", "MediaUrl0": "https://a.example/1"}, MessageKind.MEDIA, ""),
        ({"Body": "", "NumMedia": "1", "MessageType": "sticker"}, MessageKind.STICKER, ""),
        ({"Body": "Yes", "ButtonText": "Yes", "ButtonPayload": "y"}, MessageKind.BUTTON, "Yes"),
        ({"Body": "", "Latitude": "1.5", "Longitude": "-2"}, MessageKind.LOCATION, ""),
        ({"Body": "", "MessageType": "something"}, MessageKind.UNSUPPORTED, ""),
    ],
)
def test_kinds_of_messages(fields, kind, text):
    """An SMS may be empty or hold NUL; it is a message all the same."""
    found = read(**fields)
    assert (found.kind, found.text) == (kind, text)


def test_a_message_without_a_body():
    """`Body` may be missing."""
    fields = {name: value for name, value in SMS.items() if name != "Body"}
    assert (read(fields).kind, read(fields).text) == (MessageKind.TEXT, "")


def test_files_and_places():
    """As many files as are announced; a senseless count or place is none."""
    files = {"MediaUrl0": "https://a.example/0", "MediaContentType0": "image/png", "MediaUrl1": "https://a.example/1"}
    found = read({**SMS, **files}, NumMedia="2", MediaContentType1="application/pdf").attachments
    assert [(file.kind, file.url, file.mime) for file in found] == [
        ("image", "https://a.example/0", "image/png"),
        ("document", "https://a.example/1", "application/pdf"),
    ]
    assert len(read(NumMedia="9" * 18).attachments) == 20
    assert read(NumMedia="-1").attachments == read(NumMedia="many").attachments == ()
    (place,) = read(Latitude="1.5", Longitude="-2", Label="Cafe").attachments
    assert (place.kind, place.name, place.latitude, place.longitude) == ("location", "Cafe", 1.5, -2.0)
    assert read(Latitude="north", Longitude="nan").attachments == ()


@pytest.mark.parametrize("status", ["sent", "delivered", "read", "undelivered"])
def test_receipts(status):
    """C5: the customer is the one whom we wrote to; each status has a key of its own."""
    sides = {"From": "whatsapp:+12025550100", "To": "whatsapp:+79123456789"}
    found = read({**SMS, **sides}, MessageStatus=status, SmsStatus=status)
    assert (found.kind, found.text, found.target) == (MessageKind.STATUS, status, "SM1")
    assert (found.account_id, found.chat_id, found.key) == ("+12025550100", "+79123456789", f"SM1:{status}")
    assert read(SmsStatus="received").kind is MessageKind.TEXT


def test_what_belongs_to_a_message():
    """What it answers, what brought the customer, and whether it was passed on (T3)."""
    found = read(OriginalRepliedMessageSid="SM0", ReferralSourceId="ad-7", Forwarded="true")
    assert (found.reply_to, found.referral, found.forwarded) == ("SM0", "ad-7", True)
    assert read().forwarded is False


def streamed(*events: object) -> list[ParsedEvent]:
    request = with_headers(TWILIO.request(body=orjson.dumps(list(events))), content_type="application/json")
    return parse(adapter_for("twilio"), request, TWILIO.channel())


def test_event_streams():
    """JSON with several events: a message is read like one of a form, and has a time; all else is ignored."""
    data = {"messageSid": "SM1", "accountSid": "AC1", "from": "+79123456789", "to": "+12025550100", "body": "Hello"}
    event = {"specversion": "1.0", "id": "EZ1", "type": "com.twilio.messaging.inbound-message.received"}
    first, other, bad = streamed(
        {**event, "data": {**data, "timestamp": "2026-10-01T12:00:00Z"}},
        {**event, "type": "com.twilio.messaging.message.sent", "data": data},
        7,
    )
    assert first.message is not None
    assert (first.message.kind, first.message.text, first.message.key) == (MessageKind.TEXT, "Hello", "SM1")
    assert first.message.sent_at.isoformat() == "2026-10-01T12:00:00+00:00"
    assert other.message is not None
    assert (other.message.kind, other.message.external_id) == (MessageKind.IGNORED, "EZ1")
    assert bad.message is None


def test_the_answer_is_empty_twiml():
    """Twilio sends the customer what stands in the answer: nothing."""
    reply = adapter_for("twilio").accepted(TWILIO.request(), TWILIO.channel())
    assert (reply.status, reply.body, reply.content_type) == (200, "<Response/>", "text/xml; charset=utf-8")

"""What becomes of Viber's callbacks (T2, T3, C5, CHANNELS)."""

from dataclasses import replace

import pytest

from ingest.adapters.base import parse
from ingest.adapters.registry import adapter_for
from tests.contract.adapter_requests import VIBER
from tracker.messages import InboundMessage, MessageKind

pytestmark = pytest.mark.unit

TOKEN = 4912661846655238145


def read(event: str, account_id: str = "bot", **fields: object) -> InboundMessage:
    body = {"event": event, "timestamp": 1790000000000, "message_token": TOKEN, **fields}
    channel = replace(VIBER.channel(), account_id=account_id)
    (found,) = parse(adapter_for("viber"), VIBER.request(body=body), channel)
    assert found.message is not None, found.error
    return found.message


def message(type_: str = "text", account_id: str = "bot", **fields: object) -> InboundMessage:
    sender = {"id": "anna=", "name": "Anna"}
    return read("message", account_id, sender=sender, message={"type": type_, **fields})


def test_a_text():
    """The token is an integer above 2^53, and is kept to the last digit; the id is the bot's own (T2)."""
    found = message(text="Hello")
    assert (found.kind, found.text, found.name) == (MessageKind.TEXT, "Hello", "Anna")
    assert (found.external_id, found.key) == (str(TOKEN), f"message:{TOKEN}")
    assert (found.chat_id, found.customer_id, found.account_id) == ("anna=", "anna=", "bot")
    assert found.sent_at.timestamp() == 1790000000
    assert [identifier.value for identifier in found.identifiers] == ["viber/bot/anna="]


def test_tokens_are_exact():
    """CHANNELS: int64, which a float would round."""
    assert read("webhook", message_token=2**63 - 1).external_id == str(2**63 - 1)


def test_without_an_account_the_namespace_is_the_channels():
    """T2: ids of two bots never meet, also where the account was not given."""
    assert [one.value for one in message(account_id="", text="x").identifiers] == ["viber/desk/anna="]


@pytest.mark.parametrize(
    ("type_", "fields", "kind", "file"),
    [
        ("picture", {"text": "Look", "media": "https://a.example/1"}, MessageKind.MEDIA, "image"),
        ("video", {"media": "https://a.example/1", "size": 9}, MessageKind.MEDIA, "video"),
        ("file", {"media": "https://a.example/1", "file_name": "a.pdf"}, MessageKind.MEDIA, "document"),
        ("sticker", {"sticker_id": 46105}, MessageKind.STICKER, "sticker"),
        ("location", {"location": {"lat": 1.5, "lon": -2}}, MessageKind.LOCATION, "location"),
        ("contact", {"contact": {"name": "Boris", "phone_number": "+791"}}, MessageKind.CONTACT, "contact"),
        ("rich_media", {}, MessageKind.UNSUPPORTED, None),
        ("something", {}, MessageKind.UNSUPPORTED, None),
    ],
)
def test_kinds_of_messages(type_, fields, kind, file):
    """The type decides: a text's unused `media` is no file."""
    found = message(type_, **fields)
    assert found.kind is kind
    assert [attachment.kind for attachment in found.attachments] == ([file] if file else [])
    assert message("text", text="x", media="https://a.example", location={"lat": 1}).attachments == ()


def test_a_shared_contact_proves_no_phone():
    """T3: it may be anybody's."""
    found = message("contact", contact={"name": "Boris", "phone_number": "+79123456789"})
    assert [identifier.kind for identifier in found.identifiers] == ["messenger"]


def test_a_link_is_a_text():
    """A message of type `url` has its text in `media`."""
    assert message("url", media="https://shop.example").text == "https://shop.example"


@pytest.mark.parametrize("event", ["delivered", "seen", "failed"])
def test_receipts(event):
    """A receipt has the token of the message that it is about, and a key of its own."""
    found = read(event, user_id="anna=", desc="no" if event == "failed" else None)
    assert (found.kind, found.target, found.chat_id) == (MessageKind.STATUS, str(TOKEN), "anna=")
    assert found.key == f"{event}:{TOKEN}:anna="
    assert found.text.split()[0] == event


@pytest.mark.parametrize(
    ("event", "fields", "kind"),
    [
        ("subscribed", {"user": {"id": "anna=", "name": "Anna"}}, MessageKind.LIFECYCLE),
        ("unsubscribed", {"user_id": "anna="}, MessageKind.LIFECYCLE),
        ("conversation_started", {"user": {"id": "anna="}}, MessageKind.LIFECYCLE),
        ("conversation_started", {"user": {"id": "anna="}, "context": "spring"}, MessageKind.REFERRAL),
    ],
)
def test_the_life_of_a_chat(event, fields, kind):
    """C5: who opens the chat has written nothing yet."""
    found = read(event, **fields)
    assert (found.kind, found.chat_id, found.referral) == (kind, "anna=", fields.get("context", ""))


def test_trying_the_webhook_is_a_signed_event():
    """CHANNELS: it is answered 200 like any other, if the token is right."""
    assert read("webhook").kind is MessageKind.SYSTEM


def test_an_unknown_event_is_ignored():
    """Kept, not dead; also where it has no token."""
    assert read("action", message_token=None).kind is MessageKind.IGNORED


def test_groups_make_no_customer():
    """C5."""
    sender = {"id": "anna=", "name": "Anna"}
    found = read("message", sender=sender, chat_id="group=", message={"type": "text", "text": "x"})
    assert (found.kind, found.chat_id, found.identifiers) == (MessageKind.GROUP, "group=", ())

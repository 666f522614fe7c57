"""What becomes of the events of Meta's Messenger Platform (T2, C5, CHANNELS)."""

from dataclasses import replace

import pytest

from ingest.adapters.base import SignatureError, WebhookRequest, parse
from ingest.adapters.registry import adapter_for
from tests.contract.adapter_requests import MESSENGER, NOW, messaging
from tracker.messages import InboundMessage, MessageKind

pytestmark = pytest.mark.unit

MILLISECONDS = 1790000000000


def read_all(body: object) -> list[InboundMessage]:
    events = parse(adapter_for("messenger"), MESSENGER.request(body=body), MESSENGER.channel())
    assert [event.error for event in events if event.error] == []
    return [event.message for event in events if event.message]


def read(**event: object) -> InboundMessage:
    (found,) = read_all(messaging(**event))
    return found


def entry(**fields: object) -> dict[str, object]:
    return {"object": "page", "entry": [{"id": "page-1", "time": MILLISECONDS, **fields}]}


def test_a_text():
    """Ids, milliseconds, and the person's id, which is the page's own (T2)."""
    found = read(message={"mid": "m_1", "text": "Hello", "reply_to": {"mid": "m_0"}})
    assert (found.kind, found.text, found.account_id) == (MessageKind.TEXT, "Hello", "page-1")
    assert (found.external_id, found.key, found.reply_to) == ("m_1", "page-1:m_1", "m_0")
    assert (found.chat_id, found.customer_id) == ("person-1", "person-1")
    assert found.sent_at.timestamp() == MILLISECONDS / 1000
    assert [identifier.value for identifier in found.identifiers] == ["messenger/page-1/person-1"]


@pytest.mark.parametrize("at", [1790000000, "1790000000", "1790000000000", "2026-09-21T14:13:20+0000"])
def test_times_of_metas_test_tools(at):
    """CHANNELS: milliseconds, but test tools send seconds, strings and ISO."""
    assert read(timestamp=at, message={"mid": "m", "text": "x"}).sent_at.timestamp() == 1790000000


def test_all_entries_and_events_of_a_body_are_read():
    """Several pages come in one body, and none is lost."""
    sides = {"recipient": {"id": "page-2"}, "timestamp": MILLISECONDS}
    second = [{**sides, "sender": {"id": str(n)}, "message": {"mid": f"m{n}", "text": "x"}} for n in range(3)]
    body = {"entry": [*entry(messaging=[])["entry"], {"id": "page-2", "messaging": second}, 7, {}]}  # type: ignore[misc]
    found = read_all(body)
    assert [one.account_id for one in found if one.from_customer] == ["page-2"] * 3
    assert [one.kind for one in found if not one.from_customer] == [MessageKind.IGNORED] * 3


def test_an_echo_is_ours():
    """C5: the page has written; the chat is the recipient's."""
    sides = {"sender": {"id": "page-1"}, "recipient": {"id": "person-1"}}
    found = read(**sides, message={"mid": "m_1", "text": "Hi", "is_echo": True, "app_id": 5})
    assert (found.kind, found.chat_id, found.account_id) == (MessageKind.ECHO, "person-1", "page-1")
    assert found.identifiers == ()
    unmarked = read(**sides, message={"mid": "m_1", "text": "Hi"})
    assert (unmarked.kind, unmarked.chat_id) == (MessageKind.ECHO, "person-1")


def test_standby_is_stored_only():
    """CHANNELS: another app has the conversation; nothing follows from what is written there (C5)."""
    sides = {"sender": {"id": "person-1"}, "recipient": {"id": "page-1"}}
    message = {**sides, "message": {"mid": "m", "text": "x"}}
    edit = {**sides, "message_edit": {"mid": "m", "text": "y", "num_edit": 1}}
    seen = {**sides, "read": {"watermark": 1}}
    kinds = [one.kind for one in read_all(entry(standby=[message, edit, seen]))]
    assert kinds == [MessageKind.HISTORY, MessageKind.HISTORY, MessageKind.STATUS]


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ({"text": "Yes", "quick_reply": {"payload": "YES"}}, MessageKind.BUTTON),
        ({"attachments": [{"type": "image", "payload": {"url": "https://a.example/1"}}]}, MessageKind.MEDIA),
        ({"text": "Look", "attachments": [{"type": "fallback", "url": "https://a.example"}]}, MessageKind.MEDIA),
        ({"sticker_id": 7, "attachments": [{"type": "image", "payload": {"sticker_id": 7}}]}, MessageKind.STICKER),
        ({"attachments": [{"type": "location", "payload": {}}]}, MessageKind.LOCATION),
        ({"attachments": [{"type": "unsupported_type"}]}, MessageKind.UNSUPPORTED),
        ({"is_unsupported": True}, MessageKind.UNSUPPORTED),
        ({}, MessageKind.UNSUPPORTED),
    ],
)
def test_kinds_of_messages(message, kind):
    """What a customer sent is a message, also where Meta cannot show it."""
    found = read(message={"mid": "m", **message})
    assert (found.kind, found.from_customer) == (kind, True)


def test_attachments():
    """Files, stickers, places, and the story that is answered."""
    location = {"type": "location", "title": "Here", "payload": {"coordinates": {"lat": 1.5, "long": -2}}}
    files = [{"type": "file", "payload": {"url": "https://a.example/f"}}, {"type": "video", "payload": 5}, location]
    reply = {"story": {"id": 9, "url": "https://a.example/s"}}
    found = read(message={"mid": "m", "attachments": files, "reply_to": reply}).attachments
    assert [file.kind for file in found] == ["document", "video", "location", "other"]
    assert (found[2].latitude, found[2].longitude, found[2].name) == (1.5, -2.0, "Here")
    assert (found[3].name, found[3].id) == ("story", "9")


def test_a_postback_without_an_id_is_recognised_by_its_bytes():
    """CHANNELS: old postbacks have no `mid`; the same click again has the same key, another one another."""
    once, again = (read(postback={"title": "Start", "payload": "GO"}) for _ in range(2))
    later = read(timestamp=MILLISECONDS + 1, postback={"title": "Start", "payload": "GO"})
    assert (once.kind, once.text) == (MessageKind.BUTTON, "Start")
    assert once.key == again.key != later.key
    assert read(postback={"mid": "m_9", "title": "Start"}).external_id == "m_9"


def test_what_changes_a_message():
    """C5: edits, deletions and reactions make nothing, and have keys of their own."""
    edit = read(message_edit={"mid": "m_1", "text": "Better", "num_edit": "2"})
    assert (edit.kind, edit.target, edit.text, edit.key) == (MessageKind.EDIT, "m_1", "Better", "page-1:m_1:edit:2")
    deleted = read(message={"mid": "m_1", "is_deleted": True})
    assert (deleted.kind, deleted.target, deleted.key) == (MessageKind.DELETE, "m_1", "page-1:m_1:deleted")
    reaction = read(reaction={"mid": "m_1", "action": "react", "emoji": "❤", "reaction": "love"})
    assert (reaction.kind, reaction.target, reaction.text) == (MessageKind.REACTION, "m_1", "❤")
    assert read(reaction={"mid": "m_1", "action": "unreact", "emoji": "❤"}).text == ""


def test_receipts_come_one_by_one():
    """S5: a receipt for several messages is one for each of them."""
    found = read_all(messaging(delivery={"mids": ["m_1", "m_2"], "watermark": 5}))
    assert [(one.kind, one.text, one.target) for one in found] == [
        (MessageKind.STATUS, "delivered", "m_1"),
        (MessageKind.STATUS, "delivered", "m_2"),
    ]
    assert len({one.key for one in found}) == 2
    seen = read(read={"watermark": 5})
    assert (seen.kind, seen.text, seen.target) == (MessageKind.STATUS, "read", "")


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"referral": {"ref": "spring", "source": "SHORTLINK"}}, MessageKind.REFERRAL),
        ({"optin": {"type": "notification_messages"}}, MessageKind.LIFECYCLE),
        ({"take_thread_control": {"previous_owner_app_id": "1"}}, MessageKind.SYSTEM),
        ({"something_new": 5}, MessageKind.SYSTEM),
    ],
)
def test_what_is_no_message(event, kind):
    """C5: kept, and makes nothing; what is new too."""
    assert read(**event).kind is kind


def test_referrals():
    """What brought the customer, with a message, a button or alone."""
    assert read(referral={"ref": "spring"}).referral == "spring"
    assert read(message={"mid": "m", "text": "x", "referral": {"source": "ADS", "ad_id": "7"}}).referral == "7"
    assert read(postback={"title": "Start", "referral": {"source": "CUSTOMER_CHAT_PLUGIN"}}).referral


def test_what_is_public_makes_no_customer():
    """C5: posts and comments of a page are kept and ignored; equal ones at another time are others."""
    change = {"field": "feed", "value": {"item": "comment", "message": "Hello"}}
    (once,), (later,) = read_all(entry(changes=[change])), read_all(entry(time=5, changes=[change]))
    assert (once.kind, once.text, once.account_id) == (MessageKind.IGNORED, "feed", "page-1")
    assert once.key != later.key


# Handshake: the same for all of Meta's webhooks


def test_the_handshake_echoes_the_challenge():
    """The verify token is right, the challenge comes back; a wrong one is refused."""
    channel = replace(MESSENGER.channel(), config={"verify_token": "known"})
    query = {"hub.mode": "subscribe", "hub.verify_token": "known", "hub.challenge": "42"}
    request = WebhookRequest("GET", "", {}, query, b"", NOW)
    reply = adapter_for("messenger").handshake(request, channel)
    assert reply is not None
    assert reply.body == "42"
    with pytest.raises(SignatureError):
        adapter_for("messenger").handshake(replace(request, query={**query, "hub.verify_token": "é"}), channel)

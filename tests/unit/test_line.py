"""What becomes of LINE's events (T2, C5, CHANNELS)."""

from dataclasses import replace

import pytest

from ingest.adapters.base import parse
from ingest.adapters.registry import adapter_for
from tests.contract.adapter_requests import LINE
from tracker.messages import InboundMessage, MessageKind

pytestmark = pytest.mark.unit

USER = {"type": "user", "userId": "Uanna"}
EVENT = {"mode": "active", "timestamp": 1790000000000, "source": USER, "webhookEventId": "01H1"}


def read_all(*events: object, **config: str) -> list[InboundMessage]:
    channel = replace(LINE.channel(), config=config)
    found = parse(adapter_for("line"), LINE.request(body={"destination": "Ubot", "events": list(events)}), channel)
    assert [event.error for event in found if event.error] == []
    return [event.message for event in found if event.message]


def read(type_: str, **fields: object) -> InboundMessage:
    (found,) = read_all({**EVENT, "type": type_, **fields})
    return found


def message(type_: str = "text", **fields: object) -> dict[str, object]:
    return {"message": {"id": "325", "type": type_, **fields}}


def test_a_text():
    """Ids and milliseconds; the event's id is the key, which a redelivery keeps."""
    found = read("message", **message(text="Hello", quotedMessageId="300"))
    assert (found.kind, found.text, found.reply_to) == (MessageKind.TEXT, "Hello", "300")
    assert (found.external_id, found.key, found.account_id) == ("325", "01H1", "Ubot")
    assert (found.chat_id, found.customer_id, found.sent_at.timestamp()) == ("Uanna", "Uanna", 1790000000)
    again = read("message", **message(text="Hello"), deliveryContext={"isRedelivery": True}, replyToken="r2")
    assert again.key == found.key


def test_the_namespace_is_the_providers():
    """T2: a user's id is the same for all bots of a provider, which is named in the channel's configuration."""
    event = {**EVENT, "type": "message", **message(text="x")}
    (named,), (unnamed,) = read_all(event, provider="1650"), read_all(event)
    assert [one.value for one in named.identifiers] == ["line/1650/Uanna"]
    assert [one.value for one in unnamed.identifiers] == ["line/Ubot/Uanna"]


def test_without_an_event_id_the_message_is_the_key():
    """CHANNELS: `webhookEventId`, then `message.id`; what has neither is recognised by its bytes."""
    event = {name: value for name, value in EVENT.items() if name != "webhookEventId"}
    (text,) = read_all({**event, "type": "message", **message(text="x")})
    assert text.key == "message:325"
    (edit,) = read_all({**event, "type": "messageEdited", **message(text="y")})
    (follow,) = read_all({**event, "type": "follow"})
    assert len({text.key, edit.key, follow.key}) == 3


def test_no_events_are_no_error():
    """CHANNELS: LINE tries a webhook with an empty list."""
    assert read_all() == []


def test_events_of_several_users_are_read_one_by_one():
    """One bad event loses only itself."""
    other = {**EVENT, "type": "message", "source": {"type": "user", "userId": "Uboris"}, **message(text="x")}
    bad = {**EVENT, "type": "message"}
    body = {"destination": "Ubot", "events": [{**other, "source": USER}, bad, 7, other]}
    events = parse(adapter_for("line"), LINE.request(body=body), LINE.channel())
    assert [event.message.chat_id if event.message else None for event in events] == ["Uanna", None, None, "Uboris"]


@pytest.mark.parametrize(
    ("source", "chat_id"),
    [
        ({"type": "group", "groupId": "C1", "userId": "Uanna"}, "C1"),
        ({"type": "room", "roomId": "R1"}, "R1"),
        ({}, ""),
        (None, ""),
    ],
)
def test_groups_make_no_customer(source, chat_id):
    """C5: messages, clicks and deletions in groups and rooms too."""
    for event in ({"type": "message", **message(text="x")}, {"type": "postback"}, {"type": "join"}):
        (found,) = read_all({**EVENT, **event, "source": source})
        assert (found.kind, found.chat_id, found.identifiers) == (MessageKind.GROUP, chat_id, ())


def test_standby_is_stored_only():
    """CHANNELS: another module has the conversation."""
    assert read("message", mode="standby", **message(text="x")).kind is MessageKind.HISTORY
    assert read("follow", mode="standby").kind is MessageKind.LIFECYCLE


@pytest.mark.parametrize(
    ("content", "kind", "text", "file"),
    [
        (message("image", contentProvider={"type": "line"}), MessageKind.MEDIA, "", ("image", "325")),
        (message("video"), MessageKind.MEDIA, "", ("video", "325")),
        (message("audio"), MessageKind.MEDIA, "", ("audio", "325")),
        (message("file", fileName="a.pdf", fileSize=9), MessageKind.MEDIA, "a.pdf", ("document", "325")),
        (message("sticker", stickerId="52"), MessageKind.STICKER, "", ("sticker", "52")),
        (message("location", title="Cafe", latitude=1.5), MessageKind.LOCATION, "Cafe", ("location", "")),
        (message("something"), MessageKind.UNSUPPORTED, "", None),
    ],
)
def test_kinds_of_messages(content, kind, text, file):
    """A file is fetched by the message's id; what is new is a message too."""
    found = read("message", **content)
    assert (found.kind, found.text) == (kind, text)
    assert [(one.kind, one.id) for one in found.attachments] == ([file] if file else [])


def test_a_click():
    """A postback is a customer's message without an id of its own."""
    found = read("postback", postback={"data": "buy=1"})
    assert (found.kind, found.text, found.external_id) == (MessageKind.BUTTON, "buy=1", "")


def test_what_changes_a_message():
    """C5: an edit and an unsent message are about one that is there."""
    edit = read("messageEdited", **message(text="Better"))
    assert (edit.kind, edit.target, edit.text, edit.key) == (MessageKind.EDIT, "325", "Better", "01H1")
    unsent = read("unsend", unsend={"messageId": "325"})
    assert (unsent.kind, unsent.target) == (MessageKind.DELETE, "325")


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("follow", MessageKind.LIFECYCLE),
        ("unfollow", MessageKind.LIFECYCLE),
        ("beacon", MessageKind.SYSTEM),
        ("accountLink", MessageKind.SYSTEM),
        ("videoPlayComplete", MessageKind.SYSTEM),
        ("something_new", MessageKind.SYSTEM),
    ],
)
def test_what_is_no_message(type_, kind):
    """C5: kept, and makes nothing; `unfollow` is a customer who has blocked us."""
    found = read(type_)
    assert (found.kind, found.text) == (kind, type_)

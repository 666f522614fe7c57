"""What becomes of VK's events (T2, C5, CHANNELS)."""

import json
from dataclasses import replace

import pytest

from ingest.adapters.base import SignatureError, parse
from ingest.adapters.registry import adapter_for
from tests.contract.adapter_requests import NEW, VK, WRONG
from tracker.messages import InboundMessage, MessageKind

pytestmark = pytest.mark.unit

MESSAGE = {"id": 12, "date": 1790000000, "peer_id": 5, "from_id": 5, "out": 0, "conversation_message_id": 3}
GROUP = 2_000_000_001


def read(type_: str, object_: object, **fields: object) -> InboundMessage:
    body = {"type": type_, "group_id": 77, "event_id": "e1", "v": "5.199", "object": object_, **fields}
    (event,) = parse(adapter_for("vk"), VK.request(body=body), VK.channel())
    assert event.message is not None, event.error
    assert b"secret" not in event.raw
    return event.message


def written(type_: str = "message_new", **fields: object) -> InboundMessage:
    message = {**MESSAGE, **fields}
    return read(type_, {"message": message} if type_ == "message_new" else message)


# Handshake


def ask(secret: object = None, account_id: str = "", confirmation: str = "a1b2c3", **fields: object):
    question = {"type": "confirmation", "group_id": 77, **fields}
    body = json.dumps(question if secret is None else {**question, "secret": secret}).encode()
    channel = replace(VK.channel(), account_id=account_id, config={"confirmation": confirmation})
    return adapter_for("vk").handshake(VK.request(body=body), channel)


@pytest.mark.parametrize(("secret", "account_id"), [(None, ""), (NEW, ""), (None, "77"), (NEW, "77")])
def test_the_confirmation_string_is_the_answer(secret, account_id):
    """CHANNELS: VK asks with the secret key, or without one while none is set."""
    assert ask(secret, account_id).body == "a1b2c3"


@pytest.mark.parametrize(
    "question",
    [
        {"secret": WRONG},
        {"secret": ""},
        {"secret": "ключ"},
        {"secret": 7},
        {"account_id": "78"},
        {"confirmation": ""},
    ],
)
def test_a_wrong_question_is_refused(question):
    """A wrong secret, another community, or a channel without the string."""
    with pytest.raises(SignatureError):
        ask(**question)


def test_who_writes_the_word_asks_nothing():
    """A message that holds the word is a message."""
    assert ask(type="message_new", object={"text": "confirmation"}) is None
    request = VK.request(body=b'["confirmation"]')
    with pytest.raises(SignatureError):
        adapter_for("vk").handshake(request, VK.channel())


def test_a_confirmation_that_was_stored_makes_no_customer():
    """C5."""
    assert read("confirmation", None).kind is MessageKind.SYSTEM


def test_the_answer_is_exactly_ok():
    """CHANNELS: anything else and VK sends again."""
    reply = adapter_for("vk").accepted(VK.request(), VK.channel())
    assert (reply.status, reply.body) == (200, "ok")


# Messages


def test_a_text():
    """Ids and seconds; the community is the account and the namespace (T2)."""
    found = written(text="Hello", reply_message={"id": 9, "conversation_message_id": 2}, ref="spring")
    assert (found.kind, found.text, found.account_id) == (MessageKind.TEXT, "Hello", "77")
    assert (found.external_id, found.key, found.reply_to, found.referral) == ("12", "e1", "9", "spring")
    assert (found.chat_id, found.customer_id, found.sent_at.timestamp()) == ("5", "5", 1790000000)
    assert [one.value for one in found.identifiers] == ["vk/77/5"]


def test_old_versions_send_the_message_alone():
    """Before 5.103 the object is the message, and there is no event id: the place in the conversation is the key."""
    found = read("message_new", {**MESSAGE, "text": "Hello"}, event_id=None)
    assert (found.text, found.key) == ("Hello", "message_new:5:3")
    other = read("message_edit", {**MESSAGE, "text": "Hello"}, event_id=None)
    nameless = read("message_new", {"peer_id": 5, "from_id": 5, "id": 1, "text": "x"}, event_id=None)
    assert len({found.key, other.key, nameless.key}) == 3


@pytest.mark.parametrize("type_", ["message_new", "message_reply", "message_edit"])
def test_groups_make_no_customer(type_):
    """C5: a `peer_id` above 2e9 is a conversation of several people; ids there are the conversation's."""
    found = written(type_, id=0, peer_id=GROUP, text="x")
    assert (found.kind, found.chat_id, found.external_id, found.identifiers) == (
        MessageKind.GROUP,
        str(GROUP),
        "3",
        (),
    )


@pytest.mark.parametrize(
    ("type_", "fields", "kind"),
    [
        ("message_reply", {"from_id": -77, "out": 1}, MessageKind.ECHO),
        ("message_new", {"from_id": 6, "out": 1}, MessageKind.ECHO),
        ("message_new", {"from_id": -77}, MessageKind.ECHO),
        ("message_edit", {"from_id": -77}, MessageKind.ECHO),
        ("message_new", {"from_id": -78}, MessageKind.AUTOMATIC),
    ],
)
def test_communities_are_no_customers(type_, fields, kind):
    """C5: our own messages are echoes, in the customer's chat; another community is no person."""
    found = written(type_, text="x", **fields)
    assert (found.kind, found.chat_id, found.identifiers) == (kind, "5", ())


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"text": "Start", "payload": '{"command":"start"}'}, MessageKind.BUTTON),
        ({"text": "", "attachments": [{"type": "sticker", "sticker": {"sticker_id": 7}}]}, MessageKind.STICKER),
        ({"text": "Look", "attachments": [{"type": "wall", "wall": {"id": 1}}]}, MessageKind.MEDIA),
        ({"text": "", "geo": {"coordinates": {"latitude": 1.5, "longitude": -2}}}, MessageKind.LOCATION),
        ({"text": "", "fwd_messages": [{"text": "Theirs", "from_id": 6}]}, MessageKind.TEXT),
        ({"text": "", "action": {"type": "chat_title_update"}}, MessageKind.SYSTEM),
        ({"text": ""}, MessageKind.UNSUPPORTED),
    ],
)
def test_kinds_of_messages(fields, kind):
    """What a customer sent is a message, also where nothing of it is known."""
    assert written(**fields).kind is kind


def test_what_is_passed_on_is_not_the_customers_own():
    """T3: forwarded text is no evidence; a text of his own beside it is."""
    passed_on = [{"text": "Call +79123456789"}, {"text": "now"}]
    found = written(text="", fwd_messages=passed_on)
    assert (found.text, found.forwarded) == ("Call +79123456789\nnow", True)
    beside = written(text="Look", fwd_messages=passed_on)
    assert (beside.text, beside.forwarded) == ("Look", False)


def test_attachments():
    """Of a photo the largest size; documents, voice, places."""
    sizes = [{"width": 9, "url": "small"}, {"width": 90, "url": "large"}, {"width": "x", "url": "odd"}, 7]
    found = written(
        attachments=[
            {"type": "photo", "photo": {"owner_id": 5, "id": 8, "sizes": sizes}},
            {"type": "doc", "doc": {"owner_id": 5, "id": 9, "title": "a.pdf", "size": 3, "url": "u"}},
            {"type": "audio_message", "audio_message": {"link_ogg": "v.ogg"}},
            {"type": "link", "link": {"url": "https://shop.example", "title": "Shop"}},
            {"type": "photo", "photo": 5},
        ],
        geo={"coordinates": {"latitude": 1.5, "longitude": -2}, "place": {"title": "Cafe"}},
    ).attachments
    assert [(file.kind, file.id, file.url, file.name) for file in found] == [
        ("image", "5_8", "large", ""),
        ("document", "5_9", "u", "a.pdf"),
        ("voice", "", "v.ogg", ""),
        ("other", "", "https://shop.example", "Shop"),
        ("image", "", "", ""),
        ("location", "", "", "Cafe"),
    ]


def test_what_changes_a_message():
    """C5: edits and reactions make nothing."""
    edit = written("message_edit", text="Better", update_time=1790000060)
    assert (edit.kind, edit.target, edit.text, edit.sent_at.timestamp()) == (
        MessageKind.EDIT,
        "12",
        "Better",
        1790000060,
    )
    reaction = read("message_reaction_event", {"peer_id": 5, "reacted_id": 5, "cmid": 3, "reaction_id": 2})
    assert (reaction.kind, reaction.target, reaction.text) == (MessageKind.REACTION, "3", "2")


def test_a_click():
    """A callback button: the click has an id of its own; its payload is a JSON value."""
    click = {"user_id": 5, "peer_id": 5, "event_id": "c1", "payload": {"buy": 1}, "conversation_message_id": 3}
    found = read("message_event", click)
    assert (found.kind, found.text, found.external_id, found.key) == (MessageKind.BUTTON, '{"buy":1}', "c1", "e1")
    assert [one.value for one in found.identifiers] == ["vk/77/5"]
    assert read("message_event", {**click, "peer_id": GROUP}).kind is MessageKind.GROUP


@pytest.mark.parametrize(
    ("type_", "object_", "kind", "text"),
    [
        ("message_allow", {"user_id": 5, "key": "k"}, MessageKind.LIFECYCLE, "allowed"),
        ("message_deny", {"user_id": 5}, MessageKind.LIFECYCLE, "denied"),
        ("message_read", {"from_id": 5, "peer_id": 5, "read_message_id": 9}, MessageKind.STATUS, "read"),
        ("message_typing_state", {"from_id": 5}, MessageKind.IGNORED, "message_typing_state"),
        ("wall_post_new", {"id": 1}, MessageKind.IGNORED, "wall_post_new"),
        ("something_new", None, MessageKind.IGNORED, "something_new"),
    ],
)
def test_what_is_no_message(type_, object_, kind, text):
    """C5: kept, and makes nothing; `message_deny` is a customer who has blocked us."""
    found = read(type_, object_)
    assert (found.kind, found.text) == (kind, text)

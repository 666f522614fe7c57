"""What becomes of WhatsApp's events (T3, T12, C5, CHANNELS)."""

from dataclasses import replace

import pytest

from ingest.adapters.base import SignatureError, WebhookRequest, parse
from ingest.adapters.registry import adapter_for
from tests.contract.adapter_requests import NOW, WHATSAPP
from tracker.identifiers import Evidence
from tracker.messages import InboundMessage, MessageKind

pytestmark = pytest.mark.unit

METADATA = {"display_phone_number": "74950000001", "phone_number_id": "number-1"}
BSUID = "US.13491208655302741918"
CONTACT = {"profile": {"name": "Anna"}, "wa_id": "79123456789"}


def read_all(*changes: dict[str, object]) -> list[InboundMessage]:
    body = {"object": "whatsapp_business_account", "entry": [{"id": "waba-1", "changes": list(changes)}]}
    events = parse(adapter_for("whatsapp"), WHATSAPP.request(body=body), WHATSAPP.channel())
    assert [event.error for event in events if event.error] == []
    return [event.message for event in events if event.message]


def value(field: str = "messages", **value: object) -> dict[str, object]:
    return {"field": field, "value": {"messaging_product": "whatsapp", "metadata": METADATA, **value}}


def sent(**fields: object) -> dict[str, object]:
    return {"from": "79123456789", "id": "wamid.1", "timestamp": "1790000000", **fields}


def read(contact: dict[str, object] | None = None, **fields: object) -> InboundMessage:
    (found,) = read_all(value(messages=[sent(**fields)], contacts=[contact or CONTACT]))
    return found


# Handshake


def ask(**query: str) -> WebhookRequest:
    return WebhookRequest("GET", "", {}, {name.replace("_", ".", 1): text for name, text in query.items()}, b"", NOW)


CHANNEL = replace(WHATSAPP.channel(), config={"verify_token": "ключ"})


def test_the_handshake_echoes_the_challenge():
    """Meta's set-up call: the verify token is right, the challenge comes back."""
    reply = adapter_for("whatsapp").handshake(
        ask(hub_mode="subscribe", hub_verify_token="ключ", hub_challenge="42"), CHANNEL
    )
    assert reply is not None
    assert (reply.status, reply.body) == (200, "42")


@pytest.mark.parametrize(
    ("request_", "config"),
    [
        (ask(hub_mode="subscribe", hub_verify_token="wrong"), {"verify_token": "ключ"}),
        (ask(hub_mode="subscribe"), {"verify_token": "ключ"}),
        (ask(hub_mode="unsubscribe", hub_verify_token="ключ"), {"verify_token": "ключ"}),
        (ask(hub_mode="subscribe", hub_verify_token=""), {"verify_token": ""}),
        (ask(hub_mode="subscribe", hub_verify_token="\udc80"), {"verify_token": "ключ"}),
        (ask(hub_mode="subscribe", hub_verify_token="None"), {}),
        (ask(hub_mode="subscribe", hub_verify_token="x"), {"verify_token": ["x"]}),
    ],
)
def test_a_wrong_handshake_is_refused(request_, config):
    """A channel that has no verify token, or another one, answers no challenge."""
    with pytest.raises(SignatureError):
        adapter_for("whatsapp").handshake(request_, replace(CHANNEL, config=config))


def test_an_ordinary_webhook_is_no_handshake():
    """A POST, and a GET without `hub.mode`, go the ordinary way."""
    assert adapter_for("whatsapp").handshake(WHATSAPP.request(), CHANNEL) is None
    assert adapter_for("whatsapp").handshake(ask(), CHANNEL) is None


# Messages


def test_a_text():
    """The number that it came from is proven, the account is the number that it came to."""
    found = read(type="text", text={"body": "Hello"}, context={"id": "wamid.0"})
    assert (found.kind, found.text, found.name, found.reply_to) == (MessageKind.TEXT, "Hello", "Anna", "wamid.0")
    assert (found.account_id, found.key, found.chat_id) == ("number-1", "number-1:wamid.1", "79123456789")
    assert [(one.value, one.evidence) for one in found.identifiers] == [("+79123456789", Evidence.PROVEN)]


@pytest.mark.parametrize(
    ("fields", "kind", "text"),
    [
        ({"type": "image", "image": {"id": "i", "caption": "Look"}}, MessageKind.MEDIA, "Look"),
        ({"type": "sticker", "sticker": {"id": "s"}}, MessageKind.STICKER, ""),
        ({"type": "location", "location": {"latitude": 1, "longitude": 2}}, MessageKind.LOCATION, ""),
        ({"type": "button", "button": {"text": "Yes", "payload": "y"}}, MessageKind.BUTTON, "Yes"),
        (
            {"type": "interactive", "interactive": {"type": "list_reply", "list_reply": {"id": "1", "title": "One"}}},
            MessageKind.BUTTON,
            "One",
        ),
        ({"type": "order", "order": {"text": "Please", "product_items": []}}, MessageKind.ORDER, "Please"),
        ({"type": "unsupported", "errors": [{"code": 131051}]}, MessageKind.UNSUPPORTED, ""),
        ({"type": "hologram", "hologram": {}}, MessageKind.UNSUPPORTED, ""),
        ({}, MessageKind.UNSUPPORTED, ""),
        ({"type": "unsupported", "unsupported": {"type": "edit"}}, MessageKind.IGNORED, ""),
        ({"type": "system", "system": {"body": "changed"}}, MessageKind.SYSTEM, "changed"),
        ({"type": "request_welcome"}, MessageKind.LIFECYCLE, ""),
        ({"type": "text", "text": {"body": "x"}, "group_id": "g"}, MessageKind.GROUP, "x"),
    ],
)
def test_types(fields, kind, text):
    """Each type becomes the kind that CHANNELS and C5 want; one that is not known yet is still a message."""
    found = read(**fields)
    assert (found.kind, found.text) == (kind, text)


def test_files():
    """A voice note is told from an audio file; the caption is the text, the file's name the attachment's."""
    (voice,) = read(type="audio", audio={"id": "a", "voice": True, "mime_type": "audio/ogg"}).attachments
    assert (voice.kind, voice.mime) == ("voice", "audio/ogg")
    (paper,) = read(type="document", document={"id": "d", "filename": "bill.pdf", "url": "https://a.de"}).attachments
    assert (paper.name, paper.url) == ("bill.pdf", "https://a.de")


def test_edits_deletions_and_reactions_have_a_target():
    """C5: they change the message that they name."""
    changed = {"original_message_id": "wamid.0", "message": {"type": "image", "image": {"caption": "New"}}}
    edit = read(type="edit", edit=changed)
    assert (edit.kind, edit.target, edit.text) == (MessageKind.EDIT, "wamid.0", "New")
    revoke = read(type="revoke", revoke={"original_message_id": "wamid.0"})
    assert (revoke.kind, revoke.target) == (MessageKind.DELETE, "wamid.0")
    reaction = read(type="reaction", reaction={"message_id": "wamid.0", "emoji": "🔥"})
    assert (reaction.kind, reaction.target, reaction.text) == (MessageKind.REACTION, "wamid.0", "🔥")


def test_forwarded_and_referred():
    """T3: a forwarded text is no evidence and is marked; an advertisement is what brought the customer."""
    assert read(type="text", text={"body": "x"}, context={"frequently_forwarded": True}).forwarded
    assert read(type="text", text={"body": "x"}, referral={"source_id": "ad-1"}).referral == "ad-1"


# Who it is


def test_a_user_without_a_number():
    """A username user has only a BSUID: it is the address, and an identifier within the business account (T2)."""
    (found,) = read_all(
        value(
            messages=[{"id": "wamid.1", "timestamp": "1790000000", "type": "text", "text": {"body": "x"}}],
            contacts=[{"profile": {"name": "Anna"}, "user_id": BSUID}],
        )
    )
    assert (found.chat_id, found.customer_id) == (BSUID, BSUID)
    assert [one.value for one in found.identifiers] == [f"whatsapp/waba-1/{BSUID}"]


def shared_card(origin: str, **fields: object) -> InboundMessage:
    (found,) = read_all(
        value(
            messages=[
                {
                    "id": "wamid.1",
                    "from_user_id": BSUID,
                    "type": "contacts",
                    "origin": origin,
                    "contacts": [{"name": {"formatted_name": "Anna"}, "phones": [{"phone": "79123456789"}]}],
                    **fields,
                }
            ]
        )
    )
    return found


def test_a_requested_card_proves_the_phone():
    """T3: the button of a contact request sends the customer's own card."""
    assert "+79123456789" in [one.value for one in shared_card("contact_request").identifiers]


def test_any_other_card_proves_nothing():
    """T3: somebody's card is an attachment."""
    for found in (shared_card("other"), shared_card(""), shared_card("contact_request", context={"forwarded": True})):
        assert [one.value for one in found.identifiers] == [f"whatsapp/waba-1/{BSUID}"]
        assert found.attachments[0].url == "tel:79123456789"


def test_each_message_of_a_batch_has_its_own_sender():
    """A contact is never taken for the sender of somebody else's message."""
    first, second = read_all(
        value(
            messages=[
                sent(type="text", text={"body": "1"}),
                sent(id="wamid.2", **{"from": "79120000002"}, type="text", text={"body": "2"}),
            ],
            contacts=[{**CONTACT, "user_id": BSUID}],
        )
    )
    assert (first.name, len(first.identifiers)) == ("Anna", 2)
    assert (second.name, [one.value for one in second.identifiers]) == ("", ["+79120000002"])


def test_brazils_two_writings_are_one_subscriber():
    """T12: `from` and `wa_id` may differ by the ninth digit; the address stays as it came."""
    found = read({**CONTACT, "wa_id": "5551981234567"}, **{"from": "555181234567"}, type="text", text={"body": "x"})
    assert (found.name, found.chat_id, found.identifiers[0].key) == ("Anna", "555181234567", "+555181234567")


def test_a_contact_may_be_missing_or_odd():
    """CHANNELS: `contacts` may be missing, or without `profile`."""
    for contacts in ([], [{"wa_id": "79123456789"}], [{"profile": None}], None, "x"):
        (found,) = read_all(value(messages=[sent(type="text", text={"body": "x"})], contacts=contacts))
        assert (found.kind, found.name) == (MessageKind.TEXT, "")


# Other events


def test_a_status_has_a_key_of_its_own():
    """CHANNELS: delivered and read of one message are two events, and a repeated one is none."""
    states = [{"id": "wamid.9", "status": status, "recipient_id": "79123456789"} for status in ("delivered", "read")]
    found = read_all(value(statuses=states))
    assert [one.key for one in found] == ["number-1:wamid.9:delivered", "number-1:wamid.9:read"]
    assert {one.kind for one in found} == {MessageKind.STATUS}
    failed = {"id": "w", "status": "failed", "recipient_user_id": BSUID, "errors": [{"code": 131026}]}
    assert [(one.text, one.chat_id) for one in read_all(value(statuses=[failed]))] == [("failed 131026", BSUID)]


def test_what_the_company_writes_on_its_phone_is_an_echo():
    """C5: `smb_message_echoes` is ours, to the customer's chat."""
    echo = {"from": "74950000001", "to": "79123456789", "id": "wamid.3", "type": "text", "text": {"body": "Hi"}}
    (found,) = read_all(value("smb_message_echoes", message_echoes=[echo]))
    assert (found.kind, found.chat_id, found.text) == (MessageKind.ECHO, "79123456789", "Hi")


def test_history_is_imported_message_by_message():
    """CHANNELS: old messages are kept in their chats, and start nothing."""
    chunk = {
        "metadata": {"phase": 0},
        "threads": [{"id": "79123456789", "messages": [sent(type="text", text={"body": "x"})]}],
    }
    (found,) = read_all(value("history", history=[chunk]))
    assert (found.kind, found.chat_id, found.key) == (MessageKind.HISTORY, "79123456789", "number-1:wamid.1:history")


@pytest.mark.parametrize(
    "change",
    [
        {"field": "account_update", "value": {"event": "DISABLED_UPDATE"}},
        value("history", history=[{"errors": [{"code": 2593109}]}]),
        value("history", history=[{"threads": [{"id": "1"}]}]),
        value("calls", calls=[{"id": "wacid.1"}]),
        value(errors=[{"code": 1}]),
        value(),
        {"field": "new"},
        7,
    ],
)
def test_other_changes_are_kept(change):
    """Each is one event of the account, whatever it is."""
    (found,) = read_all(change)
    assert found.kind is MessageKind.SYSTEM
    assert found.account_id in {"", "number-1"}


def test_nothing_of_a_batch_is_lost():
    """Messages, statuses, errors, other numbers and an odd item in one body: each is an event of its own."""
    body = {
        "entry": [
            {
                "id": "1",
                "changes": [value(messages=[sent(type="text", text={"body": "x"}), 5], statuses=[{}], errors=[1])],
            },
            {"id": "2", "messaging": []},
            {"id": "3", "changes": [value(messages=[sent(id="wamid.2", type="image", image={"id": "i"})])]},
        ]
    }
    events = parse(adapter_for("whatsapp"), WHATSAPP.request(body=body), WHATSAPP.channel())
    assert [event.message.kind if event.message else None for event in events] == [
        MessageKind.TEXT,
        None,
        None,
        MessageKind.SYSTEM,
        MessageKind.IGNORED,
        MessageKind.MEDIA,
    ]

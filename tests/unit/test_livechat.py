"""Live chat: who is believed to be whom (T3)."""

import base64
import json

import jwt
import pytest

from ingest.adapters.base import SignatureError, parse
from ingest.adapters.registry import adapter_for
from tests.contract.adapter_requests import LIVECHAT, NEW, NOW, OLD, WRONG
from tracker.identifiers import Evidence
from tracker.messages import InboundMessage, MessageKind

pytestmark = pytest.mark.unit

VISITOR = "visitor-0123456789"
SOON = int(NOW.timestamp()) + 600
CLAIMS = {"sub": "42", "exp": SOON, "name": "Anna Lee", "email": "Anna@Shop.DE", "phone": "+79123456789"}


def token(secret: str = NEW, algorithm: str = "HS256", **claims: object) -> str:
    return jwt.encode({**CLAIMS, **claims}, secret, algorithm)


def body(**fields: object) -> dict[str, object]:
    return {"message_id": "m1", "visitor_id": VISITOR, "text": "Hello", **fields}


def errors(**fields: object) -> str:
    (event,) = parse(adapter_for("livechat"), LIVECHAT.request(body=body(**fields)), LIVECHAT.channel())
    return event.error


def read(**fields: object) -> InboundMessage:
    request = LIVECHAT.request(body=body(**fields))
    adapter_for("livechat").verify(request, LIVECHAT.channel())
    (event,) = parse(adapter_for("livechat"), request, LIVECHAT.channel())
    assert event.message is not None, event.error
    return event.message


def evidence(message: InboundMessage) -> dict[str, Evidence]:
    return {identifier.value: identifier.evidence for identifier in message.identifiers}


def test_a_visitor_without_a_token():
    """T3: what a visitor says of himself is typed; the chat is his own, known by his secret id."""
    found = read(name="Anna", email="anna@shop.de", phone="8 912 345 67 89", page_url="https://shop.de/a")
    assert (found.kind, found.chat_id, found.name, found.referral) == ("text", VISITOR, "Anna", "https://shop.de/a")
    assert evidence(found) == {
        f"livechat/desk/{VISITOR}": Evidence.PROVEN,
        "+79123456789": Evidence.TYPED,
        "anna@shop.de": Evidence.TYPED,
    }


@pytest.mark.parametrize(
    "visitor_id", ["", "short", "v" * 129, "signed:42-0123456789", "with space 0123456", None, [], "é" * 20]
)
def test_a_visitors_id_cannot_be_guessed(visitor_id):
    """An id that somebody could guess, or that looks like a customer's, is an error."""
    assert "visitor_id" in errors(visitor_id=visitor_id)


def test_a_token_signs_who_it_is():
    """T3: what the company's site says is signed, and stronger than the same typed; `sub` is the customer."""
    found = read(identity_token=token(), name="Someone", email="anna@shop.de", phone="+79120000002")
    assert (found.chat_id, found.customer_id, found.name) == ("signed:42", "signed:42", "Anna Lee")
    assert evidence(found) == {
        "livechat/desk/signed:42": Evidence.PROVEN,
        "+79123456789": Evidence.SIGNED,
        "anna@shop.de": Evidence.SIGNED,
        "+79120000002": Evidence.TYPED,
    }


def test_nobody_without_the_token_gets_into_a_signed_chat():
    """A signed customer's chat does not depend on the visitor id, and no visitor id reads like it."""
    signed = read(identity_token=token())
    assert signed.chat_id == read(identity_token=token(), visitor_id="another-visitor-id").chat_id
    assert signed.chat_id != read().chat_id
    assert read(identity_token=token(sub=VISITOR)).chat_id != read().chat_id


def test_nobody_uses_up_the_message_ids_of_another():
    """De-duplication is per sender: the same message id of two visitors is two messages."""
    assert read().key != read(visitor_id="another-visitor-id").key


def test_both_secrets_sign_during_a_rotation():
    """A token under the older secret is good as long as that one is valid."""
    assert read(identity_token=token(OLD)).customer_id == "signed:42"


def unsigned(claims: dict[str, object], algorithm: str) -> str:
    parts = ({"alg": algorithm, "typ": "JWT"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


@pytest.mark.parametrize(
    "bad",
    [
        token(WRONG),
        token(exp=int(NOW.timestamp())),
        token(exp=int(NOW.timestamp()) - 1),
        token(exp=None),
        token(exp="tomorrow"),
        token(exp=10**400),
        token(nbf=SOON),
        token(sub=""),
        token(sub="x" * 129),
        token(algorithm="HS512"),
        unsigned(CLAIMS, "none"),
        unsigned(CLAIMS, "HS256"),
        jwt.encode({"sub": "42"}, NEW, "HS256"),
        jwt.encode({"exp": SOON}, NEW, "HS256"),
        token()[:-2],
        token() + "é",
        "\ud800",
        "x.y.z",
        "." * 5000,
        7,
        {"a": 1},
        True,
        False,
        0,
    ],
)
def test_a_bad_token_is_refused(bad):
    """401, and no message: forged, expired, unfinished, unsigned, or no token at all."""
    with pytest.raises(SignatureError):
        adapter_for("livechat").verify(LIVECHAT.request(body=body(identity_token=bad)), LIVECHAT.channel())
    assert "SignatureError" in errors(identity_token=bad)


def test_a_token_is_held_against_the_time_of_the_request():
    """A stored message can be read again when its token has long expired: our clock is no part of it."""
    assert read(identity_token=token()).sent_at == NOW


def test_a_token_needs_a_secret():
    """A channel without secrets takes visitors, and no tokens."""
    channel = LIVECHAT.channel("")
    adapter_for("livechat").verify(LIVECHAT.request(), channel)
    with pytest.raises(SignatureError):
        adapter_for("livechat").verify(LIVECHAT.request(body=body(identity_token=token())), channel)


def test_what_a_message_must_have():
    """A message id, and a text, a file or a contact."""
    assert "message_id" in errors(message_id=None)
    assert "text" in errors(text=" "[:0])
    assert read(text="", phone="+79123456789").kind is MessageKind.CONTACT


def test_files_bring_no_script():
    """An attachment's address is one that a browser fetches, not one that it runs."""
    found = read(attachments=[{"kind": "image", "url": "https://a.de/x.png"}, {"url": "JavaScript:alert(1)"}, "x"])
    assert found.kind is MessageKind.MEDIA
    assert [file.url for file in found.attachments] == ["https://a.de/x.png", ""]


def test_the_answer_is_json_for_any_origin():
    """The widget runs in pages of other origins."""
    adapter = adapter_for("livechat")
    assert adapter.from_browsers
    assert json.loads(adapter.accepted(LIVECHAT.request(), LIVECHAT.channel()).body) == {"ok": True}

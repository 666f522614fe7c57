"""The custom channel's protocol (T3, C5)."""

from datetime import UTC, datetime

import pytest
import standardwebhooks

from ingest.adapters.base import ParsedEvent, parse
from ingest.adapters.registry import adapter_for
from ingest.adapters.signatures import sign
from tests.contract.adapter_requests import CUSTOM, NEW
from tracker.identifiers import Evidence
from tracker.messages import InboundMessage, MessageKind

pytestmark = pytest.mark.unit


def events(body: object) -> list[ParsedEvent]:
    return parse(adapter_for("custom"), CUSTOM.request(body=body), CUSTOM.channel())


def read(**fields: object) -> InboundMessage:
    (event,) = events({"id": "m1", "chat_id": "c1", "text": "Hello", **fields})
    assert event.message is not None, event.error
    return event.message


def error(**fields: object) -> str:
    (event,) = events({"id": "m1", "chat_id": "c1", "text": "Hello", **fields})
    return event.error


def test_a_message():
    """All fields of the protocol arrive; phone and e-mail are typed unless the caller says more."""
    found = read(
        customer_id="u1",
        name="Anna",
        phone="+79123456789",
        email="a@shop.de",
        sent_at="2026-10-05T11:00:00Z",
        reply_to="m0",
        referral="spring",
    )
    assert (found.kind, found.external_id, found.key, found.chat_id, found.customer_id) == (
        "text",
        "m1",
        "m1",
        "c1",
        "u1",
    )
    assert (found.name, found.reply_to, found.referral, found.sent_at.hour) == ("Anna", "m0", "spring", 11)
    assert [(one.value, one.evidence) for one in found.identifiers] == [
        ("custom/desk/u1", Evidence.PROVEN),
        ("+79123456789", Evidence.TYPED),
        ("a@shop.de", Evidence.TYPED),
    ]


@pytest.mark.parametrize("evidence", list(Evidence))
def test_the_caller_says_how_it_knows(evidence):
    """T3: a trusted server may say that a phone is proven or signed."""
    assert read(phone="+79123456789", evidence=evidence.value).identifiers[1].evidence is evidence


@pytest.mark.parametrize("fields", [{"evidence": "sure"}, {"evidence": None}, {"evidence": ["proven"]}])
def test_an_unknown_evidence_is_an_error(fields):
    """A typing error must neither strengthen nor weaken what is said."""
    assert "evidence" in error(**fields)


def test_a_batch_loses_only_the_bad_one():
    """`messages` are events of their own; one without id has the delivery's and its place."""
    found = events(
        {"messages": [{"chat_id": "c1", "text": "1"}, {"text": "no chat"}, 5, {"chat_id": "c1", "text": "2"}]}
    )
    assert [event.message.key if event.message else None for event in found] == ["msg_1#0", None, None, "msg_1#3"]
    assert events({"messages": []}) == []
    assert events({"messages": "x"})[0].error


def test_changes_name_their_target():
    """C5: edit, deletion and reaction; an event with its target's own id is not taken for a repeated delivery."""
    for kind in ("edit", "delete", "reaction"):
        assert "target" in error(kind=kind)
        found = read(kind=kind, target="m1")
        assert (found.kind, found.target, found.key, found.identifiers) == (kind, "m1", "msg_1#0", ())
        assert read(id="e1", kind=kind, target="m1").key == "e1"


def test_kinds():
    """The kind follows from the content where none is given; an unknown one is kept and ignored (C5)."""
    assert read(attachments=[{"url": "https://a.de/x.png"}]).kind is MessageKind.MEDIA
    assert read(kind="order").kind is MessageKind.ORDER
    assert read(kind="hologram").kind is MessageKind.IGNORED
    assert "text" in error(text="")


def test_only_one_of_chat_and_customer_is_needed():
    """A channel with one chat per customer has one id for both."""
    assert read(customer_id="u1", chat_id=None).chat_id == "u1"
    assert read().customer_id == "c1"


def test_our_signature_is_the_standards():
    """Standard Webhooks: the reference library accepts what we sign, and signs as we do."""
    body, now = '{"text":"Привет"}', datetime.now(UTC).replace(microsecond=0)
    for secret in (NEW, f"whsec_{NEW}", NEW.rstrip("=")):
        signature = sign(secret, "msg_1", int(now.timestamp()), body.encode())
        assert signature == standardwebhooks.Webhook(secret).sign("msg_1", now, body)
        headers = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signature,
        }
        standardwebhooks.Webhook(secret).verify(body, headers)


@pytest.mark.parametrize("secret", ["", "whsec_", "not base64!", "ключ"])
def test_a_secret_that_is_none_is_said_so(secret):
    """A delivery is not signed with an empty or a mistyped key."""
    with pytest.raises(ValueError, match="secret"):
        sign(secret, "msg_1", 1, b"")


def test_a_receipt():
    """S5: what became of a message of ours, named by our id; it makes nothing, and no repetition of another."""
    (delivered, read) = (
        event.message
        for status in ("delivered", "read")
        for event in events({"type": "status", "id": "0198f3a2-5d10", "chat_id": "c1", "status": status})
    )
    assert delivered is not None
    assert read is not None
    assert (read.kind, read.text, read.target, read.chat_id) == (MessageKind.STATUS, "read", "0198f3a2-5d10", "c1")
    assert (read.from_customer, read.identifiers) == (False, ())
    assert delivered.key != read.key, "both came under one webhook-id"
    assert error(type="status", status="") != ""

"""Where Instagram differs from Messenger (T2, C5, CHANNELS)."""

import pytest

from ingest.adapters.base import parse
from ingest.adapters.registry import adapter_for
from tests.contract.adapter_requests import INSTAGRAM, messaging
from tracker.messages import InboundMessage, MessageKind

pytestmark = pytest.mark.unit

SIDES = {"sender": {"id": "person-1"}, "recipient": {"id": "17841"}, "timestamp": "1790000000"}


def read(body: object) -> InboundMessage:
    (event,) = parse(adapter_for("instagram"), INSTAGRAM.request(body=body), INSTAGRAM.channel())
    assert event.message is not None, event.error
    return event.message


def changed(field: str, value: object) -> dict[str, object]:
    return {"object": "instagram", "entry": [{"id": "0", "time": 5, "changes": [{"field": field, "value": value}]}]}


def test_the_namespace_is_the_accounts():
    """T2: a person's id on Instagram is another one than on Messenger."""
    found = read(messaging(message={"mid": "m", "text": "Hello"}))
    assert [identifier.value for identifier in found.identifiers] == ["instagram/page-1/person-1"]


def test_a_message_may_come_as_a_change():
    """CHANNELS: Meta's test button sends `changes`; the account is the recipient, whatever the entry says."""
    found = read(changed("messages", {**SIDES, "message": {"mid": "m", "text": "Hello"}}))
    assert (found.kind, found.text, found.account_id, found.chat_id) == (MessageKind.TEXT, "Hello", "17841", "person-1")
    assert found.sent_at.timestamp() == 1790000000
    standby = read(changed("standby", {**SIDES, "message": {"mid": "m", "text": "Hello"}}))
    assert standby.kind is MessageKind.HISTORY


@pytest.mark.parametrize("value", [{"text": "Nice", "id": "7", "from": {"id": "1"}}, None, [], "x"])
def test_comments_make_no_customer(value):
    """C5: what is public is kept and ignored."""
    assert read(changed("comments", value)).kind is MessageKind.IGNORED


def test_an_answer_to_a_story():
    """The story comes along; the text is the customer's."""
    found = read(messaging(message={"mid": "m", "text": "How much?", "reply_to": {"story": {"id": "9", "url": "u"}}}))
    assert (found.kind, found.text) == (MessageKind.TEXT, "How much?")
    assert [(file.name, file.id) for file in found.attachments] == [("story", "9")]


def test_seen_has_the_message():
    """Instagram tells which message was read."""
    found = read(messaging(read={"mid": "m_1"}))
    assert (found.kind, found.target) == (MessageKind.STATUS, "m_1")

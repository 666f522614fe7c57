"""Edits of messages and of slices: what may be changed, what came of it, and how a mistake is told."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from ingest.mending import Edit, EditError, Mended, mend_message, mend_slice
from tests.pipeline import text_message
from tests.webhooks import channel
from tracker.identifiers import Evidence, Identifier, email, phone
from tracker.messages import Attachment, MessageKind

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
MESSAGE = {"id": "m-1", "chat_id": "c-1", "text": "hello", "sent_at": "2026-03-01T09:00:00Z"}
SLICE = {"delivery": "d-1#0", "message": MESSAGE}


def given(**fields: Any) -> str:
    """A message as it is kept."""
    return text_message("custom", "7", fields.pop("text", "hello"), **fields).model_dump_json(exclude_defaults=True)


def mend(message: str, *removed: str, **values: Any) -> Mended:
    """An edit of a message; `__` in a name is a dot."""
    edit = Edit({name.replace("__", "."): value for name, value in values.items()}, removed)
    return mend_message(message, edit, "DE")


def refused(message: str, *removed: str, **values: Any) -> tuple[str, str]:
    """Reason and text of an edit that cannot be made."""
    with pytest.raises(EditError) as error:
        mend(message, *removed, **values)
    return error.value.reason, str(error.value)


def test_a_field_is_changed_and_the_difference_kept() -> None:
    """Text, name, a field within a list, one that was not given; what it was and what it became."""
    files = (Attachment(kind="image", url="http://x/1"), Attachment(kind="image", url="http://x/2"))
    message = given(attachments=files)
    mended = mend(message, text="goodbye", name="Ann", attachments__1__url="http://x/3", forwarded=True)
    assert (mended.of, mended.message.text, mended.message.name) == ("message", "goodbye", "Ann")
    assert [file.url for file in mended.message.attachments] == ["http://x/1", "http://x/3"]
    assert mended.message.forwarded
    assert [(one.path, one.was, one.became) for one in mended.changes] == [
        ("text", "hello", "goodbye"),
        ("name", "", "Ann"),
        ("attachments.1.url", "http://x/2", "http://x/3"),
        ("forwarded", False, True),
    ]
    brackets = mend_message(message, Edit({"attachments[0].url": "http://x/4"}), None)
    assert brackets.message.attachments[0].url == "http://x/4"
    appended = mend(message, attachments__2={"kind": "audio"})
    assert [file.kind for file in appended.message.attachments] == ["image", "image", "audio"]
    assert len(mend(message, "attachments.0").message.attachments) == 1


@pytest.mark.parametrize(
    "name", ["key", "external_id", "channel", "account_id", "chat_id", "customer_id", "received_at"]
)
def test_what_identifies_stays(name: str) -> None:
    """By it a second delivery is known, and whose chat it is; the error names the field and says why."""
    reason, said = refused(given(), **{name: "other"})
    assert (reason, name in said, "identifies" in said) == ("fixed_field", True, True)
    assert refused(given(), name)[0] == "fixed_field"


def test_mistakes_name_the_field() -> None:
    """Unknown fields with those that there are, wrong types, places that lead nowhere; never what was written."""
    message = given(text="my secret words")
    for values, reason, where in (
        ({"txet": "x"}, "unknown_field", "txet: there is no such field; there are attachments"),
        ({"text": 5}, "invalid_value", "text: Input should be a valid string; a text that looks like a number"),
        ({"sent_at": "soon"}, "invalid_value", "sent_at"),
        ({"kind": "shout"}, "invalid_value", "kind"),
        ({"attachments": [{"kind": "image", "colour": "red"}]}, "unknown_field", "attachments.0.colour"),
        ({"attachments__0__url": "x"}, "unknown_field", "attachments.0.url: there are 0 entries"),
        ({"attachments__url": "x"}, "unknown_field", "attachments has no fields"),
        ({"text__length": 5}, "unknown_field", "text has no fields"),
        ({"attachments": [{"url": "x"}]}, "invalid_value", "attachments.0.kind"),
        ({"text": "my secret words"}, "invalid_value", "text: that is what it is already"),
        ({"text[": "x"}, "unknown_field", "no path"),
        ({".": {}}, "fixed_field", "."),
    ):
        found = refused(message, **values)
        assert found[0] == reason, (values, found)
        assert where in found[1], (values, found)
        assert "secret" not in found[1]
    assert refused(message, "reply")[0] == "unknown_field"


def test_a_kind_stays_among_those_that_are_handled_alike() -> None:
    """C5: what makes a customer does not become a status, nor the other way round."""
    assert mend(given(), kind="sticker").message.kind is MessageKind.STICKER
    assert refused(given(), kind="status")[0] == "fixed_field"
    assert refused(given(), kind="edit")[0] == "fixed_field"


def test_an_edited_identifier_is_read_anew_and_proves_nothing() -> None:
    """T3, T12: its key follows its value; whatever it was, a person's edit is as if somebody had typed it."""
    known = [phone("+491712345678", Evidence.PROVEN), email("ann@shop-mail.de", Evidence.TYPED)]
    message = given(identifiers=[one for one in known if one])
    mended = mend(message, identifiers__0__value="0171 2345679").message.identifiers
    assert [(one.value, one.key, one.evidence) for one in mended] == [
        ("+491712345679", "+491712345679", Evidence.TYPED),
        ("ann@shop-mail.de", "ann@shop-mail.de", Evidence.TYPED),
    ]
    added = mend(message, identifiers__2={"kind": "email", "value": "Bea@shop-mail.de"}).message.identifiers
    assert added[2].key == "bea@shop-mail.de"
    assert len(mend(message, "identifiers.0").message.identifiers) == 1
    raised = mend(message, identifiers__1__value="x@y-shop.de", identifiers__1__evidence="proven").message.identifiers
    assert (raised[1].value, raised[1].evidence) == ("x@y-shop.de", Evidence.TYPED)
    for value, reason in (("hello", "invalid_value"), (5, "invalid_value")):
        assert refused(message, identifiers__0__value=value)[0] == reason
    assert refused(message, identifiers__0={"kind": "messenger", "value": "telegram/9"})[0] == "fixed_field"


def test_a_slice_is_edited_until_its_adapter_reads_it() -> None:
    """A field that was missing, wrong, or too much; the difference is that of the slice."""
    custom = channel("custom", 1)
    broken = {**SLICE, "message": {**MESSAGE, "chat_id": None}}
    mended = mend_slice(orjson.dumps(broken), Edit({"message.chat_id": "c-2"}), custom, NOW)
    assert (mended.of, mended.message.chat_id, mended.message.text) == ("raw", "c-2", "hello")
    assert [(one.path, one.was, one.became) for one in mended.changes] == [("message.chat_id", None, "c-2")]
    with pytest.raises(EditError, match="cannot read it as it was edited either") as error:
        mend_slice(orjson.dumps(broken), Edit({"message.text": "x"}), custom, NOW)
    assert error.value.reason == "still_unreadable"


def test_an_edit_leaves_what_makes_a_second_delivery_recognisable() -> None:
    """A slice that its adapter reads, and PostgreSQL refused: its key is known already."""
    custom = channel("custom", 1)
    with pytest.raises(EditError, match="leave the ids") as error:
        mend_slice(orjson.dumps(SLICE), Edit({"message.id": "m-2"}), custom, NOW)
    assert error.value.reason == "fixed_field"
    assert mend_slice(orjson.dumps(SLICE), Edit({"message.text": "x"}), custom, NOW).message.text == "x"


def test_what_is_no_json_is_given_as_a_whole() -> None:
    """`.` is the whole slice; other paths lead nowhere in it."""
    custom = channel("custom", 1)
    with pytest.raises(EditError, match="give the whole slice"):
        mend_slice(b"name=Ann", Edit({"name": "Ann"}), custom, NOW)
    mended = mend_slice(b"name=Ann", Edit({".": SLICE}), custom, NOW)
    assert mended.message.text == "hello"
    assert mended.changes[0].was is None


def test_a_whole_body_is_cut_if_it_is_of_one_event() -> None:
    """What could not even be cut into events was kept as a body: edited, it is one."""
    delivered = mend_slice(
        b"{", Edit({".": {"chat_id": "c", "text": "x"}}), channel("custom", 1), NOW, {"webhook-id": "d"}
    )
    assert (delivered.message.text, delivered.message.key) == ("x", "d#0"), "known by the delivery that it came with"
    telegram = channel("telegram", 1)
    update = {
        "update_id": 1,
        "message": {"message_id": 2, "date": 1772355600, "chat": {"id": 7, "type": "private"},
                    "from": {"id": 7, "is_bot": False, "first_name": "Ann"}, "text": "hi"},
    }  # fmt: skip
    assert mend_slice(b"{", Edit({".": update}), telegram, NOW).message.text == "hi"
    whatsapp = channel("whatsapp", 1)
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"phone_number_id": "155500001", "display_phone_number": "49"},
        "contacts": [{"wa_id": "491712345678", "profile": {"name": "Ann"}}],
        "messages": [
            {"from": "491712345678", "id": "w", "timestamp": "1772355600", "type": "text", "text": {"body": "hi"}}
        ],
    }
    body = {
        "object": "whatsapp_business_account",
        "entry": [{"id": "2", "changes": [{"field": "messages", "value": value}]}],
    }
    assert mend_slice(b"{", Edit({".": body}), whatsapp, NOW).message.text == "hi"


def test_what_json_may_hold_and_postgresql_not_is_kept_cleaned() -> None:
    """NUL, half a character, a number of any length: in the difference they are as PostgreSQL takes them."""
    slice_of = b'{"delivery": "d", "message": {"chat_id": "c", "text": ["\\ud800\\u0000", 1180591620717411303424]}}'
    mended = mend_slice(slice_of, Edit({"message.text": "x"}), channel("custom", 1), NOW)
    assert mended.changes[0].was == ["\ufffd\ufffd", "1180591620717411303424"]


def test_an_identifier_of_another_region() -> None:
    """A national phone is read in the channel's country, and not without one."""
    found: Identifier | None = phone("+491712345678", Evidence.PROVEN)
    assert found is not None
    message = given(identifiers=[found])
    with pytest.raises(EditError, match="begin a phone with"):
        mend_message(message, Edit({"identifiers.0.value": "0171 2345679"}), None)

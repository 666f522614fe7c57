"""Web forms: three encodings, the fields' meaning, one lead per submission (T3, CHANNELS)."""

from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import urlencode

import pytest

from ingest.adapters.base import WebhookRequest, parse
from ingest.adapters.form_fields import FIELD_LENGTH, MOST_FIELDS
from ingest.adapters.registry import adapter_for
from tests.contract.adapter_requests import NOW, WEBFORM
from tracker.channels import Channel
from tracker.identifiers import Evidence
from tracker.messages import InboundMessage, MessageKind

pytestmark = pytest.mark.unit

URLENCODED = "application/x-www-form-urlencoded"
BOUNDARY = "----x"


def channel(**config: object) -> Channel:
    return replace(WEBFORM.channel(), secrets=(), config=config)


def request(body: bytes, content_type: str, at: datetime = NOW) -> WebhookRequest:
    return replace(WEBFORM.request(body=body), headers={"content-type": content_type}, received_at=at)


def read_all(
    body: bytes, content_type: str = URLENCODED, at: datetime = NOW, /, **config: object
) -> InboundMessage | str:
    (event,) = parse(adapter_for("webform"), request(body, content_type, at), channel(**config))
    return event.message or event.error


def read(filled_in: dict[str, str], at: datetime = NOW, /, **config: object) -> InboundMessage:
    found = read_all(urlencode(filled_in).encode(), URLENCODED, at, **config)
    assert isinstance(found, InboundMessage), found
    return found


def multipart(*parts: tuple[str, bytes], end: str = "--") -> bytes:
    written = b"".join(
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; {options}\r\n\r\n".encode() + value + b"\r\n"
        for options, value in parts
    )
    return written + f"--{BOUNDARY}{end}\r\n".encode()


def test_a_lead():
    """T3: a public form is typed evidence; name and surname make one name, other fields are lines of the text."""
    found = read(
        {
            "name": "Anna",
            "Last_Name": "Lee",
            "tel": "8 912 345 67 89",
            "E-Mail": "a@shop.de",
            "message": "Hi",
            "size": "L",
        }
    )
    assert (found.kind, found.name, found.text) == (MessageKind.LEAD, "Anna Lee", "Hi\nsize: L")
    assert [(one.value, one.evidence) for one in found.identifiers] == [
        ("+79123456789", Evidence.TYPED),
        ("a@shop.de", Evidence.TYPED),
    ]
    assert found.chat_id.startswith("sender:")
    assert "shop" not in found.chat_id


def test_the_three_encodings_say_the_same():
    """URL-encoded, multipart and JSON submissions of the same fields are the same lead."""
    text = "Привет & 100%"
    bodies = [
        read_all(urlencode({"email": "a@shop.de", "message": text}).encode()),
        read_all(
            multipart(('name="email"', b"a@shop.de"), ('name="message"', text.encode())),
            f"multipart/form-data; boundary={BOUNDARY}",
        ),
        read_all(f'{{"email": "a@shop.de", "message": "{text}"}}'.encode(), "application/json; charset=utf-8"),
    ]
    assert bodies[0] == bodies[1] == bodies[2]


def test_other_charsets_and_several_values():
    """An old page's charset is read; boxes of one name are joined; files are passed over."""
    found = read_all(
        urlencode({"message": "Привет"}, encoding="cp1251").encode(), f"{URLENCODED}; charset=windows-1251"
    )
    assert isinstance(found, InboundMessage)
    assert found.text == "Привет"
    assert read_all(b"message=%FF", f"{URLENCODED}; charset=hex") != ""
    joined = read_all(b"box=a&box=b")
    assert isinstance(joined, InboundMessage)
    assert joined.text == "box: a, b"
    body = multipart(('name="message"', b"Hi"), ('name="cv"; filename="cv.pdf"', b"%PDF"))
    upload = read_all(body, f"multipart/form-data; boundary={BOUNDARY}")
    assert isinstance(upload, InboundMessage)
    assert upload.text == "Hi"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (multipart(('name="message"', b"Hi"), end=""), f"multipart/form-data; boundary={BOUNDARY}"),
        (multipart(('name="message"', b"Hi")), "multipart/form-data"),
        (multipart(('name="message"', b"Hi")), f"multipart/form-data; boundary={'x' * 999}"),
        (multipart(('name="message"', b"x" * (FIELD_LENGTH + 1))), f"multipart/form-data; boundary={BOUNDARY}"),
        (multipart(*[('name="a"', b"x")] * (MOST_FIELDS + 1)), f"multipart/form-data; boundary={BOUNDARY}"),
        (b"a=b&" * (MOST_FIELDS + 1), URLENCODED),
        (b"[1]", "application/json"),
    ],
)
def test_what_is_cut_off_or_beyond_the_bounds_is_an_error(body, content_type):
    """A truncated form loses no field silently, and a huge one takes no memory."""
    assert isinstance(read_all(body, content_type), str)


def test_the_channel_names_its_fields():
    """`config["fields"]` replaces the default names of the fields that it gives."""
    found = read(
        {"q1": "Anna", "q2": "a@shop.de", "name": "x"}, fields={"name": "q1", "email": ["mail", "Q2"], "phone": 5}
    )
    assert (found.name, found.identifiers[0].value, found.text) == ("Anna", "a@shop.de", "name: x")


def test_what_is_no_phone_stays_readable():
    """An operator sees what was typed where a phone or an e-mail should have been."""
    assert read({"phone": "ask my wife", "email": "a(at)b"}).text == "phone: ask my wife\nemail: a(at)b"


def test_a_double_click_is_one_lead():
    """CHANNELS: the same content twice within the period has one key, and next week another one."""
    fields = {"email": "a@shop.de", "message": "Call me"}
    first = read(fields)
    assert read(fields, NOW + timedelta(milliseconds=300)).key == first.key
    assert read({**fields, "message": "Call me!"}).key != first.key
    week = [read(fields, NOW + timedelta(days=day)).key for day in range(7)]
    assert len(set(week)) == 7


def test_the_periods_of_contents_do_not_end_together():
    """Otherwise every double click across that moment would make two leads."""
    midnight = NOW.replace(hour=0)
    before, after = midnight - timedelta(seconds=1), midnight + timedelta(seconds=1)
    changed = [read({"message": str(n)}, before).key != read({"message": str(n)}, after).key for n in range(100)]
    assert sum(changed) < 3


def test_a_submission_id_is_believed():
    """The site's own id makes a repeated delivery, whatever else changed, and is nobody else's."""
    fields = {"email": "a@shop.de", "submission_id": "s1"}
    assert read(fields).key == read({**fields, "message": "x"}, NOW + timedelta(days=9)).key
    assert read(fields).external_id == "s1"
    assert read({**fields, "email": "b@shop.de"}).key != read(fields).key


def test_one_sender_has_one_chat():
    """The same e-mail, or the same phone without one, is the same chat; without both each submission is its own."""
    mail = {"email": "A@shop.de"}
    assert read({**mail, "message": "1"}).chat_id == read({"email": "a@shop.de", "phone": "+79123456789"}).chat_id
    assert read({"phone": "+79123456789"}).chat_id == read({"phone": "89123456789", "message": "2"}).chat_id
    assert read({"message": "1"}).chat_id != read({"message": "2"}).chat_id


def test_robots_and_empty_forms_are_ignored():
    """A filled honeypot, or nothing filled in, is kept and makes no lead."""
    fields = {"message": "Buy", "website": "https://spam"}
    assert read(fields, honeypot="website").kind is MessageKind.IGNORED
    assert read({**fields, "website": ""}, honeypot="website").kind is MessageKind.LEAD
    assert read({"message": "", "email": ""}).kind is MessageKind.IGNORED
    assert read({"": "x"}).kind is MessageKind.LEAD


def test_the_answer():
    """A browser that posted the form is sent on; a script gets JSON; without a target everybody does."""
    adapter = adapter_for("webform")
    posted, script = request(b"", URLENCODED), request(b"{}", "application/json")
    on = adapter.accepted(posted, channel(redirect_to="https://shop.de/thanks"))
    assert (on.status, on.headers) == (303, {"location": "https://shop.de/thanks"})
    assert adapter.accepted(script, channel(redirect_to="https://shop.de/thanks")).status == 200
    written = adapter.accepted(posted, channel(redirect_to="https://shop.de/спасибо?a=1%20b\r\nx: y"))
    assert written.headers == {
        "location": "https://shop.de/%D1%81%D0%BF%D0%B0%D1%81%D0%B8%D0%B1%D0%BE?a=1%20b%0D%0Ax:%20y"
    }, "a header takes no other letters, and no second line"
    assert adapter.accepted(posted, channel()).content_type == "application/json"

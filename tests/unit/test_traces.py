"""Traces: phones and e-mails are found in every writing, and nothing else is."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_sentences import SENTENCES
from tracker.extraction import extract
from tracker.identifiers import IdentifierKind
from tracker.traces import ERASED, Traces

pytestmark = pytest.mark.unit

GERMAN, BRAZILIAN, MEXICAN, ESTONIAN = "+491711234567", "+5511987654321", "+5215512345678", "+3725123456"
EMAIL = "anna.canary@example-canary.de"
TRACES = Traces([GERMAN, BRAZILIAN, MEXICAN, ESTONIAN], [EMAIL])
ARABIC = "".join(chr(0x660 + int(digit)) for digit in "01711234567")
WIDE = "".join(chr(0xFF10 + int(digit)) for digit in "491711234567")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("call +49 171 123-45-67 now", "call [erased] now"),
        ("0171/1234567", "[erased]"),
        ("00491711234567x", "[erased]x"),
        ("+49 (0) 171 1234567", "[erased]"),
        ("171.123\n4567", "[erased]"),
        ("0171\u00a0123\u200945\u201167", "[erased]"),
        ("id:491711234567@s.whatsapp.net", "id:[erased]@s.whatsapp.net"),
        (ARABIC, "[erased]"),
        (f"+{WIDE}", "[erased]"),
        ("11 98765-4321 e (11) 8765-4321", "[erased] e ([erased]"),
        ("+52 55 1234 5678, 5215512345678", "[erased], [erased]"),
        ("512 3456", "[erased]"),
        ("+372 512 3456", "[erased]"),
        ("<ANNA.canary@Example-Canary.de>, nein", "<[erased]>, nein"),
        ("anna.canary (at) example-canary [dot] de", "[erased]"),
        ("anna.canary arroba example-canary punto de.", "[erased]."),
        ("a=anna.canary%40example-canary.de&b", "a=[erased]&b"),
    ],
)
def test_every_writing_is_erased(text, left):
    """Separators, country codes, trunk zeros, other scripts, other cases; of one subscriber all numbers (T12)."""
    assert TRACES.found_in(text)
    assert TRACES.redact(text) == left
    assert not TRACES.found_in(left)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0171 1234568",
        "order 95123456, 51234567 pieces",
        "xanna.canary@example-canary.de, anna.canary@example-canary.design, anna.canary@example-canary.de.net",
        "1711 and 234567",
        "17 11 23 45 and 67",
        "2026-11-22T02:45:43.123456Z",
    ],
)
def test_what_only_looks_like_it_stays(text):
    """Other numbers and addresses of which it is a part, and numbers with words in between."""
    assert not TRACES.found_in(text)
    assert TRACES.redact(text) == text


@pytest.mark.parametrize("sentence", SENTENCES, ids=lambda s: f"{s.language}: {s.text[:60]}")
def test_what_the_tracker_reads_is_found(sentence):
    """Whatever writing gave an identifier, in 14 languages: by its normalised value it is found and erased again."""
    for identifier in extract(sentence.text, sentence.region):
        is_phone = identifier.kind is IdentifierKind.PHONE
        traces = Traces([identifier.key], []) if is_phone else Traces([], [identifier.key])
        left = traces.redact(sentence.text)
        assert ERASED in left
        assert identifier.key not in {again.key for again in extract(left, sentence.region)}


@given(st.text(), st.text(), st.sampled_from([GERMAN, BRAZILIAN, "01711234567", "171 1234567", EMAIL.upper()]))
def test_nothing_is_left_wherever_it_stands(before, after, written):
    """Whatever stands around it."""
    text = f"{before} {written} {after}"
    assert ERASED in TRACES.redact(text)
    assert not TRACES.found_in(TRACES.redact(text))


@given(st.text())
def test_texts_without_it_are_not_touched(text):
    """Character by character."""
    if not TRACES.found_in(text):
        assert TRACES.redact(text) is text


@pytest.mark.parametrize("before", range(4))
def test_it_is_found_within_base64(before):
    """Message ids of WhatsApp hold the number."""
    text = "wamid." + base64.b64encode(b"x" * before + GERMAN.removeprefix("+").encode() + b"yyy").decode()
    assert TRACES.found_in(text)
    assert not TRACES.found_in(TRACES.redact(text))


def test_json_stays_json():
    """Strings, keys and numbers are redacted; half an identifier would be taken for one, so it is left out."""
    identifier = {"kind": "phone", "key": GERMAN, "value": GERMAN, "written": "x"}
    other = {"kind": "phone", "key": "+4917299", "value": "+4917299", "written": "x"}
    value = {"identifiers": [identifier, other], "n": 491711234567, "at": {GERMAN: [f"a\n{EMAIL}", None, True, 1.5]}}
    assert json.loads(TRACES.redact_json(json.dumps(value))) == {
        "identifiers": [other],
        "n": ERASED,
        "at": {ERASED: [f"a\n{ERASED}", None, True, 1.5]},
    }


@pytest.mark.parametrize(
    ("raw", "left"),
    [
        (b"nothing \xff here", b"nothing \xff here"),
        (b"phone=%2B49+171+1234567&m=hi", b"phone=%2B[erased]&m=hi"),
        (b"phone=%30171%201234567", b"[erased]"),
        (rb'{"t": "0171\u00a0123\u20114567"}', b"[erased]"),
        (rb'{"t": "\u0661\u0667\u0661\u0661\u0662\u0663\u0664\u0665\u0666\u0667"}', b"[erased]"),
        (b"\xff0171 1234567", b"[erased]"),
        (b'{"a":"hello\\nanna.canary@example-canary.de"}', b'{"a":"hello\\n[erased]"}'),
    ],
)
def test_bytes_lose_it_or_everything(raw, left):
    """What is escaped so that it cannot be cut out by itself takes the rest along."""
    assert TRACES.redact_bytes(raw) == left
    assert not TRACES.found_in_bytes(left)


def test_without_anything_to_look_for_nothing_is_found():
    """An erase by card of a customer without phone and e-mail."""
    nothing = Traces([], [])
    assert not nothing
    assert not nothing.found_in(f"{GERMAN} {EMAIL}")


def test_a_number_that_no_plan_knows_is_found_as_it_is():
    """Messengers reach numbers that no table has."""
    assert Traces(["+999123456789"], []).redact("x 999 123 456 789") == "x [erased]"

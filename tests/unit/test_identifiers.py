"""Phones, e-mails and messenger ids (T2, T3, T9, T12)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.identifiers import (
    Evidence,
    Identifier,
    IdentifierKind,
    email,
    messenger,
    phone,
    phone_from_digits,
    phone_key,
)

pytestmark = pytest.mark.unit

TYPED, PROVEN = Evidence.TYPED, Evidence.PROVEN


def value(identifier: Identifier | None) -> str | None:
    return identifier.value if identifier else None


@pytest.mark.parametrize(
    ("written", "region", "expected"),
    [
        ("+7 (912) 345-67-89", None, "+79123456789"),
        ("8 912 345 67 89", "RU", "+79123456789"),
        ("79123456789", "RU", "+79123456789"),
        ("79123456789", None, "+79123456789"),
        ("0049 151 12345678", None, "+4915112345678"),
        ("4915112345678", "RU", "+4915112345678"),
        ("tel:+1-202-555-0142", None, "+12025550142"),
        ("＋７９１２３４５６７８９", None, "+79123456789"),
        ("٠٩١٢٣٤٥٦٧٨٩", "IR", "+989123456789"),
        ("+52 1 55 1234 5678", None, "+5215512345678"),
    ],
)
def test_a_phone_becomes_e164(written, region, expected):
    """T3: all usual writings of a number give its E.164, with the text as written beside it."""
    found = phone(written, TYPED, region)
    assert value(found) == expected
    assert found is not None
    assert found.written == written


@pytest.mark.parametrize(
    ("written", "region"),
    [
        ("", "RU"),
        ("hello", "RU"),
        ("+", None),
        ("123", "RU"),
        ("9123456789", None),
        ("555-1234", "US"),
        ("+7912", "RU"),
    ],
)
def test_what_is_no_whole_phone_is_none(written, region):
    """T3: a number that is too short, lacks its area code, or whose country must be guessed is not taken."""
    assert phone(written, TYPED, region) is None


@pytest.mark.parametrize("written", ["+7 999 999 99 99", "+7 000 000 00 00", "+49 1234567890", "+1 987 654 3210"])
def test_placeholders_are_blocked_unless_they_are_proven(written):
    """T9: repeated and running digits match nobody; a number that the channel has proved is somebody's."""
    assert phone(written, TYPED) is None
    assert phone(written, Evidence.SIGNED) is None
    assert phone(written, PROVEN) is not None


def test_the_companys_own_values_are_blocked_whatever_the_evidence():
    """T9: a configured number or address never matches, in any of its writings."""
    own = phone_key("+5551981234567")
    assert phone("+55 51 98123-4567", PROVEN, blocked={own}) is None
    assert phone_from_digits("555181234567", PROVEN, blocked={own}) is None
    assert email("Info@Shop.RU", PROVEN, blocked={"info@shop.ru"}) is None
    assert email("any@shop.ru", PROVEN, blocked={"@shop.ru"}) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("+5551981234567", "+555181234567"),  # Brazil's ninth digit on a mobile
        ("+5215512345678", "+525512345678"),  # Mexico's mobile 1
        ("+5491123456789", "+541123456789"),  # Argentina's mobile 9
    ],
)
def test_variants_of_one_subscriber_have_one_key(one, other):
    """T12: both writings match; the values stay as they are, to be sent to."""
    first, second = phone_from_digits(one, PROVEN), phone(other, TYPED)
    assert first is not None
    assert second is not None
    assert first.key == second.key
    assert (first.value, second.value) == (one, other)


@pytest.mark.parametrize("other", ["+5551951234567", "+555131234567", "+55519812345678", "+54911234567", "+5212345678"])
def test_no_digit_is_taken_from_other_numbers(other):
    """T12: a Brazilian 9 before 2 to 5 was never added to a mobile; other lengths are no variants."""
    assert phone_key(other) == other


@pytest.mark.parametrize(
    ("digits", "expected"),
    [
        ("79123456789", "+79123456789"),
        ("+918660944581", "+918660944581"),
        ("US.1349", None),
        ("0123456789", None),
        ("", None),
        ("123", None),
        ("١٢٣٤٥٦٧٨٩", None),
    ],
)
def test_a_messengers_digits_need_no_numbering_plan(digits, expected):
    """T3: WhatsApp's id is the number, also where the plans do not know it; what is no number is none."""
    assert value(phone_from_digits(digits, PROVEN)) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Ivan.Petrov@Mail.RU", "ivan.petrov@mail.ru"),
        ("<mailto:Ivan@Mail.RU?subject=Hi>.", "ivan@mail.ru"),
        ("«ivan@mail.ru»,", "ivan@mail.ru"),
        ("ivan@bücher.de", "ivan@xn--bcher-kva.de"),
        ("ivan@xn--bcher-kva.de", "ivan@xn--bcher-kva.de"),
        ("ivan@ＭＡＩＬ.ru", "ivan@mail.ru"),
        ("o'neil+shop@a-b.co.uk", "o'neil+shop@a-b.co.uk"),
        ("ivan", None),
        ("ivan@mail", None),
        ("a..b@mail.ru", None),
        ("ivan@mail.r", None),
        ("a@" + "b" * 64 + ".com", None),
        ("a" * 65 + "@mail.ru", None),
        ("a@b@c.de " * 200, None),
        ("iv\x00an@mail.ru", None),
    ],
)
def test_an_email_is_normalised(written, expected):
    """T3: one writing for all writings of an address: case, decorations, the domain in ASCII."""
    assert value(email(written, TYPED)) == expected


@pytest.mark.parametrize(
    "written", ["test@test.com", "ivan@example.com", "no@mail.ru", "noreply@shop.de", "TEST@gmail.com"]
)
def test_placeholder_emails_are_blocked_unless_they_are_proven(written):
    """T9: an address that people type so as not to give theirs matches nobody."""
    assert email(written, TYPED) is None
    assert email(written, PROVEN) is not None


def test_a_messenger_id_is_proven_within_its_namespace():
    """T2, T3: the namespace keeps the same id of two places apart."""
    found = messenger("livechat/shop", "42")
    assert found == messenger("livechat/shop", "42")
    assert found.key != messenger("livechat/blog", "42").key
    assert (found.kind, found.evidence, found.value) == (IdentifierKind.MESSENGER, PROVEN, "livechat/shop/42")
    with pytest.raises(ValueError, match="empty"):
        messenger("telegram", "")


@given(st.text(max_size=40))
def test_normalising_is_total_and_stable(written):
    """T3: no text makes it raise, and a normalised value normalises to itself, key and all."""
    for found in (email(written, PROVEN), phone(written, PROVEN, "DE")):
        if found is not None:
            again = (
                email(found.value, PROVEN) if found.kind is IdentifierKind.EMAIL else phone(found.value, PROVEN, "DE")
            )
            assert again is not None
            assert (again.value, again.key) == (found.value, found.key)
            assert phone_key(found.key) == found.key

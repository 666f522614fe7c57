"""Phones and e-mails in free text (T3)."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.extraction import MOST_FOUND, SEARCHED_LENGTH, extract
from tracker.identifiers import Evidence

pytestmark = pytest.mark.unit


def values(text: str, region: str | None) -> list[str]:
    return [identifier.value for identifier in extract(text, region)]


@pytest.mark.parametrize(
    ("text", "region", "expected"),
    [
        ("мой номер 8 (912) 345-67-89, почта Ivan.Petrov@Mail.RU.", "RU", ["+79123456789", "ivan.petrov@mail.ru"]),
        ("ivan@mail.ru или +7 912 345 67 89", None, ["ivan@mail.ru", "+79123456789"]),
        ("8-912-345-67-89/8-912-345-67-90", "RU", ["+79123456789", "+79123456790"]),
        ("+7 912 345 67 89, повторю: 89123456789", "RU", ["+79123456789"]),
        ("اتصل بي ٠٩١٢٣٤٥٦٧٨٩", "IR", ["+989123456789"]),
        ("ＴＥＬ：０９０－１３５７－２４６８", "JP", ["+819013572468"]),
        ("我的邮箱是abc@qq.com请联系我13912345678", "CN", ["abc@qq.com", "+8613912345678"]),
        ("пишите: ivan@почта.рф", "RU", ["ivan@xn--80a1acny.xn--p1ai"]),
        ("<a@b.co>, b@c.de; c@d.org", None, ["a@b.co", "b@c.de", "c@d.org"]),
        ("call no 202 555 0142", "US", ["+12025550142"]),
        ("born 12.03.1990, +4915112345678", "DE", ["+4915112345678"]),
        ("заказ №9123456789, тел 9123456789", "RU", ["+79123456789"]),
    ],
)
def test_what_is_given_is_found(text, region, expected):
    """T3: phones and e-mails in any script, several in one text, each once, in their order."""
    assert values(text, region) == expected


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("", "RU"),
        ("Здравствуйте!", "RU"),
        ("заказ 9123456789", "RU"),
        ("order #2025551234", "US"),
        ("invoice: 2025551234", "US"),
        ("$2025551234 or 2025551234 USD", "US"),
        ("1 234 567 890 руб", "RU"),
        ("IBAN DE89 3704 0044 0532 0130 00", "DE"),
        ("DE89370400440532013000", "DE"),
        ("card 4111 1111 1111 1111", "US"),
        ("4111-1111-1111-1111", "SG"),
        ("2026-01-15 10:30:00 to 2026-01-16", "DE"),
        ("15.01.2026-16.02.2026", "RU"),
        ("55.755826, 37.617300", "RU"),
        ("https://shop.ru/item/89123456789?user=a@b.ru", "RU"),
        ("https://user:pass@shop.ru/", "RU"),
        ("logo@2x.png", "RU"),
        ("79123456789", None),
        ("123456789012345678901234567890", "US"),
    ],
)
def test_other_numbers_are_left_alone(text, region):
    """T3: order numbers, prices, cards, accounts, dates, places, links, and numbers of an unknown country."""
    assert values(text, region) == []


def test_an_emails_name_is_no_phone():
    """T3: whoever's number an address is made of, the customer gave the address."""
    assert values("89123456789@mail.ru", "RU") == ["89123456789@mail.ru"]


def test_it_is_typed_and_blocked_values_are_left_out():
    """T3, T9: evidence is `typed`; placeholders and the company's own values are not found."""
    (found,) = extract("+79123456789 +79999999999 test@test.com info@shop.ru", "RU", blocked={"info@shop.ru"})
    assert (found.value, found.evidence, found.written) == ("+79123456789", Evidence.TYPED, "+79123456789")


def test_a_long_list_is_cut():
    """T3: at most MOST_FOUND of the first SEARCHED_LENGTH characters."""
    assert len(values(" ".join(f"user{n}@mail.ru" for n in range(50)), "RU")) == MOST_FOUND
    assert values("x" * SEARCHED_LENGTH + " ivan@mail.ru", "RU") == []


HOSTILE = [
    "1", "1 ", "12 34 ", "1.2,3 ", "(", "((1", "+1 ", "1-", "a@", "a.", "@", "a-", "x@a.", "de12 ", "1234 ", "№ 1",
    "912345678 ", "8 912 345 67 8 ", "id 1 ", "a@b.", "%1", "\u0661", "[(1)]", "://a@", "\ud800", "\x00",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_texts_take_bounded_time(piece):
    """T3: a megabyte made to be hard takes no longer than an ordinary text of the searched length."""
    text = piece * (1_000_000 // len(piece))
    started = time.process_time()
    extract(text, "RU")
    extract(text[: SEARCHED_LENGTH - 1] + "@", "US")
    assert time.process_time() - started < 1.0


@given(st.text(alphabet=st.sampled_from("0123456789+-() .@abя№$\x00\ud800/:"), max_size=200))
def test_no_text_makes_it_raise(text):
    """T3: extraction is total, and what it finds is no longer in need of cleaning."""
    for identifier in extract(text, "RU"):
        identifier.written.encode()
        assert "\x00" not in identifier.written

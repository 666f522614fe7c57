"""Phones and e-mails in free text (T3)."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.extraction import MOST_FOUND, SEARCHED_LENGTH, extract
from tracker.identifiers import Evidence, Identifier, IdentifierKind, email

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
    ">", ">\n", "> > ", "\n", "On 1.1.2026 wrote:\n", "-----", "(at)", "a(at)b.", "a собака b точка ", "00", "0 ",
    "@1.", "é@é.", "89123456701 ", "order 1 ", "№", "tel no ", "DE12 3456 ", "1.png ", "06 12 34 56 01 ",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("end", ["", "@", "\n> 1", " +79123456701"])
def test_what_hostile_texts_give_is_sound(piece, end):
    """T3: a text that is made to be hard gives nothing that is not a valid identifier, and each only once."""
    text = piece * (SEARCHED_LENGTH // len(piece)) + piece
    for region in ("RU", "US", None):
        are_sound(extract(text[: SEARCHED_LENGTH - len(end)] + end, region))


@given(
    st.one_of(
        st.text(max_size=300),
        st.text(alphabet=st.sampled_from("0123456789+-() .@abя№$\x00\ud800/:>\n"), max_size=300),
        st.lists(st.sampled_from(HOSTILE), max_size=60).map("".join),
    ),
    st.sampled_from(["RU", "US", "FR", "MX", None, "no region"]),
)
def test_no_text_makes_it_raise(text, region):
    """T3: extraction is total; what it finds is valid, unique, and no longer in need of cleaning."""
    are_sound(extract(text, region))


def are_sound(found: tuple[Identifier, ...]) -> None:
    assert len({identifier.key for identifier in found}) == len(found) <= MOST_FOUND
    for identifier in found:
        identifier.written.encode()
        assert "\x00" not in identifier.written
        if identifier.kind is IdentifierKind.PHONE:
            assert phonenumbers.is_valid_number(phonenumbers.parse(identifier.value))
        else:
            again = email(identifier.value, Evidence.TYPED)
            assert again is not None
            assert again.value == identifier.value


def test_quotes_within_quotes_are_left_out():
    """T3: however deep."""
    assert values("> > > +79123456701\n>> ivan@teplyj-dom.ru\n" * 60, "RU") == []
    assert values("> " * 900 + "\n+79123456701", "RU") == ["+79123456701"]


@pytest.mark.parametrize("blocked", ["ivan@teplyj-dom.ru", "@teplyj-dom.ru", "ivan@"])
def test_blocked_emails_are_left_out_however_they_are_spelled(blocked):
    """T9: a whole address, a domain, or a name at any domain; also where the address is written in words."""
    texts = ["IVAN@teplyj-dom.ru", "ivan(at)teplyj-dom.ru", "ivan собака teplyj-dom точка ru"]
    assert [extract(text, "RU", {blocked}) for text in texts] == [(), (), ()]


@pytest.mark.parametrize("text", ["+55 51 98123-4567", "0055 51 98123 4567", "wa.me/555181234567"])
def test_blocked_phones_are_left_out_in_every_writing(text):
    """T9, T12: a phone is blocked by its key."""
    assert extract(text, "BR", {"+555181234567"}) == ()


@pytest.mark.parametrize(
    ("text", "region", "written"),
    [
        ("０９０－１３５７－２４６８へ", "JP", "０９０－１３５７－２４６８"),
        ("also 0049 151 23456701.", "US", "0049 151 23456701"),
        ("https://wa.me/4915123456701", "US", "4915123456701"),
        ("ivan (at) teplyj-dom (dot) ru", None, "ivan (at) teplyj-dom (dot) ru"),
        ("доб: 8 495 123-45-01 доб. 12!", "RU", "8 495 123-45-01 доб. 12"),
    ],
)
def test_it_is_kept_as_it_was_written(text, region, written):
    """T3: the text as the customer wrote it stands beside the normalised value."""
    assert [identifier.written for identifier in extract(text, region)] == [written]


@pytest.mark.parametrize(
    ("text", "region", "expected"),
    [
        ("order #12345 202-555-0142", "US", ["+12025550142"]),
        ("Телефон для заказа 89123456701", "RU", ["+79123456701"]),
        ("Иван 89123456701 1299 руб", "RU", ["+79123456701"]),
        ("мой № 89123456701", "RU", ["+79123456701"]),
        ("Meine Nr. 0171 3920012", "DE", ["+491713920012"]),
        ("06 12 34 56 01 06 12 34 56 02", "FR", ["+33612345601", "+33612345602"]),
        ("07400 123401 07400 123402", "GB", ["+447400123401", "+447400123402"]),
        ("01 02 03 04 05 06 07", "FR", []),
        ("dana@harborlight-books.com:\n202-555-0142", "US", ["dana@harborlight-books.com", "+12025550142"]),
        ("Your agent wrote:\n202-555-0142 is mine", "US", ["+12025550142"]),
        ("From: Dana\nTo: Leeds\nDate: 12.05\n202-555-0142", "US", ["+12025550142"]),
        ("сergey@teplyj-dom.ru", "RU", []),  # the first letter is Cyrillic
    ],
)
def test_neighbours_do_not_hide_an_identifier(text, region, expected):
    """T3: a label, a price or a heading takes away no more than its own number."""
    assert values(text, region) == expected


@pytest.mark.parametrize("written", ["+55 11 8765-4321", "+55 (11) 8765.4321", "+551187654321"])
def test_brazils_mobiles_before_their_ninth_digit_are_read(written):
    """T12: the numbering plan has forgotten them, people have not; a number with the digit is the same subscriber's."""
    (old,) = extract(f"meu celular: {written}, obrigado", None)
    (new,) = extract("+55 11 98765-4321", None)
    assert (old.value, old.key) == ("+551187654321", new.key)
    assert extract("+55 11 8765-432 1234", None) == ()

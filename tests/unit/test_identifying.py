"""Identifiers as callers write them: what is looked for, entered and blocked (T2, T9, T12)."""

import pytest

from console.identifying import entered, keys_of, listed
from console.problems import ProblemError
from tracker.identifiers import IdentifierKind

pytestmark = pytest.mark.unit

PHONE, EMAIL, MESSENGER = IdentifierKind


@pytest.mark.parametrize(
    ("written", "region", "value"),
    [
        ("+49 (171) 234-56 78", None, (PHONE, "+491712345678")),
        ("0171 2345678", "DE", (PHONE, "+491712345678")),
        ("+55 11 98765-4321", None, (PHONE, "+551187654321")),
        ("+2101234567", None, (PHONE, "+2101234567")),
        (" mailto:Info@Shop.DE ", None, (EMAIL, "info@shop.de")),
        ("test@test.ru", None, (EMAIL, "test@test.ru")),
        ("@Shop.DE", None, (EMAIL, "@shop.de")),
        ("@m\u00fcller.de", None, (EMAIL, "@xn--mller-kva.de")),
        ("Info@", None, (EMAIL, "info@")),
        ("@", None, None),
        ("a b@", None, None),
        ("@shop", None, None),
        ("0171 2345678", None, None),
        ("hello", "DE", None),
        ("\x00", None, None),
    ],
)
def test_the_block_list_has_values_as_they_are_compared(
    written: str, region: str | None, value: tuple[IdentifierKind, str] | None
) -> None:
    """T9, T12: whatever its writing; what is none of them is refused."""
    if value is None:
        with pytest.raises(ProblemError) as refused:
            listed(written, region)
        assert (refused.value.status, refused.value.reason) == (422, "bad_identifier")
    else:
        assert listed(written, region) == value


def test_only_phones_and_emails_are_entered() -> None:
    """T9: as a visitor may type them, so no placeholders."""
    assert entered("0171 2345678", "DE").key == "+491712345678"
    assert entered("Ann@Shop.de", None).value == "ann@shop.de"
    for wrong in ("telegram/7", "test@test.ru", "+49 111 1111111", "@shop.de"):
        with pytest.raises(ProblemError):
            entered(wrong, None)


def test_a_value_may_mean_several_identifiers() -> None:
    """T2, T12: national or international digits, and any text may be a messenger id."""
    assert keys_of("11987654321", "BR") == [
        (MESSENGER, "11987654321"),
        (PHONE, "+11987654321"),
        (PHONE, "+551187654321"),
    ]
    assert keys_of("11987654321", "BR", [EMAIL]) == []
    assert keys_of(" hello ", None) == [(MESSENGER, "hello")]

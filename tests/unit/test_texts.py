"""What PostgreSQL refuses is replaced, and nothing else (CHANNELS)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.texts import clean, clean_name, clean_text

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("written", "expected"),
    [("a\x00b", "a\ufffdb"), ("\ud800A", "\ufffdA"), ("A\udc00", "A\ufffd"), ("\ud83d\ude00", "\U0001f600")],
)
def test_nul_and_lone_surrogates_are_replaced(written, expected):
    """The text around them survives, and two halves of one character become it again."""
    assert clean(written) == expected


@given(st.text(alphabet=st.characters()))
def test_cleaning_leaves_what_can_be_stored(written):
    """Any text can be encoded afterwards, and a good one is not touched."""
    cleaned = clean(written)
    cleaned.encode()
    assert clean(cleaned) == cleaned
    assert "\x00" not in cleaned


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("  Anna \n Lee ", "Anna Lee"),
        ("\u3164\u200b", ""),
        (" ", ""),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("x" * 999, "x" * 256),
    ],
)
def test_a_name_is_one_line(written, expected):
    """Blank and invisible names are empty; joiners within a name stay."""
    assert clean_name(written) == expected


def test_other_values_are_left_to_the_model():
    """What is no string is not the cleaner's business."""
    assert clean_text(5) == 5
    assert clean_name(None) is None

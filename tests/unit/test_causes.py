"""What groups failures of one cause."""

import json
from collections.abc import Callable
from functools import partial

import pytest

from config.causes import fingerprint, reason_of
from crm_store.errors import RowRefusedError
from tracker.messages import InboundMessage
from tracker.texts import clean
from worker.messages import load_identifiers

pytestmark = pytest.mark.unit


def _raised(act: Callable[[], object]) -> BaseException:
    with pytest.raises(Exception) as raised:  # noqa: PT011  whatever comes
        act()
    return raised.value


def test_the_cause_is_the_type_and_our_innermost_place():
    """The library's frames below and the test's above do not matter."""
    error = _raised(lambda: load_identifiers("no json"))
    assert fingerprint(error) == "JSONDecodeError@worker/messages.py:load_identifiers"
    error = _raised(lambda: clean(5))  # type: ignore[arg-type]
    assert fingerprint(error) == "TypeError@tracker/texts.py:clean"


def test_the_same_cause_with_other_words_is_one_group():
    """Messages are not part of it: they quote what customers wrote."""
    causes = {fingerprint(_raised(partial(load_identifiers, text))) for text in ("a", "bb", "{")}
    assert len(causes) == 1


def test_an_error_from_elsewhere_has_its_type():
    """No frame of ours: the place is unknown."""
    assert fingerprint(_raised(lambda: json.loads("{"))) == "JSONDecodeError@unknown"
    assert fingerprint(ValueError("never raised")) == "ValueError@unknown"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RowRefusedError("x"), "refused_by_database"),
        (ValueError("x"), "value"),
        (ZeroDivisionError("x"), "zero_division"),
        (RuntimeError("x"), "runtime"),
        (StopIteration(), "stop_iteration"),
    ],
)
def test_reasons_are_stable(error, reason):
    """An error's own reason, or its type in words: metric label and dead letter's group."""
    assert reason_of(error) == reason


def test_a_reason_is_never_a_pydantic_text():
    """Errors of libraries may have a `reason` of another type."""
    error = _raised(lambda: InboundMessage.model_validate({}))
    assert reason_of(error) == "validation"
    assert reason_of(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")) != ""

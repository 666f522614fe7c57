"""When a step is to blame for failures and not its items, and for how long it pauses."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_store.inbox import ClaimedItem
from worker.braking import FEWEST_CHATS, FEWEST_FAILED, LONGEST_PAUSE, WINDOW, Window, pause_after
from worker.policy import MOST_FAILURES_WHILE_PAUSED, GiveUp, Retry, after_failure_while_paused

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def item(number: int, chat: int | None = None) -> ClaimedItem:
    return ClaimedItem(number, number if chat is None else chat, None)


def failing(numbers: range, window: Window | None = None, at: float = 0.0) -> Window:
    window = window or Window()
    for number in numbers:
        window.failed(at, item(number))
    return window


def test_the_step_is_to_blame_when_nearly_everything_fails():
    """At least twenty, and not one before."""
    window = failing(range(FEWEST_FAILED - 1))
    assert not window.nearly_all_fail(0.0)
    assert failing(range(FEWEST_FAILED), window).nearly_all_fail(0.0)


def test_what_goes_through_clears_the_step():
    """Nine of ten is the least share."""
    window = failing(range(27))
    window.done(0.0, range(100, 103))
    assert window.nearly_all_fail(0.0)
    window.done(0.0, [103])
    assert not window.nearly_all_fail(0.0)


def test_an_item_counts_once_however_often_it_fails():
    """A few poison messages that are tried again and again are no broken step; and who comes through has not failed."""
    window = Window()
    for _ in range(10):
        failing(range(FEWEST_FAILED - 1), window)
    assert not window.nearly_all_fail(0.0)
    failing(range(FEWEST_FAILED), window)
    window.done(0.0, [3])
    assert not window.nearly_all_fail(0.0)


def test_a_few_chats_are_no_step():
    """Failures of less than ten chats are theirs."""
    window = Window()
    for number in range(100):
        window.failed(0.0, item(number, number % (FEWEST_CHATS - 1)))
    assert not window.nearly_all_fail(0.0)
    window.failed(0.0, item(1000, 1000))
    assert window.nearly_all_fail(0.0)


def test_what_is_long_ago_does_not_count():
    """Thirty seconds, for both."""
    window = failing(range(FEWEST_FAILED))
    window.done(0.0, range(1000, 2000))
    assert not failing(range(100, 119), window, at=WINDOW + 1).nearly_all_fail(WINDOW + 1)
    assert failing(range(119, 120), window, at=WINDOW + 1).nearly_all_fail(WINDOW + 1)


def test_a_failure_that_is_repeated_is_as_new_as_its_last_time():
    """An item that failed long ago and just now counts for now, and does not hide older ones from being forgotten."""
    window = failing(range(FEWEST_FAILED))
    failing(range(1), window, at=WINDOW / 2)
    assert not failing(range(100, 118), window, at=WINDOW + 1).nearly_all_fail(WINDOW + 1)
    assert failing(range(118, 119), window, at=WINDOW + 1).nearly_all_fail(WINDOW + 1)


def test_pauses_double_up_to_a_limit():
    """1, 2, 4 ... 30 seconds."""
    assert [pause_after(n) for n in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]


@given(st.integers(1, 10**9))
def test_no_number_of_pauses_is_too_much(pauses):
    """A step that is broken for years is still tried twice a minute."""
    assert 1 <= pause_after(pauses) <= LONGEST_PAUSE


def test_while_its_step_is_paused_an_item_is_given_up_for_its_failures_alone():
    """Not for its age; but mere poison comes to an end. It is the step that backs off."""
    for attempts in range(MOST_FAILURES_WHILE_PAUSED - 1):
        assert after_failure_while_paused(NOW, attempts) == Retry(NOW + timedelta(seconds=1))
    assert after_failure_while_paused(NOW, MOST_FAILURES_WHILE_PAUSED - 1) == GiveUp()

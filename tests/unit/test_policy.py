"""What happens to an item that failed, or whose worker died."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.policy import GiveUp, Retry, after_failure, delivery_backoff, half

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(("attempts", "backoff"), [(0, 1), (1, 2), (2, 4), (4, 16), (5, 20), (9, 20), (400, 20)])
def test_the_backoff_doubles_up_to_a_limit(attempts, backoff):
    """Failures: retried with backoff."""
    assert after_failure(NOW, NOW, attempts, 3600) == Retry(later(backoff))


def test_the_first_failure_counts_from_itself():
    """An item that has not failed before has the whole time before it."""
    assert after_failure(NOW, None, 0, 60) == Retry(later(1))


def test_the_last_try_is_at_the_last_moment():
    """Failures: at most `retry_for` in all: a backoff that would go beyond is cut, and afterwards it is over."""
    assert after_failure(later(50), NOW, 5, 60) == Retry(later(60))
    assert after_failure(later(60), NOW, 6, 60) == GiveUp()
    assert after_failure(NOW, None, 0, 0) == GiveUp()


@given(st.floats(0.1, 300), st.floats(0, 5))
def test_retries_always_come_to_an_end(retry_for, work):
    """No item is retried for ever, and none is tried after its time, however long each try takes."""
    now, attempts = NOW, 0
    while isinstance(decision := after_failure(now, NOW, attempts, retry_for), Retry):
        assert now < decision.due_at <= later(retry_for)
        now, attempts = decision.due_at + timedelta(seconds=work), attempts + 1
        assert attempts < 100


@given(st.integers(1, 60))
def test_a_delivery_backs_off_with_jitter(attempts):
    """An API that was away gets no thundering herd; never more than five minutes."""
    longest = min(2.0**attempts, 300.0)
    assert 0.75 * longest <= delivery_backoff(attempts) <= longest


@given(st.integers(1, 5000))
def test_halving_comes_to_one(size):
    """A crashed batch of any size is alone after a few crashes."""
    rounds = 0
    while size > 1:
        assert half(size) < size
        size, rounds = half(size), rounds + 1
    assert rounds <= 13
    assert half(1) == 1

"""How fast a replay goes, when it brakes, when it is done: without a database, without a clock."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_store.replays import ItemState, Pace, ReplayState, TakenReplay
from worker.replay_pace import (
    AT_ONCE,
    CANARY_FAILED,
    TOO_MANY_FAILURES,
    UNDER_WAY,
    Brake,
    Finish,
    Send,
    Wait,
    next_act,
    next_at,
)

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
DONE, FAILED, SENT = ItemState.DONE, ItemState.FAILED, ItemState.SENT


def running(waiting: int = 1000, under_way: int = 0, *, next_at: datetime = NOW, **pace: float | None) -> TakenReplay:
    """A replay of which nothing is finished yet."""
    given = Pace(**pace)  # type: ignore[arg-type]
    return TakenReplay(1, "x", ReplayState.RUNNING, given, 1, next_at, NOW, waiting, under_way, 0, 0, 0)


def test_without_a_rate_some_hundred_are_under_way_at_once():
    """A commit's worth at a time, and no more than so many that have not ended."""
    assert next_act(running(), [], 0, 0) == Send(AT_ONCE)
    assert next_act(running(under_way=UNDER_WAY - 5), [], 0, 0) == Send(5)
    assert next_act(running(under_way=UNDER_WAY), [], 0, 0) == Wait()


def test_it_is_done_when_the_last_letter_has_ended():
    """Not when it was sent."""
    assert next_act(running(0, 1), [], 0, 0) == Wait()
    assert next_act(running(0, 0), [FAILED], 100, 100) == Finish()


def test_the_canary_goes_alone():
    """So many, and no other until all of them have ended without failure."""
    assert next_act(running(canary=3), [], 0, 0) == Send(3)
    assert next_act(running(canary=3), [DONE], 0, 1) == Send(2)
    assert next_act(running(canary=3), [DONE, SENT, DONE], 0, 2) == Wait()
    assert next_act(running(canary=3), [DONE, SENT, FAILED], 1, 2) == Brake(CANARY_FAILED)
    assert next_act(running(canary=3), [DONE, DONE, ItemState.SKIPPED], 0, 2) == Send(AT_ONCE)


@pytest.mark.parametrize(
    ("failed", "finished", "brakes"),
    [(19, 19, False), (4, 20, False), (5, 20, True), (20, 100, False), (21, 100, True)],
)
def test_more_than_the_share_of_failures_brakes_from_twenty_on(failed, finished, brakes):
    """Exactly a fifth is allowed; nineteen failures of nineteen say nothing yet."""
    assert (next_act(running(), [], failed, finished) == Brake(TOO_MANY_FAILURES)) is brakes


def test_a_brake_may_allow_all_or_nothing():
    """1 never brakes, 0 at the first failure of twenty."""
    assert next_act(running(max_failures=1.0), [], 100, 100) == Send(AT_ONCE)
    assert next_act(running(max_failures=0.0), [], 1, 20) == Brake(TOO_MANY_FAILURES)


def test_a_rate_is_kept_and_a_pause_is_not_made_up_for():
    """Ten a second: one now, five after half a second; after an hour's pause what one second allows."""
    assert next_act(running(rate=10.0), [], 0, 0) == Send(1)
    assert next_at(running(rate=10.0), 1) == NOW + timedelta(seconds=0.1)
    assert next_act(running(rate=10.0, next_at=NOW + timedelta(milliseconds=1)), [], 0, 0) == Wait()
    assert next_act(running(rate=10.0, next_at=NOW - timedelta(seconds=0.45)), [], 0, 0) == Send(5)
    assert next_act(running(rate=10.0, next_at=NOW - timedelta(hours=1)), [], 0, 0) == Send(11)
    slow = running(rate=0.1, next_at=NOW - timedelta(hours=1))
    assert next_act(slow, [], 0, 0) == Send(1)
    assert next_at(slow, 1) == NOW + timedelta(seconds=9)


def test_skipped_letters_use_up_no_rate():
    """What was not sent is free."""
    assert next_at(running(rate=10.0), 0) == NOW


@settings(max_examples=200, deadline=None)
@given(
    rate=st.floats(0.5, 200.0),
    pauses=st.lists(st.floats(0.0, 5.0), min_size=1, max_size=60),
)
def test_over_any_time_no_more_is_sent_than_the_rate_allows(rate, pauses):
    """Whenever clocks look: in any span at most rate times its length, and what one second allows besides."""
    at = running(10_000, rate=rate)
    sent: list[tuple[float, int]] = []
    for pause in pauses:
        at = replace(at, now=at.now + timedelta(seconds=pause))
        match next_act(at, [], 0, 0):
            case Send(limit):
                sent.append(((at.now - NOW).total_seconds(), limit))
                at = replace(at, next_at=next_at(at, limit))
            case act:
                assert act == Wait()
    for first, (begin, _) in enumerate(sent):
        total = 0
        for end, number in sent[first:]:
            total += number
            assert total <= rate * (end - begin) + rate + 1 + 1e-3

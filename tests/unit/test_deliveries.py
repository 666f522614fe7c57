"""What becomes of a message of ours (S5)."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.deliveries import FORWARD, REPORTED, DeliveryState, after_receipt

pytestmark = pytest.mark.unit

reports = st.sampled_from(sorted(REPORTED))


@given(st.sampled_from(list(DeliveryState)), st.lists(reports))
def test_a_state_only_moves_forward(state, reported):
    """S5: whatever is reported, in whatever order and however often."""
    places = [FORWARD.index(state) if state in FORWARD else -1]
    for each in reported:
        state = after_receipt(state, each)
        places.append(FORWARD.index(state) if state in FORWARD else -1)
    assert places == sorted(places)


@given(st.lists(reports, max_size=5))
def test_the_order_of_receipts_does_not_matter(reported):
    """S5: all orders, and each of them doubled, end in the same state."""
    ends = set()
    for order in permutations(reported):
        for receipts in (order, order + order):
            state = DeliveryState.PENDING
            for each in receipts:
                state = after_receipt(state, each)
            ends.add(state)
    assert len(ends) == 1


@pytest.mark.parametrize(
    ("state", "reported", "became"),
    [
        ("pending", "sent", "sent"),
        ("pending", "delivered", "delivered"),
        ("pending", "read", "read"),
        ("pending", "failed", "failed"),
        ("sent", "failed", "failed"),
        ("sent", "delivered", "delivered"),
        ("read", "delivered", "read"),
        ("delivered", "failed", "delivered"),
        ("read", "failed", "read"),
        ("failed", "sent", "failed"),
        ("failed", "delivered", "delivered"),
        ("held", "delivered", "held"),
        ("expired", "read", "expired"),
    ],
)
def test_each_step(state, reported, became):
    """S5: read before delivered ends at read; what has arrived has not failed; what was never sent stays."""
    assert after_receipt(DeliveryState(state), DeliveryState(reported)) is DeliveryState(became)

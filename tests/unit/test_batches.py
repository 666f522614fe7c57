"""Which of the claimed items run together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_store.inbox import ClaimedItem
from worker.batches import Batch, choose

pytestmark = pytest.mark.unit


def line(chat: int, *batch_limits: int | None) -> list[ClaimedItem]:
    """A chat's items, ids 10 * chat, + 1, ...; a batch limit means suspicion."""
    return [ClaimedItem(10 * chat + n, chat, n, batch_limit) for n, batch_limit in enumerate(batch_limits)]


def ids(batch: Batch) -> list[int]:
    return [item.inbox_id for item in batch.items]


def test_trusted_items_go_first():
    """Those under suspicion wait, and what stands behind them in their chat waits with them."""
    batch = choose([line(1, None, 4, None), line(2, 4, None), line(3, None)], 10)
    assert ids(batch) == [10, 30]
    assert batch.more


def test_suspects_run_with_the_smallest_of_their_limits():
    """A batch of suspects is no larger than the smallest limit among those that could come first."""
    batch = choose([line(1, 4, 4), line(2, 2, 2), line(3, 8)], 10)
    assert ids(batch) == [10, 20]
    assert batch.more


def test_one_that_must_be_alone_runs_alone():
    """A crash counts only for an item that ran alone."""
    assert len(choose([line(1, 50, 50), line(2, 1)], 10).items) == 1


def test_suspects_and_trusted_never_mix():
    """Also within one chat: the trusted one behind a suspect waits."""
    assert ids(choose([line(1, 5, None)], 10)) == [10]


def test_the_limit_holds_and_says_that_more_waits():
    """A batch never has more than the step's limit."""
    assert choose([line(1, None, None)], 1) == Batch(tuple(line(1, None)), more=True)
    assert not choose([line(1, None, None)], 2).more


def test_only_restricts_the_choice():
    """Halving: nothing but the half, and nothing that would overtake what stands before it."""
    assert ids(choose([line(1, None, None), line(2, None)], 10, {10, 20})) == [10, 20]
    assert ids(choose([line(1, None, None)], 10, {11})) == []
    assert ids(choose([line(1, 3, 3), line(2, 3)], 3, {20})) == [20]


def test_nothing_comes_of_nothing():
    """No lines, no batch, no more."""
    assert choose([], 10) == Batch((), more=False)


_lines = st.lists(st.lists(st.none() | st.integers(1, 6), min_size=1, max_size=6), max_size=6).map(
    lambda chats: [line(chat, *limits) for chat, limits in enumerate(chats)]
)
_only = st.none() | st.sets(st.sampled_from([10 * chat + n for chat in range(6) for n in range(6)]))


@given(_lines, st.integers(1, 12), _only)
def test_a_batch_takes_beginnings_of_lines(lines, limit, only):
    """Order in a chat: of every chat a beginning, in its order; within the limits; `more` is true to what is left."""
    batch = choose(lines, limit, only)
    taken = set(ids(batch))
    for chat in lines:
        prefix = [item.inbox_id in taken for item in chat]
        assert prefix == sorted(prefix, reverse=True), "nobody overtakes within a chat"
    assert len(batch.items) <= limit
    assert only is None or taken <= only
    suspected = {item.batch_limit is not None for item in batch.items}
    assert len(suspected) <= 1, "suspects run by themselves"
    if suspected == {True}:
        assert all(len(batch.items) <= (item.batch_limit or 0) for item in batch.items)
    if batch.items:
        assert batch.more is (len(batch.items) < sum(map(len, lines)))
    elif only is None:
        assert not lines, "something is always done where something waits"


def test_a_flood_in_one_chat_leaves_room_for_the_others():
    """The lines take turns, the longest waiting first, whatever the chats' ids."""
    flood = [ClaimedItem(inbox_id=100 + n, chat_id=1, chat_seq=n) for n in range(50)]
    other = [ClaimedItem(inbox_id=90, chat_id=9, chat_seq=1), ClaimedItem(inbox_id=200, chat_id=9, chat_seq=2)]
    assert ids(choose([flood, other], 4)) == [90, 100, 200, 101]


def test_suspects_that_were_left_out_are_named():
    """So that the runner gives them a batch of their own, however many trusted ones keep coming."""
    batch = choose([line(1, None), line(2, 4, 4), line(3, 1)], 10)
    assert (ids(batch), batch.suspects_left) == ([10], frozenset({20, 30}))

"""The measures against counting by hand, and against brute force over all pairs."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.evaluation.causes import causes
from loadgen.evaluation.measures import Conversation, deviations, measure

pytestmark = pytest.mark.unit

SMALL = st.lists(
    st.builds(
        Conversation,
        card=st.integers(0, 4),
        right=st.integers(0, 4),
        customer=st.integers(0, 4),
        messages=st.integers(1, 3),
    ),
    max_size=9,
)


def share(part: float, whole: float) -> float:
    """All of nothing is right."""
    return part / whole if whole else 1.0


def f_score(precision: float, recall: float, beta: float) -> float:
    """As the books have it."""
    below = beta * beta * precision + recall
    return (1 + beta * beta) * precision * recall / below if below else 0.0


@given(SMALL)
def test_pairs_by_brute_force(conversations):
    """Precision, recall, F0.5 and the avoidable over-merges, pair by pair."""
    pairs = list(combinations(conversations, 2))
    together = [(a, b) for a, b in pairs if a.card == b.card]
    wanted = [(a, b) for a, b in pairs if a.customer == b.customer]
    right = [(a, b) for a, b in together if a.customer == b.customer]
    avoidable = [(a, b) for a, b in together if a.customer != b.customer and a.right != b.right]
    figures = measure(conversations)
    precision, recall = share(len(right), len(together)), share(len(right), len(wanted))
    assert figures.precision == pytest.approx(precision)
    assert figures.recall == pytest.approx(recall)
    assert figures.f05 == pytest.approx(f_score(precision, recall, 0.5))
    assert figures.avoidable_over_merges == len(avoidable)


@given(SMALL)
def test_bcubed_by_brute_force(conversations):
    """The mean over conversations of how right its card and how whole its customer is."""
    precisions, recalls = [], []
    for one in conversations:
        card = [other for other in conversations if other.card == one.card]
        customer = [other for other in conversations if other.customer == one.customer]
        both = sum(other.customer == one.customer for other in card)
        precisions.append(both / len(card))
        recalls.append(both / len(customer))
    n = len(conversations)
    expected = f_score(sum(precisions) / n, sum(recalls) / n, 1.0) if n else 1.0
    assert measure(conversations).bcubed_f == pytest.approx(expected)


@given(SMALL)
def test_cards_by_brute_force(conversations):
    """Cards of several customers, and customers of several cards."""
    cards = {one.card for one in conversations}
    customers = {one.customer for one in conversations}
    mixed = [card for card in cards if len({one.customer for one in conversations if one.card == card}) > 1]
    extra = sum(len({one.card for one in conversations if one.customer == each}) - 1 for each in customers)
    figures = measure(conversations)
    assert figures.over_merge_rate == pytest.approx(len(mixed) / len(cards) if cards else 0.0)
    assert figures.duplicates_left == extra


@given(SMALL)
def test_no_deviation_means_equal_partitions(conversations):
    """And the other way round; the numbers of the cards mean nothing."""
    equal = all((a.card == b.card) == (a.right == b.right) for a, b in combinations(conversations, 2))
    assert (deviations(conversations) == 0) is equal


@given(SMALL)
def test_deviations_are_bounded(conversations):
    """One message of each card at least is where it belongs, as far as the oracle has so many cards."""
    found = deviations(conversations)
    total = sum(one.messages for one in conversations)
    assert 0 <= found <= max(0, total - 1)


def test_one_message_astray():
    """The smaller part deviates."""
    conversations = [Conversation(1, "a", "ann", 5), Conversation(1, "b", "ben", 2), Conversation(2, "b", "ben", 4)]
    assert deviations(conversations) == 2


def test_causes_of_joinings_and_splits():
    """The trap of the lesser part, or else of the main one; whatever no trap explains is other."""
    conversations = [
        Conversation(1, 1, "ann"),
        Conversation(1, 1, "ann"),
        Conversation(1, 1, "ben", traps=frozenset({"family"})),
        Conversation(2, 2, "ann", traps=frozenset({"never_identified"})),
        Conversation(3, 3, "cat", traps=frozenset({"typo"})),
        Conversation(3, 3, "cat"),
        Conversation(4, 4, "cat"),
        Conversation(5, 5, "dan"),
        Conversation(6, 6, "dan"),
    ]
    assert causes(conversations) == {
        "over_merges": {"family": 1.0},
        "duplicates": {"never_identified": 1 / 3, "typo": 1 / 3, "other": 1 / 3},
    }


def test_nothing_at_all():
    """An empty world is known perfectly."""
    figures = measure([])
    assert (figures.deviations, figures.precision, figures.recall, figures.bcubed_f) == (0, 1.0, 1.0, 1.0)
    assert causes([]) == {"over_merges": {}, "duplicates": {}}

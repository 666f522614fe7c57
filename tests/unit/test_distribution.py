"""Who gets which dialog (D2-D4, D6-D8, D12, D13), by the policies alone."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.channels import Distribution
from tracker.distribution import Decision, PassedOver, Plan, RosterOperator, WaitingDialog, free_slots, plan

pytestmark = pytest.mark.unit

ABSENCES = (
    PassedOver.OFFLINE,
    PassedOver.AWAY,
    PassedOver.ON_LEAVE,
    PassedOver.WORKDAY_NOT_STARTED,
    PassedOver.WORKDAY_PAUSED,
)
EVENLY, STRICTLY, ALL = Distribution.EVENLY, Distribution.STRICTLY, Distribution.ALL


def roster(*turns: int, limit: int | None = None) -> list[RosterOperator]:
    """Operators 1, 2, ... in their places of the roster, with their turns."""
    return [RosterOperator(n + 1, n, turn, limit=limit) for n, turn in enumerate(turns)]


def waiting(n: int) -> list[WaitingDialog]:
    return [WaitingDialog(100 + number) for number in range(n)]


def chosen(made: Plan) -> list[int | None]:
    return [decision.operator_id for decision in made.decisions]


def made_by(
    distribution: Distribution, n: int, operators: Sequence[RosterOperator], turn: int = 0, *, available: bool = True
) -> Plan:
    return plan(distribution, waiting(n), operators, turn, available)


# D2


def test_evenly_gives_to_who_was_given_a_dialog_longest_ago():
    """D2: by turns, not by the place in the roster."""
    assert chosen(made_by(EVENLY, 4, roster(7, 5, 6), 7)) == [2, 3, 1, 2]


def test_equal_turns_go_by_the_roster():
    """D2: at the start everybody is equal."""
    assert chosen(made_by(EVENLY, 4, roster(0, 0, 0))) == [1, 2, 3, 1]


def test_a_newcomer_counts_from_when_he_joined():
    """D2: he does not catch up on the dialogs of all the days before, and comes after those who waited longer."""
    made = made_by(EVENLY, 6, [*roster(99, 100), RosterOperator(3, 2, turn=100)], 100)
    assert chosen(made) == [1, 2, 3, 1, 2, 3]


def test_turns_are_handed_back():
    """D2: the next plan goes on where this one ended."""
    first = made_by(EVENLY, 3, roster(0, 0), 0)
    assert (first.turns, first.turn) == ({1: (3, 3), 2: (2, 2)}, 3)
    assert chosen(made_by(EVENLY, 1, roster(3, 2), first.turn)) == [2]


# D3


def test_strictly_gives_to_the_head_of_the_roster():
    """D3: as long as he has room, whoever had the last one."""
    assert chosen(made_by(STRICTLY, 5, roster(9, 0, 0, limit=2), 9)) == [1, 1, 2, 2, 3]


def test_strictly_goes_by_position_not_by_the_order_given():
    """D3: the roster is an ordered list."""
    assert chosen(made_by(STRICTLY, 1, list(reversed(roster(0, 0, 0))))) == [1]


def test_who_let_it_pass_is_passed_over_and_then_it_starts_again():
    """D3: the first who has not let this dialog pass; when all have, the head again."""
    operators = roster(0, 0, 0)
    dialogs = [WaitingDialog(n, frozenset(passed)) for n, passed in enumerate([(), (1,), (1, 2), (2,), (1, 2, 3)])]
    assert chosen(plan(STRICTLY, dialogs, operators, 0, True)) == [1, 2, 3, 1, 1]


def test_only_the_eligible_need_to_have_let_it_pass():
    """D3, D6: the one who has not let it pass is offline, so it starts again at the first eligible one."""
    operators = [*roster(0, 0), RosterOperator(3, 2, 0, unavailable=PassedOver.OFFLINE)]
    made = plan(STRICTLY, [WaitingDialog(1, frozenset({1, 2}))], operators, 0, True)
    assert chosen(made) == [1]


# D4


def test_all_offers_to_everybody_and_gives_to_nobody():
    """D4: no operator, no turn, limits of single operators left to the accept."""
    made = made_by(ALL, 3, roster(0, 0, limit=1))
    assert [(d.rule, d.operator_id, d.offered) for d in made.decisions] == [("D4", None, True)] * 3
    assert (made.turns, made.turn) == ({}, 0)


def test_all_offers_nothing_where_nobody_is_eligible():
    """D4, D8: then the dialog waits."""
    operators = [replace(operator, unavailable=PassedOver.OFFLINE) for operator in roster(0, 0)]
    made = made_by(ALL, 2, operators)
    assert [(d.rule, d.offered) for d in made.decisions] == [("D8", False)] * 2
    assert made.ineligible == {PassedOver.OFFLINE: (1, 2)}


# D5


def handed_over(policy: Distribution, dialogs: list[WaitingDialog], operators: list[RosterOperator]) -> Plan:
    return plan(policy, dialogs, operators, 9, True)


def test_a_hand_over_goes_to_another():
    """D5, D2: to the one who was given anything the longest ago, whoever it may be; never to the holder."""
    operators = [RosterOperator(1, 0, 1, given=5), RosterOperator(2, 1, 9, given=3), RosterOperator(3, 2, 2, given=4)]
    made = handed_over(EVENLY, [WaitingDialog(7, first=False, holder_id=2)], operators)
    assert chosen(made) == [3]
    assert made.turns == {3: (2, 10)}, "D13: the order of first assignments stays"
    assert made.decisions[0].passed_over[PassedOver.LET_IT_PASS] == (2,)


@pytest.mark.parametrize("policy", [EVENLY, STRICTLY, ALL])
def test_alone_he_keeps_it(policy):
    """D5: nobody else is eligible."""
    alone = [RosterOperator(1, 0, 0, limit=1, held=1), RosterOperator(2, 1, 0, unavailable=PassedOver.OFFLINE)]
    (decision,) = handed_over(policy, [WaitingDialog(7, first=False, holder_id=1)], alone).decisions
    assert (decision.rule, decision.kept, decision.operator_id, decision.offered) == ("D5", True, None, False)


def test_who_loses_one_has_room_for_the_next():
    """D5, D7: two at their limit exchange what neither accepted."""
    operators = [RosterOperator(n, n, 0, given=n, held=1, limit=1) for n in (1, 2)]
    operators.append(RosterOperator(3, 3, 0, given=0, held=0, limit=1))
    dialogs = [WaitingDialog(n, first=False, holder_id=n) for n in (1, 2)]
    assert chosen(handed_over(EVENLY, dialogs, operators)) == [3, 1]
    assert chosen(handed_over(STRICTLY, dialogs, operators)) == [3, 1]


def test_a_slot_that_is_lost_goes_to_the_oldest():
    """D8: a dialog waits already, so a younger one does not get what a hand-over has freed meanwhile."""
    operators = [RosterOperator(1, 0, 0, held=1, limit=1), RosterOperator(2, 1, 0, held=0, limit=1)]
    dialogs = [WaitingDialog(1, first=False, holder_id=1), WaitingDialog(2, passed_by=frozenset()), WaitingDialog(3)]
    assert chosen(handed_over(EVENLY, dialogs, operators)) == [2, 1, None]
    late = [WaitingDialog(1), WaitingDialog(2), WaitingDialog(3, first=False, holder_id=1), WaitingDialog(4)]
    assert chosen(handed_over(EVENLY, late, operators)) == [2, None, None, None]


def test_strictly_begins_again_for_everybody():
    """D3, D5: when all have let it pass, the decision says so: nobody counts as having done it then."""
    operators = roster(0, 0, 0)
    dialog = WaitingDialog(7, frozenset({1, 2}), first=False, holder_id=3)
    (decision,) = handed_over(STRICTLY, [dialog], operators).decisions
    assert (decision.operator_id, decision.restarted) == (1, True)


# D9


def test_the_responsible_person_comes_first():
    """D9: on the roster or not, and without a turn in it."""
    outsider = RosterOperator(9, -1, 0, personal_limit=1)
    dialogs = [WaitingDialog(1, preferred_id=9), WaitingDialog(2, preferred_id=9), WaitingDialog(3, preferred_id=2)]
    made = plan(EVENLY, dialogs, roster(0, 0), 0, True, responsible=[outsider, roster(0, 0)[1]])
    assert [(d.rule, d.operator_id) for d in made.decisions] == [("D9", 9), ("D2", 1), ("D9", 2)]
    assert made.turns == {9: (0, 1), 1: (2, 2), 2: (0, 3)}, "D13"


@pytest.mark.parametrize(
    "state", [{"unavailable": PassedOver.OFFLINE}, {"personal_limit": 1, "personal_held": 1}, {"limit": 1, "held": 1}]
)
def test_a_responsible_person_who_cannot_have_it(state):
    """D9, D7: unavailable, or at a limit: the roster decides."""
    outsider = RosterOperator(9, -1, 0, **state)
    made = plan(EVENLY, [WaitingDialog(1, preferred_id=9)], roster(0), 0, True, responsible=[outsider])
    assert [(d.rule, d.operator_id) for d in made.decisions] == [("D2", 1)]


def test_a_responsible_person_who_let_it_pass():
    """D9, D5: the roster decides."""
    outsider = RosterOperator(9, -1, 0)
    lost = WaitingDialog(1, first=False, preferred_id=9, holder_id=9)
    passed = WaitingDialog(2, frozenset({9}), first=False, preferred_id=9)
    assert chosen(plan(EVENLY, [lost, passed], roster(0, 0), 0, True, responsible=[outsider])) == [1, 2]


# D6, D7


@pytest.mark.parametrize(
    ("state", "available", "why"),
    [
        ({}, True, None),
        ({"unavailable": PassedOver.DISMISSED}, True, PassedOver.DISMISSED),
        ({"unavailable": PassedOver.DISMISSED}, False, PassedOver.DISMISSED),
        *(({"unavailable": why}, True, why) for why in ABSENCES),
        *(({"unavailable": why}, False, None) for why in ABSENCES),
        ({"held": 2, "limit": 2}, True, PassedOver.AT_LIMIT),
        ({"held": 3, "limit": 2}, True, PassedOver.AT_LIMIT),
        ({"held": 1, "limit": 2}, True, None),
        ({"held": 9}, True, None),
        ({"personal_held": 5, "personal_limit": 5}, True, PassedOver.AT_PERSONAL_LIMIT),
        ({"personal_held": 4, "personal_limit": 5}, True, None),
        ({"held": 1, "limit": 9, "personal_held": 5, "personal_limit": 5}, False, PassedOver.AT_PERSONAL_LIMIT),
    ],
)
def test_who_is_eligible(state, available, why):
    """D6, D7: dismissed, offline where availability is checked, at one of both limits."""
    assert RosterOperator(1, 0, 0, **state).ineligible(available) is why


@pytest.mark.parametrize("distribution", [EVENLY, STRICTLY])
def test_no_plan_passes_a_limit(distribution):
    """D7: the free slots under both limits are filled, the rest waits, and says that everybody is full."""
    operators = [
        RosterOperator(1, 0, 0, held=1, limit=3),
        RosterOperator(2, 1, 0, held=0, limit=3, personal_held=4, personal_limit=5),
    ]
    made = made_by(distribution, 5, operators)
    assert Counter(chosen(made)) == {1: 2, 2: 1, None: 2}
    assert chosen(made)[3:] == [None, None], "D8: the younger ones wait"
    last = made.decisions[-1]
    assert (last.rule, last.passed_over) == ("D8", {PassedOver.AT_LIMIT: (1,), PassedOver.AT_PERSONAL_LIMIT: (2,)})


def test_free_slots():
    """D7: what a plan may take: the smaller of both limits, of eligible operators alone."""
    operators = [
        RosterOperator(1, 0, 0, held=1, limit=3),
        RosterOperator(2, 1, 0, limit=3, personal_held=4, personal_limit=5),
        RosterOperator(3, 2, 0, limit=3, unavailable=PassedOver.OFFLINE),
        RosterOperator(4, 3, 0, limit=3, unavailable=PassedOver.DISMISSED),
    ]
    assert free_slots(operators, True) == 3
    assert free_slots(operators, False) == 6
    assert free_slots([], True) == 0
    assert free_slots(roster(0), True) >= 1_000_000, "no limit"


# Properties

_operators = st.builds(
    RosterOperator,
    operator_id=st.just(0),
    position=st.just(0),
    turn=st.integers(0, 20),
    held=st.integers(0, 4),
    limit=st.none() | st.integers(1, 4),
    personal_held=st.integers(0, 4),
    personal_limit=st.none() | st.integers(1, 4),
    unavailable=st.sampled_from([None, None, None, PassedOver.DISMISSED, *ABSENCES]),
)
_rosters = st.lists(_operators, max_size=6).map(
    lambda listed: [replace(operator, operator_id=n + 1, position=n) for n, operator in enumerate(listed)]
)
_dialogs = st.lists(st.frozensets(st.integers(1, 6)), max_size=12).map(
    lambda passes: [WaitingDialog(100 + n, passed) for n, passed in enumerate(passes)]
)


def _explained(made: Plan, decision: Decision) -> dict[PassedOver, tuple[int, ...]]:
    return {
        why: (*made.ineligible.get(why, ()), *decision.passed_over.get(why, ()))
        for why in made.ineligible.keys() | decision.passed_over.keys()
    }


@given(st.sampled_from([EVENLY, STRICTLY]), _rosters, _dialogs, st.booleans())
def test_everybody_is_chosen_or_passed_over_with_one_reason(distribution, operators, dialogs, available):
    """D12: each decision names every operator of the roster exactly once, with the reason that holds."""
    made = plan(distribution, dialogs, operators, 20, available)
    everybody = sorted(operator.operator_id for operator in operators)
    by_id = {operator.operator_id: operator for operator in operators}
    for decision in made.decisions:
        explained = _explained(made, decision)
        named = [operator_id for ids in explained.values() for operator_id in ids]
        assert sorted(named + ([decision.operator_id] if decision.operator_id else [])) == everybody
        for why in (PassedOver.DISMISSED, *ABSENCES):
            for operator_id in explained.get(why, ()):
                assert by_id[operator_id].ineligible(available) is why
        for why in (PassedOver.AT_LIMIT, PassedOver.AT_PERSONAL_LIMIT):  # before the plan, or filled up by it
            for operator_id in explained.get(why, ()):
                assert by_id[operator_id].ineligible(available) is why or by_id[operator_id].first_limit is why


@given(_rosters, _dialogs, st.booleans())
def test_an_offer_explains_who_does_not_see_it(operators, dialogs, available):
    """D12, D4: everybody who is not passed over is eligible and sees it."""
    made = plan(ALL, dialogs, operators, 20, available)
    ineligible = sorted(o.operator_id for o in operators if o.ineligible(available))
    for decision in made.decisions:
        assert sorted(one for ids in _explained(made, decision).values() for one in ids) == ineligible


@given(st.sampled_from([EVENLY, STRICTLY]), _rosters, _dialogs, st.booleans())
def test_the_oldest_are_served_and_slots_are_filled(distribution, operators, dialogs, available):
    """D7, D8: decisions in the order of age, as many as there are slots, and nobody above a limit."""
    made = plan(distribution, dialogs, operators, 20, available)
    assert [decision.dialog_id for decision in made.decisions] == [dialog.dialog_id for dialog in dialogs]
    given_to = chosen(made)
    served = min(len(dialogs), free_slots(operators, available))
    assert all(operator_id is not None for operator_id in given_to[:served])
    assert given_to[served:] == [None] * (len(dialogs) - served)
    for operator in operators:
        assert given_to.count(operator.operator_id) <= operator.free
        if operator.ineligible(available):
            assert operator.operator_id not in given_to


@given(st.integers(1, 9), st.lists(st.integers(0, 12), min_size=1, max_size=30))
def test_evenly_is_fair_over_any_number_of_plans(size, plans):
    """D13: the same people eligible throughout: at no moment do two operators differ by more than one."""
    turns = dict.fromkeys(range(1, size + 1), 0)
    turn, had = 0, Counter(dict.fromkeys(turns, 0))
    for n in plans:
        operators = [RosterOperator(operator_id, operator_id, turns[operator_id]) for operator_id in turns]
        made = made_by(EVENLY, n, operators, turn)
        turns |= {operator_id: its for operator_id, (its, _) in made.turns.items()}
        turn = made.turn
        for operator_id in chosen(made):
            assert operator_id is not None
            had[operator_id] += 1
            assert max(had.values()) - min(had.values()) <= 1


def test_who_loses_two_dialogs_of_one_plan_is_given_neither_again():
    """D5: the first frees a slot of his, and he stands in the line twice; the second goes to another all the same."""
    operators = [
        RosterOperator(1, 1, turn=0, given=0, held=1, limit=2),
        RosterOperator(2, 2, turn=2, given=3, held=1, limit=2),
        RosterOperator(3, 3, turn=3, given=5, held=1, limit=2),
    ]
    dialogs = [
        WaitingDialog(100),
        WaitingDialog(101, first=False, holder_id=1),
        WaitingDialog(102),
        WaitingDialog(103, first=False, holder_id=1),
    ]
    made = plan(EVENLY, dialogs, operators, 10, True)
    by_id = {dialog.dialog_id: dialog.holder_id for dialog in dialogs}
    assert all(one.operator_id != by_id[one.dialog_id] for one in made.decisions if one.operator_id is not None)

"""The plan of faults, and which of them there are."""

from itertools import islice

import pytest

from chaos import faults, plan
from chaos.faults import chosen

pytestmark = pytest.mark.unit

WEIGHTS = {fault.name: fault.weight for fault in faults.ALL if fault.lasts is None}
LASTING = {fault.name: fault.lasts for fault in faults.ALL if fault.lasts is not None}


def test_the_same_seed_makes_the_same_plan() -> None:
    """What a failed round has met can be met again; another seed makes another plan."""
    for seed in (1, 2):
        assert _plan(seed) == _plan(seed)
    assert _plan(1) != _plan(2)


def test_every_fault_comes_before_any_comes_too_often() -> None:
    """Each kill as often as its weight says in each bag, each lasting fault once: chance leaves none out."""
    bag = sum(WEIGHTS.values())
    drawn = [stroke.fault for stroke in islice(plan.kills(5, WEIGHTS), bag)]
    assert {name: drawn.count(name) for name in WEIGHTS} == WEIGHTS
    assert sorted(stroke.fault for stroke in islice(plan.spells(5, LASTING), len(LASTING))) == sorted(LASTING)


def test_a_stroke_is_within_its_bounds() -> None:
    """Pauses and lengths are those that the faults ask for; a draw picks among those that are there."""
    for stroke in islice(plan.spells(3, LASTING), 200):
        shortest, longest = LASTING[stroke.fault]
        assert shortest <= stroke.lasts <= longest
        assert plan.LULL[0] <= stroke.after <= plan.LULL[1]
        assert faults.fault.pick(stroke.draw, range(7)) in range(7)


def test_no_faults_make_an_empty_plan() -> None:
    """A round of crashes between side effects alone needs none."""
    assert list(plan.kills(1, {})) == []
    assert list(plan.spells(1, {})) == []


def test_faults_are_chosen_by_name() -> None:
    """None named: all. An unknown name is refused with what there is."""
    assert [fault.name for fault in chosen(["flushall", "kill-web"])] == ["kill-web", "flushall"]
    assert [type(fault) for fault in chosen([])] == list(faults.ALL)
    with pytest.raises(ValueError, match="no fault flood; there are kill-web, kill-worker"):
        chosen(["flood"])


def test_names_of_faults_are_their_own() -> None:
    """A report has a line for each."""
    names = [fault.name for fault in faults.ALL]
    assert len(set(names)) == len(names)


def _plan(seed: int) -> list[plan.Stroke]:
    return [*islice(plan.kills(seed, WEIGHTS), 100), *islice(plan.spells(seed, LASTING), 50)]

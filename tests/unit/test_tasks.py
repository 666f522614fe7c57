"""What a task hands to its step: its items, and those of the tasks that it takes along."""

from collections.abc import Collection, Sequence
from typing import Any, cast

import pytest

from config.topology import INBOX_STEPS, Step
from worker.hints import Hints
from worker.process import _work
from worker.runner import Carried, Limits, StepRunner
from worker.tasks import run_items

pytestmark = pytest.mark.unit


class Runner:
    """Notes what it is to run."""

    def __init__(self) -> None:
        self.runs: list[tuple[list[int], dict[int, str], int]] = []

    def run(self, named: Collection[int], carried: Carried, tries: int = 0) -> None:
        self.runs.append(([*named], {**carried}, tries))


class Queued:
    """Other tasks of the step, which are taken once."""

    def __init__(self, *tasks: Sequence[Any]) -> None:
        self.told: list[int] = []
        self._tasks = list(tasks)

    def __call__(self, n_items: int) -> Sequence[Sequence[Any]]:
        self.told.append(n_items)
        taken, self._tasks = self._tasks, []
        return taken


@pytest.fixture
def runner() -> Runner:
    return Runner()


def test_a_task_that_is_alone(runner):
    """Items are numbers, or carry their messages."""
    run_items(cast(StepRunner, runner))([[1, "one"], 2], 3)
    assert runner.runs == [([1, 2], {1: "one"}, 3)]


def test_a_task_takes_others_along(runner):
    """All that they name is one batch, with the messages that they carry."""
    others = Queued([[3, "three"]], [4, 5])
    run_items(cast(StepRunner, runner), others)([[1, "one"], 2], 0)
    assert runner.runs == [([1, 2, 3, 4, 5], {1: "one", 3: "three"}, 0)]
    assert others.told == [2]


def test_one_that_asks_for_what_has_waited_longest_takes_others_too(runner):
    """What they name is what waits."""
    run_items(cast(StepRunner, runner), Queued([3], []))([], 0)
    assert runner.runs == [([3], {}, 0)]


@pytest.mark.parametrize("items", ["abc", [[]], [["1", "one"]], [[1, 2]], [None], [[[1], "one"]], [True], [2**63]])
def test_a_task_that_is_none_of_ours_takes_nobody_along(runner, items):
    """A queue may be edited by hand."""
    others = Queued([3])
    with pytest.raises(ValueError, match="inbox id"):
        run_items(cast(StepRunner, runner), others)(items, 0)
    assert (runner.runs, others.told) == ([], [])


class Asked(Hints):
    """Notes what is to be taken."""

    def __init__(self) -> None:
        self.asked: list[tuple[Step, int]] = []

    def take_queued(self, step: Step, most: int) -> list[list[Any]]:
        self.asked.append((step, most))
        return []


def test_only_the_first_step_takes_others_along_until_the_batch_is_full(runner):
    """Behind it one task is queued at a time."""
    hints = Asked()
    for step in INBOX_STEPS:
        _work(step, cast(StepRunner, runner), hints, Limits(batch=10))([1, 2, 3], 0)
    assert hints.asked == [(INBOX_STEPS[0], 7)]
    assert len(runner.runs) == len(INBOX_STEPS)

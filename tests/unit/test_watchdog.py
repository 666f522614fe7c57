"""The watchdog ends a worker that consumes nothing while tasks wait, and no other."""

import pytest

from worker.watchdog import Watchdog

pytestmark = pytest.mark.unit


class Scene:
    """A watchdog with a clock and a queue in the test's hands."""

    def __init__(self) -> None:
        self.now = 0.0
        self.queued = False
        self.ended = 0
        self.dog = Watchdog(lambda: self.queued, 60.0, lambda: self.now, self._end)

    def _end(self) -> None:
        self.ended += 1

    def look_at(self, now: float) -> int:
        self.now = now
        self.dog.look()
        return self.ended


def test_a_worker_that_leaves_tasks_lying_is_ended() -> None:
    """Tasks queued, none consumed for longer than its patience."""
    scene = Scene()
    scene.queued = True
    assert [scene.look_at(now) for now in (6, 60, 61)] == [0, 0, 1]


def test_a_worker_that_consumes_lives() -> None:
    """However long the queue is."""
    scene = Scene()
    scene.queued = True
    for now in range(6, 600, 6):
        scene.dog.consumed()
        assert scene.look_at(now) == 0


def test_idleness_without_tasks_is_no_fault_and_does_not_add_up() -> None:
    """An hour without work, then the first task: the patience begins then."""
    scene = Scene()
    assert scene.look_at(3600) == 0
    scene.queued = True
    assert scene.look_at(3606) == 0
    assert scene.look_at(3661) == 1

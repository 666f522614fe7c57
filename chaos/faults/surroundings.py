"""What is around the product: clocks that are off, and the channel's API that answers go to."""

from __future__ import annotations

from chaos.channel_api import Mode
from chaos.faults.fault import Fault, Scene, pick
from chaos.machine import KINDS

LIVED_SECONDS = 2.0
"""Seconds that a process with a wrong clock must have run to count."""

OFFSETS = (-86_400.0, -3_600.0, -45.0, 45.0, 3_600.0, 86_400.0)
WEB_OFFSETS = (-200.0, -45.0, 45.0, 200.0)
"""Less than the 300 s by which a signature may be off: beyond them a webhook is rightly refused."""


class ClockOffset(Fault):
    """A process's clock is off by up to a day: the database's clock counts, so nothing may change."""

    name = "clock-offset"
    about = "a process is started with a clock that is off"
    lasts = (5.0, 8.0)

    def __init__(self) -> None:
        super().__init__()
        self._name = ""

    def begin(self, scene: Scene, draw: float) -> None:
        entries = scene.machine.table.of_kind(*KINDS)
        if not entries:
            return
        entry = pick(draw, entries)
        self._name = entry.name
        scene.offsets[entry.name] = pick(draw * 7 % 1, WEB_OFFSETS if entry.kind == "web" else OFFSETS)
        scene.machine.table.kill(entry)

    def end(self, scene: Scene) -> None:
        if not self._name:
            return
        entry = scene.machine.table[self._name]
        scene.offsets.pop(self._name)
        self._name = ""
        if entry.alive and entry.process.age() > LIVED_SECONDS:
            self.fired += scene.machine.table.kill(entry)


class _Receiver(Fault):
    mode: Mode
    lasts = (4.0, 7.0)

    def __init__(self) -> None:
        super().__init__()
        self._calls_before = 0

    def begin(self, scene: Scene, draw: float) -> None:  # noqa: ARG002  as every fault
        self._calls_before = _calls(scene)
        scene.receiver.mode = self.mode

    def end(self, scene: Scene) -> None:
        scene.receiver.mode = Mode.OK
        self.fired += _calls(scene) > self._calls_before


class SlowReceiver(_Receiver):
    """Each answer takes its time."""

    name = "api-slow"
    about = "the channel's API is slow"
    mode = Mode.SLOW


class FailingReceiver(_Receiver):
    """Answers 500."""

    name = "api-failing"
    about = "the channel's API answers 500"
    mode = Mode.FAILING


class SilentReceiver(_Receiver):
    """It takes the message, and its answer never comes: whoever sends it again must be known again."""

    name = "api-silent"
    about = "the channel's API accepts, and then lets time run out"
    mode = Mode.SILENT


def _calls(scene: Scene) -> int:
    """Calls of the channel's API so far."""
    return sum(arrival.times for arrival in list(scene.receiver.arrivals.values()))

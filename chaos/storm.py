"""What happens to the system: crashes between side effects, then the storm of kills and faults that the plan has."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from chaos import plan
from chaos.channel_api import ChannelApi
from chaos.coverage import Coverage
from chaos.faults import Fault
from chaos.faults.kills import KillBackend
from chaos.machine import Machine
from chaos.plan import Stroke
from chaos.watch import Watch

TICK = 0.05
LOOK = 0.4
"""Seconds between two looks at who has died where."""
WHILE = 15.0


@dataclass(slots=True)
class Stage:
    """What the faults act on."""

    machine: Machine
    receiver: ChannelApi
    offsets: dict[str, float] = field(default_factory=dict)


class Storm:
    """Runs the plan. `coverage` may be set when the pairs are known."""

    def __init__(self, stage: Stage, faults: Sequence[Fault], seed: int, watch: Watch) -> None:
        self.faults = [fault for fault in faults if fault.possible(stage)]
        self.impossible = [fault for fault in faults if not fault.possible(stage)]
        self.coverage: Coverage | None = None
        self._stage = stage
        self._watch = watch
        self._by_name = {fault.name: fault for fault in self.faults}
        self._kills = plan.kills(seed, {fault.name: fault.weight for fault in self.faults if fault.lasts is None})
        self._spells = plan.spells(seed, {fault.name: fault.lasts for fault in self.faults if fault.lasts})
        self._lasting: Fault | None = None
        self.each_while: Callable[[], None] = lambda: None
        """Called every WHILE seconds of the storm."""

    @property
    def kills(self) -> int:
        """Processes killed so far, in whichever way."""
        backends = sum(fault.fired for fault in self.faults if isinstance(fault, KillBackend))
        return self._stage.machine.table.kills + backends + (self.coverage.fired if self.coverage else 0)

    def cover(self, coverage: Coverage, longest: float) -> None:
        """Nothing but crashes between side effects, until one has happened between each pair where that is required.

        longest: seconds after which the rest is left to chance. Raises StoppedError.
        """
        self.coverage = coverage
        began = time.monotonic()
        while coverage.missing and time.monotonic() - began < longest:
            self._watch.check()
            coverage.look(self._stage.machine.table, self._stage.machine.start_seconds)
            self._stage.machine.pause(LOOK)
        coverage.only_required = False

    def rage(self, seconds: float, kills: int, longest: float) -> None:
        """Until all has happened that is to happen; at the end everything is healed.

        seconds: it lasts at the least. kills: so many in all, at the least. longest: seconds after which it ends
        whatever is missing. Raises StoppedError.
        """
        began = time.monotonic()
        machine = self._stage.machine
        strokes, spells, look_at = _Turn(self._kills, began), _Turn(self._spells, began), began
        try:
            while not self._enough(time.monotonic() - began, seconds, kills):
                self._watch.check()
                now = time.monotonic()
                if now - began > longest:
                    return
                if strokes.due(now):
                    stroke = strokes.take(now)
                    self._by_name[stroke.fault].begin(self._stage, stroke.draw)
                self._lasting_faults(spells, now)
                if now >= look_at:
                    look_at = now + WHILE
                    self.each_while()
                machine.pause(TICK)
        finally:
            self.heal()

    def heal(self) -> None:
        """End what lasts, and let everything that is started from now on be as it was meant."""
        if self._lasting is not None:
            self._lasting.end(self._stage)
            self._lasting = None
        self._stage.offsets.clear()

    def _lasting_faults(self, turn: _Turn, now: float) -> None:
        if self._lasting is None:
            if turn.due(now):
                stroke = turn.take(now)
                self._lasting = self._by_name[stroke.fault]
                self._lasting.begin(self._stage, stroke.draw)
                turn.hold(time.monotonic() + stroke.lasts)
        elif turn.over(now):
            self._lasting.end(self._stage)
            self._lasting = None
            turn.go_on(time.monotonic())
        else:
            self._lasting.go_on(self._stage)

    def _enough(self, lasted: float, seconds: float, kills: int) -> bool:
        if lasted < seconds or self._lasting is not None or self.kills < kills:
            return False
        return all(fault.fired for fault in self.faults) and not (self.coverage and self.coverage.missing)


class _Turn:
    """When the next stroke of one sequence is due."""

    def __init__(self, strokes: Iterator[Stroke], now: float) -> None:
        self._strokes = strokes
        self._next = next(strokes, None)
        self._at = now + self._next.after if self._next else 0.0
        self._until = 0.0

    def due(self, now: float) -> bool:
        return self._next is not None and now >= self._at

    def take(self, now: float) -> Stroke:
        stroke = self._next
        assert stroke is not None  # noqa: S101  it is due
        self._next = next(self._strokes, None)
        self.go_on(now)
        return stroke

    def hold(self, until: float) -> None:
        self._until = until

    def over(self, now: float) -> bool:
        return now >= self._until

    def go_on(self, now: float) -> None:
        if self._next is not None:
            self._at = now + self._next.after

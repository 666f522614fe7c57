"""What every part of `make bench-scale` is given, and what it returns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.rounds import Round, run_round
from bench.sides.ours import OURS
from bench.stream import make_stream

LEAST_MESSAGES = 200
"""Of a stream, however small the scale."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What is wanted, what was measured, in words, and whether that is enough."""

    wanted: str
    measured: str
    reached: bool


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of the picture: points of x and y."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Chart:
    """A plot of the picture. limit: a horizontal line that the curves should stay above or under, if there is one."""

    title: str
    x: str
    y: str
    curves: Sequence[Curve]
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a part has measured. figures: as JSON."""

    figures: Mapping[str, Any]
    goals: Sequence[Goal] = ()
    charts: Sequence[Chart] = ()


@dataclass
class Bench:
    """messages: of one round at full scale. scale: share of all sizes. tell: shows progress, a line at a time."""

    seed: int
    messages: int
    scale: float
    tell: Callable[[str], None]
    _steady: float | None = field(default=None, init=False)

    def sized(self, full: int, least: int = LEAST_MESSAGES) -> int:
        """A number of messages, cards or dialogs at this scale."""
        return max(least, round(full * self.scale))

    def round(self, seed: int | None = None) -> Round:
        """One round on fresh, empty servers. Raises RoundError."""
        return run_round(OURS, make_stream(self.seed if seed is None else seed, self.sized(self.messages)))

    def steady_rate(self) -> float:
        """Messages per second of an empty system; measured at the first call."""
        if self._steady is None:
            self._steady = self.round().rate
            self.tell(f"an empty system: {self._steady:,.0f} messages/s")
        return self._steady


@dataclass(frozen=True, slots=True)
class Part:
    """name: as in PARTS=. title: what it asks. run: measures; raises RoundError if something does not balance."""

    name: str
    title: str
    run: Callable[[Bench], Outcome]

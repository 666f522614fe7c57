"""Axes of a plot: where a value lies, and which values are written beside it."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

Words = Callable[[float], str]
"""How a value is written."""

StepOf = Callable[[float], float]
"""Between two ticks: the smallest round step that is not below a value."""

_LEAST = 1e-9
_MOST_DECADE_TICKS = 8
_LINEAR_STEPS = 5
_TIME_STEPS = 8
_LONG_STEPS = (10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600)
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A range of values. title: with its unit. ticks: value and words. logarithmic: low is above 0 then."""

    title: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Where a value lies: 0 at the low end, 1 at the high one; values outside lie on the edge."""
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(max(value, low))
        return min(1.0, max(0.0, (value - low) / (high - low)))


def linear_axis(title: str, values: Iterable[float], words: Words, step_of: StepOf) -> Axis:
    """From 0 to a round number above all values."""
    highest = max((value for value in values if math.isfinite(value)), default=0.0)
    step = step_of((max(highest, _LEAST) if highest > 0 else 1.0) / _LINEAR_STEPS)
    count = max(1, math.ceil(highest / step - 1e-9))
    return Axis(title, 0.0, count * step, [(n * step, words(n * step)) for n in range(count + 1)])


def time_axis(title: str, seconds: float, words: Words) -> Axis:
    """From 0 to exactly so many seconds: the plot ends where the test did."""
    high = max(seconds, _LEAST) if math.isfinite(seconds) and seconds > 0 else 1.0
    step = time_step(high / _TIME_STEPS)
    return Axis(title, 0.0, high, [(n * step, words(n * step)) for n in range(math.floor(high / step + 1e-9) + 1)])


def logarithmic_axis(title: str, values: Iterable[float], words: Words) -> Axis:
    """Whole decades around all values; 1, 2 and 5 of each are ticks where there are few. 0 lies on the low edge."""
    positive = [value for value in values if math.isfinite(value) and value >= _LEAST]
    first = math.floor(math.log10(min(positive, default=0.001)) + 1e-9)
    last = max(first + 1, math.ceil(math.log10(max(positive, default=1.0)) - 1e-9))
    parts = (1, 2, 5) if last - first <= 2 else (1,)
    every = math.ceil((last - first) / _MOST_DECADE_TICKS)
    ticks = [part * 10.0**decade for decade in range(first, last, every) for part in parts] + [10.0**last]
    return Axis(title, 10.0**first, 10.0**last, [(tick, words(tick)) for tick in ticks], logarithmic=True)


def decimal_step(least: float) -> float:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(part * power for part in (1, 2, 2.5, 5, 10) if part * power >= least * (1 - 1e-9))


def binary_step(least: float) -> float:
    """The smallest power of two that is not below `least`, for bytes."""
    return 2.0 ** math.ceil(math.log2(least))


def time_step(least: float) -> float:
    """As decimal_step, in the round parts of minutes and hours where it is longer than 5 seconds."""
    rounded = (step for step in _LONG_STEPS if step >= least)
    return decimal_step(least) if least <= 5 else next(rounded, 3600 * decimal_step(least / 3600))

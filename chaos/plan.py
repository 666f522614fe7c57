"""Which fault comes when: two endless sequences that follow from the seed alone."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

KILL_GAP = (0.6, 3.0)
"""Seconds between two kills, at the least and at the most."""
LULL = (0.5, 2.0)
"""Seconds between the end of a fault that lasts and the next one."""
LASTS = (2.0, 5.0)
"""Seconds for which a fault lasts, unless it says otherwise."""


@dataclass(frozen=True, slots=True)
class Stroke:
    """One fault. after: seconds since the one before began, or, if that lasts, since it ended. lasts: seconds.

    draw: in [0, 1); picks whom it meets among those that are there.
    """

    after: float
    fault: str
    lasts: float
    draw: float


def kills(seed: int, weights: Mapping[str, int]) -> Iterator[Stroke]:
    """Kills at random; in each bag every one of them comes as often as its weight says."""
    draws = random.Random(f"kills {seed}")
    while weights:
        bag = [name for name, weight in weights.items() for _ in range(weight)]
        draws.shuffle(bag)
        for name in bag:
            yield Stroke(draws.uniform(*KILL_GAP), name, 0.0, draws.random())


def spells(seed: int, lasting: Mapping[str, tuple[float, float]]) -> Iterator[Stroke]:
    """Faults that last, one after the other; each comes once before any comes again.

    lasting: for each the seconds that it lasts, at the least and at the most.
    """
    draws = random.Random(f"spells {seed}")
    while lasting:
        bag = list(lasting)
        draws.shuffle(bag)
        for name in bag:
            yield Stroke(draws.uniform(*LULL), name, draws.uniform(*lasting[name]), draws.random())

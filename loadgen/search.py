"""The highest rate at which p99 stays under a limit: by doubling, or halving, and then between the two."""

from collections.abc import Callable

from loadgen.report_data import Trial

MOST_STEPS = 6
"""Doublings or halvings."""

CLOSE = 1.1
"""A rate that is not held, at most so much above one that is, ends the search."""


def find_max(first: float, measure: Callable[[float], Trial]) -> list[Trial]:
    """All trials in their order; the highest that was held is the answer. first: the rate to begin with.

    measure: makes a trial at a rate; whether it was held is its own word.
    """
    trials = [measure(first)]
    factor = 2.0 if trials[0].held else 0.5
    while len(trials) <= MOST_STEPS and trials[-1].held is trials[0].held:
        trials.append(measure(trials[-1].rate * factor))
    held = [trial.rate for trial in trials if trial.held]
    too_high = [trial.rate for trial in trials if not trial.held]
    if not held or not too_high:
        return trials
    low, high = max(held), min(too_high)
    while high / low > CLOSE:
        trials.append(measure((low + high) / 2))
        low, high = (trials[-1].rate, high) if trials[-1].held else (low, trials[-1].rate)
    return trials


def best(trials: list[Trial]) -> Trial | None:
    """The highest rate that was held, None if none was."""
    return max((trial for trial in trials if trial.held), key=lambda trial: trial.rate, default=None)

"""What happened in each second of a test."""

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from loadgen.report_data import Second

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Usage:
    """What the processes have used, by kind. cpu: seconds so far. resident: bytes now."""

    cpu: Mapping[str, float] = field(default_factory=dict)
    resident: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sample:
    """A look at the running system. at: seconds since the beginning. lag: as `Second.lag`."""

    at: float
    lag: Mapping[str, float]
    usage: Usage


@dataclass(frozen=True, slots=True)
class Way:
    """A message's way. Seconds since the beginning: planned, first sent, answered and finished; None: it was not."""

    planned: float
    sent: float | None
    answered: float | None
    finished: float | None


def timeline(ways: Sequence[Way], samples: Sequence[Sample]) -> list[Second]:
    """A `Second` for each from the first planned message to the last that was finished."""
    last = max((at for way in ways for at in (way.planned, way.answered, way.finished) if at is not None), default=0.0)
    planned = _by_second((way.planned, way) for way in ways)
    counts = {
        name: {second: len(found) for second, found in _by_second((at, at) for at in times if at is not None).items()}
        for name, times in (
            ("sent", [way.sent for way in ways]),
            ("answered", [way.answered for way in ways]),
            ("finished", [way.finished for way in ways]),
        )
    }
    seconds = []
    for number in range(int(last) + 1):
        of_second = planned.get(number, [])
        answered = sorted(way.answered - way.planned for way in of_second if way.answered is not None)
        finished = sorted(way.finished - way.planned for way in of_second if way.finished is not None)
        before, now = _sample(samples, number), _sample(samples, number + 1)
        seconds.append(
            Second(
                at=float(number),
                planned=len(of_second),
                sent=counts["sent"].get(number, 0),
                answered=counts["answered"].get(number, 0),
                finished=counts["finished"].get(number, 0),
                answered_p50=nearest_rank(answered, 0.5),
                answered_p99=nearest_rank(answered, 0.99),
                finished_p50=nearest_rank(finished, 0.5),
                finished_p99=nearest_rank(finished, 0.99),
                lag=now.lag if now else {},
                cpu=_used(before, now),
                resident=now.usage.resident if now else {},
            )
        )
    return seconds


def nearest_rank(ordered: Sequence[float], share: float) -> float | None:
    """The smallest value that at least this share of all do not exceed; None of none. ordered: rising."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def _by_second(found: Iterable[tuple[float, _T]]) -> Mapping[int, list[_T]]:
    by_second: dict[int, list[_T]] = defaultdict(list)
    for at, one in found:
        by_second[int(at)].append(one)
    return by_second


def _sample(samples: Sequence[Sample], at: float) -> Sample | None:
    """The last one that was taken up to a moment."""
    place = bisect_right(samples, at, key=lambda sample: sample.at)
    return samples[place - 1] if place else None


def _used(before: Sample | None, now: Sample | None) -> dict[str, float]:
    """Seconds of CPU per second between two samples."""
    if before is None or now is None or now.at <= before.at:
        return {}
    return {
        kind: max(0.0, seconds - before.usage.cpu.get(kind, seconds)) / (now.at - before.at)
        for kind, seconds in now.usage.cpu.items()
    }

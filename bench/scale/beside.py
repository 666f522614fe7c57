"""The pace of the stream beside something large, against the pace without it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.latency import of_round, stream_for
from bench.rounds import Besides, Round, drive, fresh_folder
from bench.scale.part import Bench, Goal
from bench.sides.ours import OURS
from bench.sides.side import Running
from bench.stream import Stream, make_stream

PAIRS = 2
SECONDS = 10.0
"""Of a round at half the steady rate."""

SLOWER = 0.10
"""By which the others may become slower."""

Scene = Callable[[Running, Path, Stream, bool], Besides]
"""Prepares a system that is up in a folder, with the large thing or without, and says what goes on besides a stream."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Of the rounds on one side of the comparison. rates: messages per second. p50, p99: seconds to the last step."""

    rates: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Each round."""
        return {
            "messages_per_second": [round(rate, 1) for rate in self.rates],
            "p50": [round(seconds, 4) for seconds in self.p50],
            "p99": [round(seconds, 4) for seconds in self.p99],
        }


def judge(without: Pace, beside: Pace) -> list[Goal]:
    """Of each thing that was measured, whether it is worse by at most SLOWER."""
    goals = []
    if without.rates:
        ratio = median(beside.rates) / median(without.rates)
        goals.append(Goal(f"throughput at least {1 - SLOWER:.0%}", f"{ratio:.0%}", ratio >= 1 - SLOWER))
    for name, before, after in (("p50", without.p50, beside.p50), ("p99", without.p99, beside.p99)):
        ratio = median(after) / median(before)
        measured = f"{ratio:.0%}: {1000 * median(before):,.0f} ms, then {1000 * median(after):,.0f} ms"
        goals.append(Goal(f"{name} at half load at most {1 + SLOWER:.0%}", measured, ratio <= 1 + SLOWER))
    return goals


def compare(bench: Bench, scene: Scene, *, throughput: bool = True) -> tuple[Pace, Pace]:
    """Rounds without and with the large thing, in alternating order, each on fresh servers."""
    half, seconds = bench.steady_rate() / 2, max(2.0, SECONDS * bench.scale)
    paces: Mapping[bool, Pace] = {False: Pace(), True: Pace()}
    for pair in range(PAIRS):
        seed = bench.seed + pair
        for large in (True, False) if pair % 2 else (False, True):
            told = "beside" if large else "without"
            if throughput:
                made = _round(scene, make_stream(seed, bench.sized(bench.messages)), None, large)
                paces[large].rates.append(made.rate)
                told += f": {made.rate:,.0f} messages/s"
            stream = stream_for(seed, half, seconds)
            latency = of_round(_round(scene, stream, half, large), stream, half, seconds)
            paces[large].p50.append(latency.p50)
            paces[large].p99.append(latency.p99)
            bench.tell(f"  {told}; p50 {1000 * latency.p50:,.0f} ms, p99 {1000 * latency.p99:,.0f} ms at {half:,.0f}/s")
    return paces[False], paces[True]


def _round(scene: Scene, stream: Stream, rate: float | None, large: bool) -> Round:
    with fresh_folder() as folder, OURS.start(folder, stream.seed) as running:
        return drive(running, stream, rate, scene(running, folder, stream, large))

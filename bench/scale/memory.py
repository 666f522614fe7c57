"""`memory`: what each process has in memory while very many messages pass."""

import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import linear_regression, median

from bench.memory import children, private, resident
from bench.rounds import drive, fresh_folder
from bench.scale.part import Bench, Chart, Curve, Goal, Outcome, Part
from bench.sides.ours import OURS
from bench.sides.side import Running
from bench.stream import make_stream

MESSAGES = 500_000
EVERY = 2.0
"""Seconds between two samples."""

WARM_UP = 0.5
"""Share of the messages after which memory should be flat: by then caches are full and plans are prepared."""

FLAT = 0.02
"""Growth per 100,000 messages, as a share of what the process has."""

JUDGED = ("web", "worker-1", "worker-2", "courier", "clock")
"""Processes of ours. PostgreSQL and Valkey hold data, which grows; their memory is shown."""

JUDGED_FROM = 100_000
"""Messages; of fewer nobody can say what 100,000 would make of it."""

Points = Sequence[tuple[float, float]]
"""Messages done so far, and MiB."""


@dataclass(frozen=True, slots=True)
class Sample:
    """at: Unix time. megabytes: by process."""

    at: float
    megabytes: Mapping[str, float]


class Sampler:
    """Takes samples when it is called often."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._due = 0.0
        self.samples: list[Sample] = []

    def tick(self) -> None:
        """Take one if it is time, and let the side's own work go on."""
        self._running.tick()
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + EVERY
            self.samples.append(Sample(time.time(), self._look()))

    def _look(self) -> dict[str, float]:
        found = {}
        for status in self._running.supervisor.status():
            if status.pid is None:
                continue
            if status.name == "postgres":  # sessions share the buffers, and would be counted many times
                found[status.name] = private([status.pid, *children(status.pid)])
            elif (megabytes := resident(status.pid)) is not None:
                found[status.name] = megabytes
        return found


def growth(points: Points) -> float:
    """MiB per 100,000 messages after the warm-up, by least squares; 0 where there are too few samples to say."""
    last = points[-1][0] if points else 0.0
    after = [point for point in points if point[0] >= WARM_UP * last]
    if len({x for x, _ in after}) < 2:
        return 0.0
    return 100_000 * linear_regression([x for x, _ in after], [y for _, y in after]).slope


def judge(points: Mapping[str, Points]) -> list[Goal]:
    """Whether each process of ours is flat; nothing of a short round."""
    goals = []
    for process in JUDGED:
        if process in points and points[process][-1][0] >= JUDGED_FROM:
            level = median(y for _, y in points[process])
            grows = growth(points[process])
            goals.append(
                Goal(
                    f"{process} grows by at most {FLAT:.0%} per 100,000 messages after the first half",
                    f"{grows / level:+.1%} of {level:,.0f} MiB",
                    grows <= FLAT * level,
                )
            )
    return goals


def over_messages(samples: Sequence[Sample], finished: Sequence[float]) -> dict[str, list[tuple[float, float]]]:
    """The samples by process, over the messages done by then; those before the first and after the last left out."""
    ordered = sorted(finished)
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for sample in samples:
        done = bisect_right(ordered, sample.at)
        if done > 0 and sample.at <= ordered[-1] + EVERY:
            for process, megabytes in sample.megabytes.items():
                found[process].append((float(done), megabytes))
    return found


def measure(bench: Bench) -> Outcome:
    """One long round, as fast as the answers come."""
    stream = make_stream(bench.seed, bench.sized(MESSAGES))
    with fresh_folder() as folder, OURS.start(folder, stream.seed) as running:
        sampler = Sampler(running)
        made = drive(replace(running, tick=sampler.tick), stream)
    points = over_messages(sampler.samples, made.finished)
    bench.tell(f"{made.messages:,} messages at {made.rate:,.0f}/s, {len(sampler.samples)} samples")
    figures = {
        "messages": made.messages,
        "megabytes": {
            process: {
                "first": round(of_process[0][1], 1),
                "last": round(of_process[-1][1], 1),
                "growth_per_100000_messages": round(growth(of_process), 2),
            }
            for process, of_process in points.items()
        },
    }
    curves = [Curve(process, _thinned(of_process)) for process, of_process in points.items()]
    chart = Chart("Resident memory (PostgreSQL: private)", "messages done", "MiB", curves)
    return Outcome(figures, judge(points), [chart])


def _thinned(points: Points) -> Points:
    step = max(1, len(points) // 60)
    return [(x, round(y, 1)) for x, y in points[::step]]


PART = Part("memory", "memory of each process over 500,000 messages", measure)

"""The report of a test, from what came of its trials."""

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median_low

from loadgen.measuring.latency import distribution_of
from loadgen.measuring.timeline import Sample, Way, timeline
from loadgen.report_data import Distribution, Report, Trial
from loadgen.trial import Played

_CPU_INFO = Path("/proc/cpuinfo")


def report_of(
    played: Played,
    settings: Mapping[str, str | int | float | bool],
    warm_up: float,
    trials: Sequence[Trial] = (),
) -> Report:
    """The report. warm_up: seconds at the beginning whose messages are judged, and not measured."""
    ends = [at for way in played.ways for at in (way.answered, way.finished) if at is not None]
    seconds = max(ends, default=0.0)
    return Report(
        openchannel=_version(),
        started_at=played.began,
        settings=settings,
        machine=_machine(),
        seconds=seconds,
        measured_from=warm_up,
        sent=sum(way.sent is not None for way in played.ways),
        answers=played.answers,
        throughput=throughput(played.ways, warm_up),
        to_answer=distribution_of(way.answered - way.planned for way in measured(played.ways, warm_up) if way.answered),
        to_last_step=to_last_step(played, warm_up),
        timeline=timeline(played.ways, played.samples),
        cpu=_cpu(played.samples),
        verdict=played.verdict,
        trials=trials,
        drain=played.drain,
    )


def trial_of(played: Played, rate: float, warm_up: float, limit: float | None = None) -> Trial:
    """A line of the report. rate: as planned. limit: seconds under which p99 has to stay; None: no limit."""
    latency = to_last_step(played, warm_up)
    p50, p99 = latency.at.get(50.0, 0.0), latency.at.get(99.0, 0.0)
    held = played.verdict.balances and latency.count > 0 and (limit is None or p99 < limit)
    return Trial(rate, throughput(played.ways, warm_up), p50, p99, held)


def typical(trials: Sequence[tuple[Trial, Played]]) -> Played:
    """The first that does not balance; where all do, the one with the median p99."""
    for _, played in trials:
        if not played.verdict.balances:
            return played
    middle = median_low([trial.p99 for trial, _ in trials])
    return next(played for trial, played in trials if trial.p99 == middle)


def to_last_step(played: Played, warm_up: float) -> Distribution:
    """Seconds from the planned time to the end of the last step."""
    return distribution_of(way.finished - way.planned for way in measured(played.ways, warm_up) if way.finished)


def throughput(ways: Sequence[Way], warm_up: float) -> float:
    """Messages finished per second, from the end of the warm-up to when 99 % of them were.

    The last ones are late repeats and edits, which come when all else is over.
    """
    finished = sorted(way.finished for way in ways if way.finished is not None and way.finished >= warm_up)
    most = -(-99 * len(finished) // 100)
    return most / (finished[most - 1] - warm_up) if finished and finished[most - 1] > warm_up else 0.0


def measured(ways: Sequence[Way], warm_up: float) -> list[Way]:
    """Those that were planned after the warm-up."""
    return [way for way in ways if way.planned >= warm_up]


def _cpu(samples: Sequence[Sample]) -> dict[str, float]:
    if not samples:
        return {}
    first, last = samples[0].usage.cpu, samples[-1].usage.cpu
    return {kind: max(0.0, seconds - first.get(kind, 0.0)) for kind, seconds in last.items()}


def _machine() -> dict[str, str]:
    found = {
        "system": f"{platform.system()} {platform.release()}",
        "processor": platform.machine(),
        "processors": str(os.cpu_count()),
        "python": platform.python_version(),
    }
    if _CPU_INFO.is_file():
        names = [line for line in _CPU_INFO.read_text().splitlines() if line.startswith("model name")]
        if names:
            found["processor"] = names[0].partition(":")[2].strip()
    return found


def _version() -> str:
    try:
        return version("openchannel")
    except PackageNotFoundError:
        return "not installed"

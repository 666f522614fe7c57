"""Which plots a report has."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter

from loadgen.report_data import Distribution, Report, Second
from loadgen.reporting.axes import (
    Axis,
    StepOf,
    Words,
    binary_step,
    decimal_step,
    linear_axis,
    logarithmic_axis,
    time_axis,
    time_step,
)
from loadgen.reporting.plots import Plot, Series
from loadgen.reporting.quantities import amount, duration, short_amount, size

_PERCENTILE_TICKS = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999)
_LARGEST_TAIL = 1e6


def charts(report: Report) -> list[Plot]:
    """All plots, in the order of the page; those over time shade the warm-up."""
    return [
        _latency(report),
        _percentiles(report),
        _throughput(report),
        _over_time(
            report,
            "lag",
            "Lag of each step",
            "How long the oldest due item of each step had waited, second by second.",
            "waited (time)",
            duration,
            time_step,
            attrgetter("lag"),
        ),
        _over_time(
            report,
            "cpu",
            "CPU of each kind of process",
            "CPU seconds that each kind of process used in each second: 1 is one whole core.",
            "cores",
            amount,
            decimal_step,
            attrgetter("cpu"),
        ),
        _over_time(
            report,
            "memory",
            "Memory of each kind of process",
            "Resident memory of all processes of each kind, second by second.",
            "resident (bytes)",
            size,
            binary_step,
            attrgetter("resident"),
        ),
    ]


def _latency(report: Report) -> Plot:
    lines = (
        ("to the 2xx, p50", "answered_p50", 0, True),
        ("to the 2xx, p99", "answered_p99", 0, False),
        ("to the last step, p50", "finished_p50", 1, True),
        ("to the last step, p99", "finished_p99", 1, False),
    )
    series = [Series(name, _points(report, attrgetter(key)), colour, dashed) for name, key, colour, dashed in lines]
    return Plot(
        "latency",
        "Latency over time",
        "Latency from the planned time of the messages of each second: half of them (p50) and all but the slowest "
        "hundredth (p99) were faster.",
        _time_axis(report),
        logarithmic_axis("latency (time, logarithmic)", _values(series), duration),
        series,
        report.measured_from,
    )


def _percentiles(report: Report) -> Plot:
    series = [
        Series("to the 2xx", _curve(report.to_answer), 0),
        Series("to the last step", _curve(report.to_last_step), 1),
    ]
    largest = min(_LARGEST_TAIL, max(100, report.to_answer.count, report.to_last_step.count))
    ticks = [(_tail(percentile), f"{percentile:g} %") for percentile in _PERCENTILE_TICKS]
    return Plot(
        "percentiles",
        "Latency by percentile",
        "Which share of the measured messages was faster than a latency; each tick to the right leaves a tenth of the "
        "slower ones.",
        Axis(
            "share of messages that were faster (logarithmic in the rest)",
            1.0,
            largest,
            [tick for tick in ticks if tick[0] <= largest * 1.001],
            logarithmic=True,
        ),
        logarithmic_axis("latency (time, logarithmic)", _values(series), duration),
        series,
    )


def _throughput(report: Report) -> Plot:
    lines = (("planned", "planned", 3, True), ("sent", "sent", 0, False), ("finished", "finished", 2, False))
    series = [Series(name, _points(report, attrgetter(key)), colour, dashed) for name, key, colour, dashed in lines]
    return Plot(
        "throughput",
        "Throughput over time",
        "Messages that were planned, sent, and finished in each second.",
        _time_axis(report),
        linear_axis("messages per second", _values(series), short_amount, decimal_step),
        series,
        report.measured_from,
    )


def _over_time(
    report: Report,
    key: str,
    title: str,
    description: str,
    unit: str,
    words: Words,
    step_of: StepOf,
    of_second: Callable[[Second], Mapping[str, float]],
) -> Plot:
    """A line for each name that any second knows; a second that does not know it breaks its line."""
    names = list(dict.fromkeys(name for second in report.timeline for name in of_second(second)))
    series = [
        Series(name, [(second.at, of_second(second).get(name)) for second in report.timeline], number, number >= 8)
        for number, name in enumerate(names)
    ]
    return Plot(
        key,
        title,
        description,
        _time_axis(report),
        linear_axis(unit, _values(series), words, step_of),
        series,
        report.measured_from,
    )


def _time_axis(report: Report) -> Axis:
    last = max((second.at for second in report.timeline), default=0.0)
    return time_axis("time since the first planned message", max(last, report.measured_from), duration)


def _points(report: Report, of_second: Callable[[Second], float | None]) -> list[tuple[float, float | None]]:
    return [(second.at, of_second(second)) for second in report.timeline]


def _curve(distribution: Distribution) -> list[tuple[float, float | None]]:
    """The slowest message of all has no tail: it stands where one of so many would."""
    last = max(1.0, float(distribution.count))
    return [(min(_tail(percentile), last), seconds) for percentile, seconds in distribution.curve]


def _tail(percentile: float) -> float:
    return 100.0 / (100.0 - percentile) if percentile < 100.0 else math.inf


def _values(series: Sequence[Series]) -> Iterable[float]:
    return [y for one in series for _, y in one.points if y is not None]

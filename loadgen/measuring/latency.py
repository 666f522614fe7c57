"""Latencies in HdrHistograms: three digits, from a microsecond to an hour."""

from collections.abc import Iterable

from loadgen.report_data import PERCENTILES, Distribution

LONGEST = 3600 * 1_000_000
DIGITS = 3
TICKS_PER_HALF = 5
"""Points of the curve between 50 % and 75 %, 75 % and 87.5 %, and so on."""


def distribution_of(seconds: Iterable[float]) -> Distribution:
    """The distribution of latencies. One below a microsecond counts as one, one above an hour as an hour."""
    from hdrh.histogram import HdrHistogram

    histogram = HdrHistogram(1, LONGEST, DIGITS)
    count, total = 0, 0.0
    for one in seconds:
        count, total = count + 1, total + one
        histogram.record_value(min(LONGEST, max(1, round(one * 1_000_000))))
    if not count:
        return Distribution(0, 0.0, {}, [])
    return Distribution(
        count=count,
        mean=total / count,
        at={percent: histogram.get_value_at_percentile(percent) / 1_000_000 for percent in PERCENTILES},
        curve=[
            (step.percentile_level_iterated_to, step.value_iterated_to / 1_000_000)
            for step in histogram.get_percentile_iterator(TICKS_PER_HALF)
        ],
    )

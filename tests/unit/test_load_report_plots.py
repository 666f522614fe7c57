"""Axes and lines of plots: round ticks, values at their places, whatever the data are."""

import math
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadgen.reporting.axes import (
    binary_step,
    decimal_step,
    linear_axis,
    logarithmic_axis,
    time_axis,
    time_step,
)
from loadgen.reporting.plots import HEIGHT, MOST_POINTS, WIDTH, Plot, Series, draw, thinned
from loadgen.reporting.quantities import amount, duration, short_amount, size

pytestmark = pytest.mark.unit

VALUES = st.lists(st.floats(-1e15, 1e15) | st.sampled_from([math.nan, math.inf, -math.inf]), max_size=20)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),
        (math.nan, "–"),
        (0.0, "0 s"),
        (0.00085, "850 µs"),
        (0.0234, "23.4 ms"),
        (0.9999, "1 s"),
        (12.0, "12 s"),
        (900.0, "15 min"),
        (10_800.0, "3 h"),
    ],
)
def test_durations_have_the_unit_that_fits(seconds, words):
    """Three digits, and a dash where nothing was measured."""
    assert duration(seconds) == words


def test_amounts_and_sizes_are_short():
    """Thousands are grouped; ticks and bytes have a unit."""
    assert (amount(12345), amount(0.25), amount(None)) == ("12,345", "0.25", "–")
    assert (short_amount(12345), short_amount(2e6), short_amount(250_000)) == ("12,345", "2 M", "250 k")
    assert (size(0), size(512 * 1024**2)) == ("0 B", "512 MiB")


@pytest.mark.parametrize("step", [decimal_step, binary_step, time_step])
@given(least=st.floats(1e-6, 1e9))
def test_a_step_is_round_and_not_too_small(step, least):
    """No step is below what was asked for, or more than three times it."""
    assert least * (1 - 1e-6) <= step(least) <= 3 * least


def test_ticks_of_time_are_round_minutes():
    """Not 1,000 seconds."""
    axis = time_axis("time", 7200, duration)
    assert [words for _, words in axis.ticks][:4] == ["0 s", "15 min", "30 min", "45 min"]
    assert axis.high == 7200


@given(VALUES)
@example([5e-324])
def test_axes_hold_all_values_with_a_few_ticks_in_order(values):
    """Whatever is measured, nothing, one value or the absurd: finite ends, rising ticks within them, not too many."""
    finite = [value for value in values if math.isfinite(value)]
    for axis in (
        linear_axis("y", values, amount, decimal_step),
        logarithmic_axis("y", values, amount),
        time_axis("x", max(finite, default=0), duration),
    ):
        ticks = [value for value, _ in axis.ticks]
        assert ticks == sorted(set(ticks))
        assert len(ticks) <= 12
        assert axis.low < axis.high
        assert all(axis.low <= tick <= axis.high * (1 + 1e-9) for tick in ticks)
        assert all(0 <= axis.share(value) <= 1 for value in finite)
        assert all(value <= axis.high * (1 + 1e-6) for value in finite)


@given(VALUES)
def test_a_plot_stays_on_its_paper(values):
    """Every place of a line is a number within the picture."""
    x = time_axis("x", len(values), duration)
    y = linear_axis("y", values, amount, decimal_step)
    drawn = draw(Plot("key", "title", "description", x, y, [Series("s", list(enumerate(values)), 0)]))
    for path in re.findall(r' d="([^"]*)"', drawn):
        for place in re.split(r"[ML]", path)[1:]:
            across, down = map(float, place.split())
            assert 0 <= across <= WIDTH
            assert 0 <= down <= HEIGHT
    assert ("nothing was measured" in drawn) == (not any(map(math.isfinite, values)))


def test_a_lone_point_is_a_dot():
    """A line through one point would not be seen."""
    points = [(0.0, 1.0), (1.0, None), (2.0, 3.0), (3.0, 4.0)]
    y = linear_axis("y", [4.0], amount, decimal_step)
    drawn = draw(Plot("key", "title", "description", time_axis("x", 3, duration), y, [Series("s", points, 0)]))
    assert drawn.count("<circle") == 1


def test_long_lines_are_thinned_and_keep_their_peaks():
    """A day of seconds is a readable file, and the one bad second of it is still there."""
    points = [(float(n), 1.0) for n in range(86_400)]
    points[12_345] = (12_345.0, 99.0)
    points[54_321] = (54_321.0, 0.0)
    kept = thinned(points)
    assert len(kept) <= MOST_POINTS + 2
    assert {(12_345.0, 99.0), (54_321.0, 0.0)} <= set(kept)
    assert [x for x, _ in kept] == sorted(x for x, _ in kept)
    assert thinned(points[:MOST_POINTS]) == points[:MOST_POINTS]

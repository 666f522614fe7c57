"""The curves as a picture: plain SVG, one plot under the other."""

from collections.abc import Iterator, Sequence
from math import floor, log10
from xml.sax.saxutils import escape

from bench.picture import STYLE
from bench.scale.part import Chart

WIDTH = 820
LEFT, RIGHT, PLOT_HEIGHT, CHART_HEIGHT = 80, 190, 180, 270
COLOURS = ("#2f7de1", "#e08a1e", "#2a9d74", "#8e5bd0", "#d64550", "#d9b310", "#6b7c93")
STEPS = (1, 2, 2.5, 5, 10)
MOST_TICKS = 6


def draw(charts: Sequence[Chart]) -> str:
    """The whole picture."""
    height = CHART_HEIGHT * len(charts) + 30
    body = "\n".join(part for number, chart in enumerate(charts) for part in _plot(chart, 40 + number * CHART_HEIGHT))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="Results of make bench-scale">\n<style>{STYLE}</style>\n'
        f'  <rect class="page" width="{WIDTH}" height="{height}" rx="8"/>\n{body}\n</svg>\n'
    )


def _plot(chart: Chart, top: int) -> Iterator[str]:
    points = [point for curve in chart.curves for point in curve.points]
    x_end = max((x for x, _ in points), default=0.0) or 1.0
    y_end = 1.1 * max([y for _, y in points] + [chart.limit or 0.0]) or 1.0
    bottom, width = top + 20 + PLOT_HEIGHT, WIDTH - LEFT - RIGHT

    def place(x: float, y: float) -> tuple[float, float]:
        return LEFT + width * x / x_end, bottom - PLOT_HEIGHT * y / y_end

    yield _text(24, top, chart.title, "title")
    for y in ticks(y_end):
        up = place(0, y)[1]
        yield f'  <line x1="{LEFT}" x2="{LEFT + width}" y1="{up:.1f}" y2="{up:.1f}" stroke="#66727f" opacity="0.3"/>'
        yield _text(LEFT - 8, up + 4, f"{y:,g}", "small", "end")
    for x in ticks(x_end):
        yield _text(place(x, 0)[0], bottom + 16, f"{x:,g}", "small", "middle")
    yield _text(LEFT + width / 2, bottom + 34, chart.x, "small", "middle")
    yield _text(LEFT + width + 14, top + 24, chart.y, "small")
    if chart.limit is not None:
        up = place(0, chart.limit)[1]
        yield (
            f'  <line x1="{LEFT}" x2="{LEFT + width}" y1="{up:.1f}" y2="{up:.1f}" stroke="#d64550" '
            'stroke-dasharray="5 4"/>'
        )
    for number, curve in enumerate(chart.curves):
        colour = COLOURS[number % len(COLOURS)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in curve.points))
        yield f'  <polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>'
        beside = top + 48 + 18 * number
        yield f'  <rect x="{LEFT + width + 14}" y="{beside - 9}" width="10" height="10" fill="{colour}"/>'
        yield _text(LEFT + width + 30, beside, curve.name, "small")


def _text(x: float, y: float, text: str, style: str, anchor: str = "start") -> str:
    return f'  <text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">{escape(text)}</text>'


def ticks(end: float) -> list[float]:
    """Round numbers from 0 to at most `end`, a few of them. end: above 0."""
    power = 10.0 ** floor(log10(end / MOST_TICKS))
    step = next(power * factor for factor in STEPS if end / (power * factor) <= MOST_TICKS)
    return [round(number * step, 12) for number in range(floor(end / step + 1e-9) + 1)]

"""The results as a picture: plain SVG, readable on light and on dark pages."""

from collections.abc import Iterator, Mapping, Sequence

from bench.latency import Latency
from bench.results import Results, cpu_model, cpu_per_thousand
from bench.table import KIND_ORDER
from loadgen.reporting.plots import box, segment, text

WIDTH = 820
LEFT, BAR_WIDTH = 170, 470
ROW = 34

TITLES = {"naive": "naive Celery chain", "loop": "loop without a queue", "ours": "openchannel"}
_SIDE_COLOURS = {"naive": "#9aa5b1", "loop": "#6b7c93", "ours": "#2f7de1"}
_KIND_COLOURS = {
    "web": "#2f7de1",
    "worker": "#e08a1e",
    "courier": "#d9b310",
    "clock": "#8e5bd0",
    "postgres": "#2a9d74",
    "valkey": "#d64550",
    "driver": "#c3cad2",
}
STYLE = """
    text { font: 13px system-ui, sans-serif; fill: #24303c }
    .title { font-size: 16px; font-weight: 600 }
    .small { font-size: 11px; fill: #66727f }
    .page { fill: #ffffff }
    @media (prefers-color-scheme: dark) {
        text { fill: #e3e8ed } .small { fill: #9aa5b1 } .page { fill: #161b22 }
    }
"""


def draw(results: Results) -> str:
    """The whole picture."""
    parts = list(_Page(results).parts())
    height = max(bottom for bottom, _ in parts) + 24
    body = "\n".join(f"  {part}" for _, part in parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="Results of make bench">\n<style>{STYLE}</style>\n'
        f'  <rect class="page" width="{WIDTH}" height="{height}" rx="8"/>\n{body}\n</svg>\n'
    )


_Part = tuple[int, str]
"""Where it ends, from the top, and what it is."""


class _Page:
    def __init__(self, results: Results) -> None:
        self._results = results
        self._y = 32

    def parts(self) -> Iterator[_Part]:
        results = self._results
        sides = results.of_sides()
        yield self._text(
            24, f"The same {len(results.stream.messages):,} messages over HTTP, all on one machine", "title"
        )
        self._y += 18
        yield self._text(24, f"{cpu_model()}; every message durable, every side checked against an oracle", "small")
        self._y += 34
        yield self._text(24, "messages per second (each round a mark)")
        yield from self._throughput({side: [made.rate for made in rounds] for side, rounds in sides.items()})
        self._y += 36
        yield self._text(24, "CPU seconds per 1,000 messages")
        yield from self._cpu({side: cpu_per_thousand(rounds) for side, rounds in sides.items()})
        measured = [("at rest", results.rest), ("half load", results.half), ("knee", results.knee)]
        if results.half:
            self._y += 36
            yield self._text(24, "openchannel: from the planned time to the last step")
            yield from self._latencies([(name, latency) for name, latency in measured if latency])

    def _throughput(self, rates: Mapping[str, Sequence[float]]) -> Iterator[_Part]:
        longest = max(max(values) for values in rates.values())
        ours = self._results.throughput("ours")
        for side, values in rates.items():
            self._y += ROW
            middle = self._results.throughput(side) or 0.0
            note = f"{middle:,.0f}"
            if ours and side != "ours":
                note += f"   (openchannel: {ours / middle:,.1f} times)"
            yield self._text(24, TITLES[side])
            yield self._bar(LEFT, BAR_WIDTH * middle / longest, _SIDE_COLOURS[side])
            for value in values:
                x = LEFT + BAR_WIDTH * value / longest
                yield self._y, segment(x, self._y - 17, x, self._y + 7, 'stroke="#66727f"')
            yield self._text(LEFT + BAR_WIDTH * max(values) / longest + 8, note)

    def _cpu(self, costs: Mapping[str, Mapping[str, float]]) -> Iterator[_Part]:
        longest = max(sum(cost.values()) for cost in costs.values()) or 1.0
        for side, cost in costs.items():
            self._y += ROW
            yield self._text(24, TITLES[side])
            x = float(LEFT)
            for kind in KIND_ORDER:
                width = BAR_WIDTH * cost.get(kind, 0.0) / longest
                yield self._bar(x, width, _KIND_COLOURS[kind])
                x += width
            yield self._text(x + 8, f"{sum(cost.values()):,.2f}")
        self._y += 26
        x = LEFT
        for kind in KIND_ORDER:
            yield self._y, box(x, self._y - 9, 10, 10, f'fill="{_KIND_COLOURS[kind]}"')
            yield self._text(x + 14, kind, "small")
            x += 82

    def _latencies(self, measured: Sequence[tuple[str, Latency]]) -> Iterator[_Part]:
        longest = max(latency.p99 for _, latency in measured) or 1.0
        for name, latency in measured:
            self._y += ROW
            yield self._text(24, f"{name}, {latency.rate:,.0f}/s")
            yield self._bar(LEFT, BAR_WIDTH * latency.p99 / longest, "#a9c9f3")
            yield self._bar(LEFT, BAR_WIDTH * latency.p50 / longest, _SIDE_COLOURS["ours"])
            note = f"p50 {1000 * latency.p50:,.0f} ms, p99 {1000 * latency.p99:,.0f} ms"
            yield self._text(LEFT + BAR_WIDTH * latency.p99 / longest + 8, note)

    def _text(self, x: float, words: str, style: str = "") -> _Part:
        return self._y, text(x, self._y, words, style)

    def _bar(self, x: float, width: float, colour: str) -> _Part:
        return self._y, box(x, self._y - 14, width, 18, f'fill="{colour}"')

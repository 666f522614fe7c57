"""Plots as SVG text: lines over axes. Colours and fonts are the style sheet's of the page around them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from loadgen.reporting.axes import Axis
from loadgen.reporting.quantities import printable

WIDTH, HEIGHT = 760, 300
LEFT, RIGHT, TOP, BOTTOM = 86, 22, 14, 46
COLOURS = 8
MOST_POINTS = 600

Point = tuple[float, float | None]
"""x and y; None or NaN breaks the line."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line. colour: a number, taken modulo COLOURS. dashed: so that colour is not all that tells lines apart."""

    name: str
    points: Sequence[Point]
    colour: int
    dashed: bool = False

    @property
    def style(self) -> str:
        """Its classes in the style sheet."""
        return f"line c{self.colour % COLOURS}" + (" dashed" if self.dashed else "")


@dataclass(frozen=True, slots=True)
class Plot:
    """key: unique on its page. description: for those who do not see it. shaded: up to this x, if above the lowest."""

    key: str
    title: str
    description: str
    x: Axis
    y: Axis
    series: Sequence[Series]
    shaded: float = 0.0

    @property
    def is_shaded(self) -> bool:
        """Whether a part of it is."""
        return self.shaded > self.x.low


def text(x: float, y: float, words: str, style: str = "", anchor: str = "") -> str:
    """A text element; `words` are escaped."""
    attributes = (f' class="{style}"' if style else "") + (f' text-anchor="{anchor}"' if anchor else "")
    return f'<text x="{x:.1f}" y="{y:.1f}"{attributes}>{escape(printable(words))}</text>'


def box(x: float, y: float, width: float, height: float, attributes: str) -> str:
    """A rectangle."""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" {attributes}/>'


def segment(x1: float, y1: float, x2: float, y2: float, attributes: str) -> str:
    """A straight line."""
    return f'<line x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}" {attributes}/>'


def draw(plot: Plot) -> str:
    """The plot as an `svg` element; an empty one says so."""
    title, description = f"{plot.key}-title", f"{plot.key}-description"
    body = [*_shade(plot), *_grid(plot)]
    lines = [line for series in plot.series for line in _line(plot, series)]
    body += lines or [text(_middle_x(), (TOP + HEIGHT - BOTTOM) / 2, "nothing was measured", "empty", "middle")]
    inner = "\n".join(f"  {part}" for part in body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f"aria-labelledby={quoteattr(f'{title} {description}')}>\n"
        f"  <title id={quoteattr(title)}>{escape(printable(plot.title))}</title>\n"
        f"  <desc id={quoteattr(description)}>{escape(printable(plot.description))}</desc>\n{inner}\n</svg>"
    )


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> Sequence[Point]:
    """At most about so many points: of each stretch the lowest and the highest, so that no peak is lost.

    A gap shorter than a stretch is closed.
    """
    if len(points) <= most:
        return points
    stretch = math.ceil(2 * len(points) / most)
    kept: list[Point] = []
    for start in range(0, len(points), stretch):
        part = points[start : start + stretch]
        measured = [(y, place) for place, (_, y) in enumerate(part) if _is_measured(y)]
        places = {min(measured)[1], max(measured)[1]} if measured else {0}
        kept += [part[place] for place in sorted(places)]
    return kept


def _grid(plot: Plot) -> Iterator[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for value, words in plot.y.ticks:
        y = _y(plot, value)
        yield segment(LEFT, y, right, y, 'class="grid"')
        yield text(LEFT - 8, y + 4, words, "tick", "end")
    for value, words in plot.x.ticks:
        x = _x(plot, value)
        yield segment(x, bottom, x, bottom + 5, 'class="axis"')
        yield text(x, bottom + 18, words, "tick", "middle")
    yield segment(LEFT, bottom, right, bottom, 'class="axis"')
    yield text(_middle_x(), HEIGHT - 8, plot.x.title, "axis-title", "middle")
    middle = (TOP + bottom) / 2
    yield (f'<g transform="rotate(-90 14 {middle:.1f})">{text(14, middle, plot.y.title, "axis-title", "middle")}</g>')


def _shade(plot: Plot) -> Iterator[str]:
    if plot.is_shaded:
        yield box(LEFT, TOP, _x(plot, plot.shaded) - LEFT, HEIGHT - BOTTOM - TOP, 'class="shade"')


def _line(plot: Plot, series: Series) -> Iterator[str]:
    """One path of all stretches without a gap; a point between two gaps is a dot."""
    places: list[tuple[float, float] | None] = [
        (_x(plot, x), _y(plot, y)) if y is not None and _is_measured(y) else None for x, y in thinned(series.points)
    ]
    moves, last = [], None
    for place in places:
        if place is not None:
            moves.append(f"{'M' if last is None else 'L'}{place[0]:.1f} {place[1]:.1f}")
        last = place
    name = f"<title>{escape(printable(series.name))}</title>"
    if moves:
        yield f'<path class="{series.style}" d="{"".join(moves)}">{name}</path>'
    for before, place, after in zip([None, *places], places, [*places[1:], None], strict=False):
        if place is not None and before is None and after is None:
            yield f'<circle class="{series.style} dot" cx="{place[0]:.1f}" cy="{place[1]:.1f}" r="3">{name}</circle>'


def _is_measured(y: float | None) -> bool:
    return y is not None and math.isfinite(y)


def _x(plot: Plot, value: float) -> float:
    return LEFT + plot.x.share(value) * (WIDTH - LEFT - RIGHT)


def _y(plot: Plot, value: float) -> float:
    return HEIGHT - BOTTOM - plot.y.share(value) * (HEIGHT - BOTTOM - TOP)


def _middle_x() -> float:
    return (LEFT + WIDTH - RIGHT) / 2

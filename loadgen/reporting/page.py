"""A report as one HTML page that loads nothing: its style and its plots are in it, and there is no script."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from html import escape
from importlib.resources import files

from loadgen.report_data import Report
from loadgen.reporting import words
from loadgen.reporting.charts import charts
from loadgen.reporting.plots import Plot, draw
from loadgen.reporting.quantities import printable
from loadgen.reporting.words import Table

_TITLE = "Load test of openchannel"


def page(report: Report) -> str:
    """The whole document. Whatever comes from the report is escaped."""
    style = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    body = "\n".join(_body(report))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_TITLE}: {_text(words.verdict_line(report.verdict))}</title>\n"
        f"<style>\n{style}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _body(report: Report) -> Iterator[str]:
    started = datetime.fromtimestamp(report.started_at, UTC)
    kind = {True: "good", False: "bad", None: ""}[words.is_good(report.verdict)]
    yield f"<h1>{_TITLE}</h1>"
    yield f'<p class="faint">openchannel {_text(report.openchannel)}, started {started:%Y-%m-%d %H:%M:%S} UTC</p>'
    yield f'<p class="verdict {kind}"><strong>{_text(words.verdict_line(report.verdict))}</strong></p>'
    yield f"<p>{_text(words.throughput_line(report))}.</p>"
    if report.drain is not None:
        yield f"<p>{_text(words.drain_line(report))}.</p>"
    yield _table(words.latency_table(report))
    if report.trials:
        yield _table(words.trials_table(report))
    yield '<h2>Over time</h2>\n<div class="side-by-side">'
    yield from map(_figure, charts(report))
    yield "</div>\n<h2>Verdict</h2>"
    yield _table(words.findings_table(report.verdict), wordy=True)
    yield '<div class="side-by-side">'
    yield from map(_table, words.number_tables(report))
    yield from (_table(table) for table in (words.cpu_table(report), words.lag_table(report)) if table.rows)
    yield '</div>\n<h2>The run</h2>\n<div class="side-by-side">'
    yield _named("Settings", report.settings)
    yield _named("Machine", report.machine)
    yield "</div>"


def _figure(plot: Plot) -> str:
    swatches = [(f'<path class="{series.style}" d="M1 5H25"/>', series.name) for series in plot.series]
    if plot.is_shaded:
        swatches.append(('<rect class="shade" width="26" height="10"/>', "warm-up, not measured"))
    legend = "".join(
        f'<li><svg viewBox="0 0 26 10" aria-hidden="true">{swatch}</svg>{_text(name)}</li>' for swatch, name in swatches
    )
    return (
        f"<figure>\n<figcaption>{_text(plot.title)}<span>{_text(plot.description)}</span></figcaption>\n"
        + (f'<ul class="legend">{legend}</ul>\n' if legend else "")
        + f"{draw(plot)}\n</figure>"
    )


def _table(table: Table, *, wordy: bool = False) -> str:
    """wordy: the last column holds sentences."""
    last = len(table.columns) - 1 if wordy else None
    head = "".join(f"<th{_words(place == last)}>{_text(column)}</th>" for place, column in enumerate(table.columns))
    rows = []
    for number, row in enumerate(table.rows):
        bad = number in table.bad
        cells = "".join(_cell(value, bad=bad and place < 2, words=place == last) for place, value in enumerate(row))
        rows.append(f"<tr>{cells}</tr>\n")
    return (
        f'<div class="scroll"><table>\n<caption>{_text(table.title)}</caption>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{''.join(rows)}</tbody>\n</table></div>"
    )


def _named(title: str, values: Mapping[str, object]) -> str:
    return _table(Table(title, ("name", "value"), [(name, str(value)) for name, value in values.items()]), wordy=True)


def _cell(value: str, *, bad: bool, words: bool) -> str:
    classes = " ".join(name for name, given in (("bad", bad), ("words", words)) if given)
    return f'<td class="{classes}">{_text(value)}</td>' if classes else f"<td>{_text(value)}</td>"


def _words(given: bool) -> str:
    return ' class="words"' if given else ""


def _text(value: str) -> str:
    return escape(printable(value))

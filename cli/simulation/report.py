"""A comparison for people: one table for each open channel, and a sentence."""

from collections.abc import Callable

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.simulation.comparison import (
    ComparedOpenChannel,
    Comparison,
    Three,
    handovers_lost,
    number,
    seconds,
    seconds_at_limit,
    times_at_limit,
)
from cli.simulation.period import shown
from cli.tracker.opening import shown as printable
from tracker.simulation import OpenChannelFigures

_Figure = Callable[[OpenChannelFigures], float | None]
_Shown = Callable[[float | None], str]

_FIGURES: tuple[tuple[str, _Figure, _Shown], ...] = (
    ("dialogs that began", lambda one: one.arrivals, number),
    ("until an operator had it: median", lambda one: one.to_assignment.median, seconds),
    ("  nine of ten within", lambda one: one.to_assignment.p90, seconds),
    ("  longest", lambda one: one.to_assignment.longest, seconds),
    ("until it was accepted: median", lambda one: one.to_acceptance.median, seconds),
    ("  nine of ten within", lambda one: one.to_acceptance.p90, seconds),
    ("  longest", lambda one: one.to_acceptance.longest, seconds),
    ("hand-overs lost", handovers_lost, number),
    ("times somebody reached a limit", times_at_limit, number),
    ("time at a limit, added up", seconds_at_limit, seconds),
    ("longest backlog", lambda one: one.longest_backlog, number),
    ("without an operator at the end", lambda one: one.never_assigned, number),
    ("cut off: still open at the end", lambda one: one.cut_off, number),
)


def report(comparison: Comparison) -> RenderableType:
    """All of it."""
    period = comparison.period
    source = printable(comparison.source)
    title = f"{shown(period.since)} to {shown(period.until)}, replayed as the desk is now and with {source}"
    notes = [Text(f"Note: {printable(note)}.", style="yellow") for note in comparison.notes]
    tables = [_table(source, name, one) for name, one in comparison.open_channels()]
    return Group(Text(title), *notes, *tables, Text(printable(comparison.summary()), style="bold"))


def _table(source: str, name: str, one: ComparedOpenChannel) -> Table:
    # A plain string is read as markup: names are people's, and may hold anything.
    table = Table(box=box.SIMPLE_HEAD, title=Text(printable(name), style="bold"), title_justify="left")
    table.add_column(Text("dialogs given to"), no_wrap=True)
    for column in ("really", "simulated now", f"with {source}", "difference"):
        table.add_column(Text(column), justify="right")
    for operator, (really, now, desk) in one.operators():
        three = Three(really.assignments, now.assignments, desk.assignments)
        table.add_row(Text(printable(operator)), *_cells(three, number))
    table.add_section()
    for what, figure, show in _FIGURES:
        table.add_row(Text(what), *_cells(one.of(figure), show))
    return table


def _cells(three: Three, show: _Shown) -> tuple[Text, Text, Text, Text]:
    difference = three.difference
    sign = "+" if difference is not None and round(difference) > 0 else ""
    changed = "" if difference is not None and round(difference) == 0 else sign + show(difference)
    return Text(show(three.really)), Text(show(three.now)), Text(show(three.desk)), Text(changed)

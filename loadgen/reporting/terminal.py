"""A report in a terminal: the verdict first."""

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable
from rich.text import Text

from loadgen.report_data import Report
from loadgen.reporting import words
from loadgen.reporting.quantities import printable
from loadgen.reporting.words import Table


def show(report: Report, console: Console) -> None:
    """Print the verdict, then throughput, latency, lag and CPU."""
    colour = {True: "green", False: "red", None: "yellow"}[words.is_good(report.verdict)]
    console.print(Text(printable(words.verdict_line(report.verdict)), f"bold {colour}"))
    if not report.verdict.balances:
        _print(console, words.findings_table(report.verdict))
    console.print(Text(words.throughput_line(report)))
    if report.drain is not None:
        console.print(Text(words.drain_line(report)))
    refused = {status: number for status, number in report.answers.items() if not status.startswith("2")}
    if refused:
        answers = ", ".join(f"{number:,} times {status}" for status, number in refused.items())
        console.print(Text(f"Answers that were not 2xx (0: none came): {printable(answers)}", "yellow"))
    for table in (
        words.latency_table(report),
        words.trials_table(report),
        words.lag_table(report),
        words.cpu_table(report),
    ):
        if table.rows:
            _print(console, table)


def _print(console: Console, table: Table) -> None:
    shown = RichTable(title=escape(table.title), box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
    for number, column in enumerate(table.columns):
        wordy = number == 0 or column == "examples"
        shown.add_column(column, justify="left" if wordy else "right", overflow="fold")
    for number, row in enumerate(table.rows):
        shown.add_row(*(Text(printable(cell)) for cell in row), style="red" if number in table.bad else "")
    console.print(shown)

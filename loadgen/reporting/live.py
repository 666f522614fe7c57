"""What a load test shows while it runs: a live table in a terminal, a plain line now and then elsewhere."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich import box
from rich.console import Console, RenderableType
from rich.live import Live as RichLive
from rich.table import Table
from rich.text import Text

from loadgen.reporting.quantities import amount, duration, printable

LINE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Progress:
    """What is known at one moment of a test.

    phase: in words, `warm-up`. seconds: since the first planned message. of_seconds: how long messages are due.
    rate: messages finished per second of late. The percentiles are of the last seconds, None where nothing came;
    those to the last step are not known before the end.
    lag: since when the oldest due item of each step has waited. errors: what went wrong by name, as `503`.
    """

    phase: str
    seconds: float
    of_seconds: float
    planned: int
    sent: int
    answered: int
    finished: int
    rate: float
    answered_p50: float | None = None
    answered_p99: float | None = None
    lag: Mapping[str, float] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)


class Live:
    """Shows progress on a console. Use it as a context."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = RichLive(console=console, auto_refresh=False) if _is_screen(console) else None
        self._next = 0.0
        self._phase = ""

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, progress: Progress) -> None:
        """Show this moment. Elsewhere than in a terminal: not if a line of this phase has been written just before."""
        if self._live is not None:
            self._live.update(live_table(progress), refresh=True)
            return
        now = time.monotonic()
        if now >= self._next or progress.phase != self._phase:
            self._next, self._phase = now + LINE_SECONDS, progress.phase
            self._console.print(Text(printable(plain_line(progress))), soft_wrap=True)


def plain_line(progress: Progress) -> str:
    """One line without colours."""
    line = (
        f"{progress.seconds:5.0f}s {progress.phase}: planned={progress.planned} sent={progress.sent} "
        f"answered={progress.answered} finished={progress.finished} rate={progress.rate:.0f}/s "
        f"2xx p50={duration(progress.answered_p50)} p99={duration(progress.answered_p99)}"
    )
    lag = {step: seconds for step, seconds in progress.lag.items() if seconds}
    if lag:
        line += f" lag={','.join(f'{step}:{duration(seconds)}' for step, seconds in lag.items())}"
    if progress.errors:
        line += f" errors={','.join(f'{name}:{number}' for name, number in progress.errors.items())}"
    return line


def live_table(progress: Progress) -> RenderableType:
    """About 12 lines."""
    title = Text.assemble(
        ("openchannel load", "bold"),
        f"  {progress.phase}  {progress.seconds:.0f} of {progress.of_seconds:.0f} s  {amount(round(progress.rate))}/s",
    )
    whole = Table(box=box.ROUNDED, title=title, show_header=False, border_style="blue")
    whole.add_column()
    columns = Table.grid(padding=(0, 4))
    columns.add_row(_counts(progress), _latencies(progress), _lag(progress))
    whole.add_row(columns)
    if progress.errors:
        whole.add_section()
        errors = ", ".join(f"{name} {number:,} times" for name, number in progress.errors.items())
        whole.add_row(Text(f"errors: {printable(errors)}", "red"))
    return whole


def _counts(progress: Progress) -> Table:
    table = _plain_table("messages", "")
    for name in ("planned", "sent", "answered", "finished"):
        table.add_row(name, f"{getattr(progress, name):,}")
    behind = progress.planned - progress.sent
    table.add_row(Text("not sent yet", "dim"), Text(f"{behind:,}", "yellow" if behind > progress.rate else "dim"))
    return table


def _latencies(progress: Progress) -> Table:
    table = _plain_table("latency", "p50", "p99")
    table.add_row("to the 2xx", duration(progress.answered_p50), duration(progress.answered_p99))
    return table


def _lag(progress: Progress) -> Table:
    table = _plain_table("lag of the step", "")
    for step, seconds in progress.lag.items():
        table.add_row(Text(printable(step)), duration(seconds))
    if not progress.lag:
        table.add_row(Text("not known", "dim"), "")
    return table


def _plain_table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right", no_wrap=True)
    return table


def _is_screen(console: Console) -> bool:
    return console.is_terminal and not console.is_dumb_terminal

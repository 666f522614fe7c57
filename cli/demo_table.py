"""What the demo shows: one live table in a terminal, plain lines elsewhere. Pure: numbers in, text out."""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from crm_store.overview import DialogChange, OperatorLoad, Overview
from runtime.child import ChildState, ChildStatus

WIDTH = 104
LATEST = 6
MOST_OPERATORS = 10

_LEDGER_COLOURS = {
    "accepted": "cyan",
    "done": "green",
    "pending": "yellow",
    "ignored": "dim",
    "dead": "red",
    "discarded": "dim",
}
_STATUS_COLOURS = {"queued": "yellow", "offered": "magenta", "assigned": "cyan", "accepted": "green", "closed": "dim"}


@dataclass(frozen=True, slots=True)
class Deliveries:
    """What the custom channel's own server has received: see CallbackServer."""

    received: int = 0
    repeated: int = 0
    unproved: int = 0


@dataclass(frozen=True, slots=True)
class Frame:
    """Everything that is shown at one moment. rates: per second, by the ledger's names. token_from: where it stands."""

    seconds: float
    phase: str
    overview: Overview
    rates: Mapping[str, float]
    processes: Sequence[ChildStatus]
    deliveries: Deliveries
    repeats: int
    docs_url: str
    token_from: str


def live_table(frame: Frame) -> RenderableType:
    """The live table, about 25 lines by WIDTH characters."""
    top = Table.grid(expand=True, padding=(0, 2))
    top.add_column(ratio=10)
    top.add_column(ratio=11)
    top.add_row(Group(_messages(frame), _cards(frame.overview)), _operators(frame.overview.operators))
    whole = Table(box=box.ROUNDED, title=_title(frame), expand=True, show_header=False, border_style="blue")
    whole.add_column()
    whole.add_row(top)
    whole.add_section()
    whole.add_row(_changes(frame.overview.changes))
    whole.add_section()
    whole.add_row(_footer(frame))
    return whole


def plain_line(frame: Frame) -> str:
    """One line without colours."""
    view = frame.overview
    cards = ",".join(f"{kind}:{number}" for kind, number in view.cards.items()) or "none"
    running = sum(process.state is ChildState.READY for process in frame.processes)
    return (
        f"{frame.seconds:5.0f}s {frame.phase}: {view.ledger} rate={frame.rates.get('done', 0):.0f}/s "
        f"cards={cards} waiting={view.waiting} held={sum(one.held for one in view.operators)} "
        f"online={sum(one.online for one in view.operators)}/{len(view.operators)} "
        f"delivered={frame.deliveries.received} processes={running}/{len(frame.processes)} "
        f"restarts={sum(process.restarts for process in frame.processes)}"
    )


def as_svg(frame: Frame, title: str) -> str:
    """The live table as a picture that loads nothing from elsewhere."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(live_table(frame))
    return re.sub(r"@font-face\s*\{.*?\}\s*", "", console.export_svg(title=title), flags=re.DOTALL)


def _title(frame: Frame) -> Text:
    minutes, seconds = divmod(int(frame.seconds), 60)
    return Text.assemble(("openchannel", "bold"), f"  {frame.phase}  {minutes:02}:{seconds:02}")


def _plain_table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, expand=True, padding=(0, 1), show_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right", no_wrap=True)
    return table


def _messages(frame: Frame) -> Table:
    table = _plain_table("messages", "in all", "a second")
    for name, colour in _LEDGER_COLOURS.items():
        rate = frame.rates.get(name)
        shown = f"{rate:.1f}" if rate is not None and name != "pending" else ""
        table.add_row(Text(name, colour), f"{getattr(frame.overview.ledger, name):,}", shown)
    table.add_row(Text("sent twice by providers", "dim"), f"{frame.repeats:,}", "")
    return table


def _cards(view: Overview) -> Table:
    table = _plain_table("cards", "")
    for kind, number in view.cards.items():
        table.add_row(kind, f"{number:,}")
    if not view.cards:
        table.add_row(Text("none yet", "dim"), "")
    return table


def _operators(operators: Sequence[OperatorLoad]) -> Group:
    table = _plain_table("operators", "dialogs now", "in all")
    for operator in operators[:MOST_OPERATORS]:
        dot = ("● ", "green") if operator.online else ("○ ", "red")
        name = Text.assemble(dot, (operator.name, "" if operator.online else "dim"))
        table.add_row(name, f"{operator.held:,}", f"{operator.in_all:,}")
    if len(operators) > MOST_OPERATORS:
        table.add_row(Text(f"and {len(operators) - MOST_OPERATORS} more", "dim"), "", "")
    return Group(table)


def _changes(changes: Sequence[DialogChange]) -> Table:
    table = Table.grid(padding=(0, 2))
    for _ in range(5):
        table.add_column(no_wrap=True)
    for change in changes[:LATEST]:
        table.add_row(
            Text(f"{change.at:%H:%M:%S}", "dim"),
            f"dialog {change.dialog_id}",
            Text(change.channel_kind, "dim"),
            Text(_words(change), _STATUS_COLOURS.get(change.became, "")),
            Text(_why(change), "dim"),
        )
    if not changes:
        table.add_row(Text("nothing has happened yet", "dim"), "", "", "", "")
    return table


def _words(change: DialogChange) -> str:
    status = change.became.replace("_", " ")
    return f"{status}: {change.operator}" if change.operator and change.became != "queued" else status


def _why(change: DialogChange) -> str:
    who = change.actor.partition(":")[0]
    return f"{who}, {change.cause}" if change.cause else who


def _footer(frame: Frame) -> Group:
    view, statuses = frame.overview, frame.overview.dialogs
    dialogs = Text.assemble(
        ("dialogs ", "bold"),
        (f"{statuses.get('queued', 0):,} in the backlog", "yellow"),
        f", {statuses.get('offered', 0):,} offered, {sum(one.held for one in view.operators):,} with operators, ",
        f"{statuses.get('closed', 0):,} closed",
    )
    unsendable = view.deliveries.get("held", 0) + view.deliveries.get("expired", 0)
    delivered = Text.assemble(
        ("answers ", "bold"),
        f"{frame.deliveries.received:,} delivered, {view.deliveries.get('pending', 0):,} under way, ",
        f"{unsendable:,} over channels that cannot send yet",
    )
    processes = Text.assemble(("processes ", "bold"))
    for process in frame.processes:
        processes.append(process.name, "green" if process.state is ChildState.READY else "red")
        processes.append(f" restarted {process.restarts}×  " if process.restarts else "  ", "red")
    where = Text.assemble(("API docs ", "bold"), (frame.docs_url, "underline"), f"  token: {frame.token_from}")
    return Group(dialogs, delivered, processes, where)

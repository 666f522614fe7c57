"""What an evaluation shows: how far it is, on a terminal, and its figures with their meaning."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from rich import box
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from loadgen.evaluation.verdict import Verdict

MOST_CAUSES = 6
MOST_EXAMPLES = 5
MOST_CHATS = 6


@dataclass(frozen=True, slots=True)
class Shown:
    """The line of a progress."""

    bar: Progress
    task: TaskID

    def phase(self, text: str) -> None:
        """What is done now."""
        self.bar.update(self.task, description=text)

    def done(self, messages: int) -> None:
        """So many messages are through."""
        self.bar.update(self.task, completed=messages)


@contextmanager
def progress_of(console: Console, messages: int) -> Iterator[Shown]:
    """How far it is; shown on a terminal only."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield Shown(bar, bar.add_task("", total=messages))


def report(verdict: Verdict) -> RenderableType:
    """The figures as a table, the causes below it, and one line of judgement."""
    figures, rules = verdict.figures, verdict.rules
    table = Table(box=box.SIMPLE_HEAD, title=_title(verdict), title_justify="left")
    for name in ("figure", "product", "rules"):
        table.add_column(name, justify="left" if name == "figure" else "right", no_wrap=True)
    table.add_column("meaning")
    rows = (
        ("deviations", figures.deviations, 0, "messages on another card than the rules say"),
        ("avoidable over-merges", figures.avoidable_over_merges, 0, "wrong pairs that the rules keep apart"),
        ("precision", figures.precision, rules.precision, "of two chats on one card, how often of one customer"),
        ("recall", figures.recall, rules.recall, "of two chats of one customer, how often on one card"),
        ("F0.5", figures.f05, rules.f05, "both in one figure; precision counts double"),
        ("B-cubed F", figures.bcubed_f, rules.bcubed_f, "both, as a mean over chats"),
        ("over-merge rate", figures.over_merge_rate, rules.over_merge_rate, "share of cards with several customers"),
        ("duplicates left", figures.duplicates_left, rules.duplicates_left, "cards beyond one per customer"),
    )
    for name, product, right, meaning in rows:
        table.add_row(name, _number(product), _number(right), meaning)
    causes = [
        _causes("Why cards hold several customers", verdict.causes["over_merges"]),
        _causes("Why customers have several cards", verdict.causes["duplicates"]),
    ]
    return Group(table, *causes, Text(), _judgement(verdict), *_examples(verdict))


def _title(verdict: Verdict) -> str:
    return (
        f"{verdict.messages:,} messages in {verdict.chats:,} chats of {verdict.customers:,} customers: "
        f"{verdict.cards:,} cards"
    )


def _number(figure: float) -> str:
    return f"{figure:,}" if isinstance(figure, int) else f"{figure:.4f}"


def _causes(what: str, shares: Mapping[str, float]) -> Text:
    named = ", ".join(f"{cause.replace('_', ' ')} {share:.0%}" for cause, share in list(shares.items())[:MOST_CAUSES])
    return Text(f"{what}: {named or 'none does'}")


def _examples(verdict: Verdict) -> list[Text]:
    """Where to look: chats that the product and the rules part differently."""
    return [
        Text("  " + ", ".join(f"{channel} {chat}" for channel, chat in chats[:MOST_CHATS]))
        for chats in verdict.deviating[:MOST_EXAMPLES]
    ]


def _judgement(verdict: Verdict) -> Text:
    if verdict.passed:
        return Text("Every message is on the card that the rules say.", style="green")
    return Text("The product departs from the rules, first in these chats:", style="red")

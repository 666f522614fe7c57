"""What a round has shown: how often each fault fired, and what does not balance."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Line:
    """One kind of fault. goal: how often it was to fire at the least; None: not to be had on this machine."""

    name: str
    about: str
    fired: int
    goal: int | None = 1

    @property
    def missed(self) -> bool:
        """Whether it fired too seldom."""
        return self.goal is not None and self.fired < self.goal


@dataclass(slots=True)
class Report:
    """A round. kills: processes killed in all. ends: how often a process ended by itself, by kind and exit code.

    problems: what does not balance, or kept the round from its end.
    """

    seed: int
    seconds: float = 0.0
    drained_after: float = 0.0
    kills: int = 0
    kills_goal: int = 0
    lines: list[Line] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)
    missing_pairs: list[str] = field(default_factory=list)
    ends: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        """Why the round is no proof; empty if it balances and every fault has fired."""
        found = list(self.problems)
        found += [f"{line.name} fired {line.fired} times, of {line.goal}" for line in self.lines if line.missed]
        if self.kills < self.kills_goal:
            found.append(f"{self.kills} kills, of {self.kills_goal}")
        return found

    def write(self, folder: Path) -> None:
        """`report.json` and `report.md`."""
        (folder / "report.json").write_text(
            json.dumps({**asdict(self), "failures": self.failures}, indent=2, default=str) + "\n"
        )
        (folder / "report.md").write_text(self.as_markdown())

    def as_markdown(self) -> str:
        """The table of docs/reliability.md."""
        rows = [f"| `{line.name}` | {line.about} | {_fired(line)} |" for line in self.lines]
        head = ["| fault | what happens | fired |", "| --- | --- | ---: |"]
        facts = [f"| {name} | {value:,} |" for name, value in self._facts().items()]
        return "\n".join([*head, *rows, "", "| | |", "| --- | ---: |", *facts, ""])

    def show(self, console: Console) -> None:
        """On a terminal."""
        table = Table(title=f"seed {self.seed}: {self.kills:,} kills in {self.seconds:,.0f} s", title_justify="left")
        for column in ("fault", "what happens"):
            table.add_column(column)
        table.add_column("fired", justify="right")
        for line in self.lines:
            table.add_row(line.name, line.about, f"[bold red]{_fired(line)}[/]" if line.missed else _fired(line))
        console.print(table)
        for name, value in self._facts().items():
            console.print(f"  {name}: {value:,}", highlight=False)
        _list(console, "processes that ended by themselves", [f"{what}: {n}" for what, n in self.ends.items()])
        _list(console, "pairs between which nobody died", self.missing_pairs)
        _list(console, "[bold red]what does not hold[/]", self.failures)

    def _facts(self) -> Mapping[str, int]:
        return {
            "kills in all": self.kills,
            "seconds": round(self.seconds),
            "seconds until everything was done": round(self.drained_after),
            **self.figures,
        }


def _fired(line: Line) -> str:
    return "not to be had here" if line.goal is None else f"{line.fired:,}"


def _list(console: Console, title: str, entries: Sequence[str], most: int = 40) -> None:
    if not entries:
        return
    console.print(f"{title}:")
    for entry in entries[:most]:
        console.print(f"  {entry}", highlight=False, markup=False, soft_wrap=True)
    if len(entries) > most:
        console.print(f"  and {len(entries) - most} more")

"""What `make bench-scale` writes down: the parts of this run, beside those of earlier runs that it left out."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.results import commit_of, cpu_model
from bench.scale.part import Bench, Chart, Curve, Outcome
from bench.scale.picture import draw

JSON_FILE, PICTURE_FILE = "scale.json", "scale.svg"


def entry(bench: Bench, outcome: Outcome, root: Path) -> dict[str, Any]:
    """A part as it stands in the JSON. root: of the repository."""
    return {
        "scale": bench.scale,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit_of(root),
        "machine": {"cpu": cpu_model(), "cores": os.cpu_count(), "system": platform.platform()},
        "goals": [asdict(goal) for goal in outcome.goals],
        "figures": outcome.figures,
        "charts": [asdict(chart) for chart in outcome.charts],
    }


def write(folder: Path, entries: Mapping[str, Any], order: Sequence[str]) -> None:
    """Put these parts into the files of a folder; other parts stay there as they were measured before."""
    file = folder / JSON_FILE
    before: dict[str, Any] = json.loads(file.read_text())["parts"] if file.exists() else {}
    merged = before | dict(entries)
    parts = {name: merged[name] for name in order if name in merged}
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"parts": parts}, indent=2) + "\n")
    (folder / PICTURE_FILE).write_text(draw([_chart(chart) for part in parts.values() for chart in part["charts"]]))


def show(console: Console, entries: Mapping[str, Any]) -> None:
    """All goals in a table."""
    table = Table(title="Goals")
    for header in ("part", "goal", "measured", "reached"):
        table.add_column(header)
    for name, part in entries.items():
        for goal in part["goals"]:
            table.add_row(name, goal["wanted"], goal["measured"], "yes" if goal["reached"] else "[bold red]no[/]")
    console.print(table)


def _chart(given: Mapping[str, Any]) -> Chart:
    curves = [Curve(curve["name"], [(x, y) for x, y in curve["points"]]) for curve in given["curves"]]
    return Chart(given["title"], given["x"], given["y"], curves, given["limit"])

"""Stories as trees on a terminal, or line by line where there is none."""

import sys
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from cli.tracker.explaining import PLAIN_WIDTH


def branch(tree: Tree, title: str, lines: Iterable[str], style: str = "") -> None:
    """A title with lines below it."""
    added = tree.add(Text(title, style=style))
    for line in lines:
        added.add(Text(line))


def section(tree: Tree, title: str, lines: Iterable[str]) -> None:
    """As `branch`, and nothing at all without lines."""
    told = list(lines)
    if told:
        branch(tree, title, told, style="bold")


def print_tree(tree: Tree) -> None:
    """On a terminal as wide as that is, otherwise a line is a line."""
    Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH).print(tree)

"""What is wrong with a desk's description, where, and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from config.settings import SettingsError

MOST_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is said: the field, and line and column from 1; both 0 if it does not come from a file."""

    field: str = ""
    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that has to be mended before the desk can be applied."""

    place: Place
    message: str


class DeskError(SettingsError):
    """A desk cannot be applied. The message names every problem with file, line, column and field."""

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        """source: the file's name, or the command that described the desk."""
        ordered = sorted(set(problems), key=lambda problem: (problem.place.line, problem.place.column, problem.message))
        lines = [_line(source, problem) for problem in ordered[:MOST_SHOWN]]
        if len(ordered) > MOST_SHOWN:
            lines.append(f"{source}: and {len(ordered) - MOST_SHOWN} more problems")
        super().__init__("\n".join(lines))
        self.problems = ordered


def nearest(wrong: str, known: Iterable[str]) -> str:
    """A hint at the known name that is meant, to be added to a message; empty if none is near."""
    by_folded = {name.casefold(): name for name in known}
    folded = wrong.casefold()
    found = get_close_matches(folded, by_folded, 1, cutoff=0.6)
    found = found or [name for name in by_folded if folded and name.startswith(folded)]
    return f'; did you mean "{by_folded[found[0]]}"?' if found else ""


def _line(source: str, problem: Problem) -> str:
    place = problem.place
    parts = [f"{source}:{place.line}:{place.column}" if place.line else source, place.field, problem.message]
    return ": ".join(part for part in parts if part)

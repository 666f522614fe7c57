"""Every rule of distribution and of the life of a dialog is named by a test that proves it."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

TESTS = Path(__file__).parent.parent
RULES = [*(f"D{n}" for n in range(1, 14)), *(f"S{n}" for n in range(1, 6))]
_RULE = re.compile(r"\b([DS])([0-9]+)(?:-\1?([0-9]+))?\b")


def named(docstring: str) -> set[str]:
    """The rules that a docstring names, `D2-D4` all three."""
    found: set[str] = set()
    for letter, first, last in _RULE.findall(docstring):
        found.update(f"{letter}{n}" for n in range(int(first), int(last or first) + 1))
    return found


def test_every_rule_is_named_by_a_test():
    """A rule without a test is a promise."""
    docstring = re.compile(r'def test_\w+\([^"]*?\)[^"]*?:\n\s+"""(.*?)"""', re.DOTALL)
    by_tests = set()
    for path in TESTS.rglob("test_*.py"):
        for text in docstring.findall(path.read_text(encoding="utf-8")):
            by_tests |= named(text)
    assert [rule for rule in RULES if rule not in by_tests] == []


def test_ranges_are_read():
    """The search itself finds what is there, and no more."""
    assert named("D2-D4, S5: as said; a D1000 is none") >= {"D2", "D3", "D4", "S5"}
    assert "D5" not in named("D2-D4")

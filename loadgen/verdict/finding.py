"""Findings, with a few examples of each."""

from collections.abc import Iterable

from loadgen.report_data import Finding

SHOWN = 5


def found(name: str, examples: Iterable[object]) -> Finding:
    """A finding; its number is that of the examples, of which a few are kept."""
    listed = [str(one) for one in examples]
    return Finding(name, len(listed), listed[:SHOWN])

"""Findings: what was seen, and what to do about it."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """From good to bad. A warning is a risk, or something to be looked at; what is broken does not work now."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """check: a stable name. action: what to do, empty if nothing."""

    check: str
    status: Status
    finding: str
    action: str = ""

    def as_json(self) -> dict[str, Any]:
        """All fields."""
        return asdict(self)


def ok(check: str, finding: str) -> Finding:
    """Nothing to do."""
    return Finding(check, Status.OK, finding)


def warning(check: str, finding: str, action: str) -> Finding:
    """A risk, or something to be looked at."""
    return Finding(check, Status.WARNING, finding, action)


def broken(check: str, finding: str, action: str) -> Finding:
    """It does not work now."""
    return Finding(check, Status.BROKEN, finding, action)


def worst(findings: Iterable[Finding]) -> Status:
    """The worst status."""
    order = list(Status)
    return max((finding.status for finding in findings), key=order.index, default=Status.OK)

"""What a desk's description changes, field by field. No secret's value is in it, nor any value of `config`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LONGEST_VALUE = 60


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field and what becomes of it, in words."""

    field: str
    change: str


@dataclass(frozen=True, slots=True)
class Change:
    """what: `open channel`, `department`, `operator` or `channel`."""

    what: str
    name: str
    added: bool
    fields: tuple[FieldChange, ...]

    def __str__(self) -> str:
        lines = [f'{self.what} "{self.name}": {"added" if self.added else "changed"}']
        return "\n".join([*lines, *(f"  {one.field}: {one.change}" for one in self.fields)])


def compare(was: Mapping[str, Any] | None, becomes: Mapping[str, Any]) -> list[FieldChange]:
    """Plain fields that differ; all that are set, for something new."""
    if was is None:
        return [FieldChange(field, _shown(value)) for field, value in becomes.items() if value not in (None, "", [])]
    return [
        FieldChange(field, f"{_shown(was[field])} -> {_shown(value)}")
        for field, value in becomes.items()
        if was[field] != value
    ]


def compare_lists(field: str, was: Sequence[str], becomes: Sequence[str]) -> list[FieldChange]:
    """Who was added and removed, and the new order if the order is all that changes."""
    if list(was) == list(becomes):
        return []
    parts = [
        *(f"+ {name}" for name in becomes if name not in was),
        *(f"- {name}" for name in was if name not in becomes),
    ]
    return [FieldChange(field, ", ".join(parts) if parts else f"in the order {', '.join(becomes)}")]


def compare_config(was: Mapping[str, Any], becomes: Mapping[str, Any]) -> list[FieldChange]:
    """Names only: what an adapter needs besides may be confidential."""
    parts = [
        *(f"+ {name}" for name in becomes if name not in was),
        *(f"- {name}" for name in was if name not in becomes),
        *(f"{name} changed" for name in becomes if name in was and was[name] != becomes[name]),
    ]
    return [FieldChange("config", ", ".join(parts))] if parts else []


def describe(changes: Iterable[Change]) -> str:
    """All changes, as `openchannel apply` prints them."""
    return "".join(f"{change}\n" for change in changes)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"

"""docs/desks.md has a row for each field of a desk's file, with the default that it has."""

import json
import re
from enum import Enum
from pathlib import Path

import pytest
from pydantic import BaseModel

from cli.desks.fields import ChannelFields, DepartmentFields, OpenChannelFields, OperatorFields

pytestmark = pytest.mark.unit

PAGE = Path(__file__).parents[2] / "docs" / "desks.md"
ELSEWHERE = {"kind": "required", "open_channel": "required", "name": "the key"}
"""Of channels, where the reader of files decides: a channel that is there already may leave them out."""


def rows(section: str) -> dict[str, tuple[str, str]]:
    """Default and meaning of each field in one of the page's tables."""
    page = PAGE.read_text(encoding="utf-8")
    part = page.split(f"### {section}\n")[1].split("\n##")[0]
    found = {}
    for line in part.splitlines():
        if line.startswith("| `"):
            names, default, meaning = (cell.strip() for cell in re.split(r" \| ", line.strip("|"), maxsplit=2))
            for name in re.findall(r"`(\w+)`", names):
                found[name] = (default, meaning)
    return found


def default_of(model: type[BaseModel], name: str) -> str:
    """As the page writes it."""
    field = model.model_fields[name]
    if field.is_required():
        return "required"
    value = field.default.value if isinstance(field.default, Enum) else field.default
    return (
        f"`{value}`" if isinstance(value, str) and value else "empty" if value in ("", {}) else f"`{json.dumps(value)}`"
    )


@pytest.mark.parametrize(
    ("section", "model"),
    [
        ("open_channels", OpenChannelFields),
        ("operators and departments", OperatorFields),
        ("operators and departments", DepartmentFields),
        ("channels", ChannelFields),
    ],
)
def test_every_field_has_a_row_with_its_default(section: str, model: type[BaseModel]) -> None:
    """Who writes a file finds what he may leave out, and what that means."""
    found = rows(section)
    assert model.model_fields.keys() - found.keys() == set()
    for name in model.model_fields:
        default, meaning = found[name]
        assert meaning, name
        expected = ELSEWHERE.get(name) if model is ChannelFields else None
        assert default == (expected or default_of(model, name)), name

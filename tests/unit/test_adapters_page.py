"""docs/adapters.md: its example of an adapter of one's own works as it stands there."""

import importlib
import re
import sys
import tomllib
from pathlib import Path

import pytest

from ingest.adapters.registry import GROUP, discover

pytestmark = pytest.mark.unit

PAGE = Path(__file__).parents[2] / "docs" / "adapters.md"


def blocks(language: str) -> list[str]:
    _, _, section = PAGE.read_text().partition("\n## Write your own adapter\n")
    return re.findall(rf"```{language}\n(.*?)```", section, flags=re.DOTALL)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The page's package, as an installer leaves it behind; returns the reference of its entry point."""
    (project,) = blocks("toml")
    declared = tomllib.loads(project)["project"]
    (reference,) = declared["entry-points"][GROUP].values()
    module = reference.partition(":")[0]
    (tmp_path / f"{module}.py").write_text(blocks("python")[0])
    metadata = tmp_path / f"{module}-{declared['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {declared['name']}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\npigeon = {reference}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield reference
    sys.modules.pop(module, None)


def test_the_example_is_found_by_its_entry_point(installed):
    """Its pyproject.toml makes a kind of channel of its class."""
    adapter = discover()["pigeon"]
    assert f"{type(adapter).__module__}:{type(adapter).__qualname__}" == installed


def test_the_examples_own_test_passes(installed):
    """The page's second block, run as a test."""
    importlib.import_module(installed.partition(":")[0])
    page: dict[str, object] = {"__name__": "page"}
    exec(compile(blocks("python")[1], str(PAGE), "exec"), page)
    tests = [function for name, function in page.items() if name.startswith("test_")]
    assert len(tests) == 2
    for function in tests:
        function()  # type: ignore[operator]


def test_every_kind_is_described():
    """The table of kinds names each of them."""
    table = PAGE.read_text().partition("\n## ")[0]
    assert set(discover()) <= set(re.findall(r"`([a-z]+)`", table))

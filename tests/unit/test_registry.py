"""Kinds of channels: those that are built in, and those that other packages add by entry point."""

import tomllib
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ingest.adapters import registry
from ingest.adapters.registry import ADAPTERS, BUILT_IN, GROUP, UnknownKindError, adapter_for, discover
from ingest.adapters.telegram import Telegram

pytestmark = pytest.mark.unit

OWN = {adapter.kind for adapter in BUILT_IN}
FAX = """
from ingest.adapters.telegram import Telegram

class Fax(Telegram):
    kind = "fax"
"""


@pytest.fixture
def add(tmp_path, monkeypatch):
    """Put a package with a module and entry points where Python looks for packages."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def _add(name: str, points: str, code: str = FAX) -> None:
        (tmp_path / f"{name}.py").write_text(code)
        metadata = tmp_path / f"{name}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[{GROUP}]\n{points}\n")

    return _add


def test_what_the_package_declares_is_what_is_built_in():
    """pyproject.toml and the code name the same adapters."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    built_in = {one.kind: f"{type(one).__module__}:{type(one).__qualname__}" for one in BUILT_IN}
    assert project["entry-points"][GROUP] == built_in


def test_another_package_adds_a_kind(add):
    """It is found by its metadata alone, and the built-in ones stay."""
    add("oc_fax_good", "fax = oc_fax_good:Fax")
    found = discover()
    assert set(found) == OWN | {"fax"}
    assert found["fax"].kind == "fax"


@pytest.mark.parametrize(
    ("point", "code"),
    [
        ("fax = {}:Fax", "raise RuntimeError('broken')"),
        ("fax = {}:Fax", "raise SystemExit(3)"),
        ("fax = {}:Fax", "import a_module_that_is_not_there"),
        ("fax = {}:Fax", "def Fax(): raise ValueError('broken')"),
        ("fax = {}:Missing", FAX),
        ("fax = not a reference", FAX),
        ("fax = {}:Fax", "Fax = 7"),
        ("fax = {}:Fax", "class Fax:\n    kind = 'fax'"),
        ("telefax = {}:Fax", FAX),
    ],
)
def test_a_broken_one_is_logged_and_left_out(add, request, point, code):
    """The web process goes on with the other kinds, and the log says which one is missing."""
    name = f"oc_fax_broken_{abs(hash((point, code)))}"
    add(name, point.format(name), code)
    with capture_logs() as logs:
        assert set(discover()) == OWN
    (line,) = logs
    assert line["event"] in {"adapter_not_loaded", "adapter_unfit"}
    assert line["kind"] in point


def test_a_built_in_kind_is_not_replaced(add):
    """Whoever can install a package cannot thereby read another channel's messages unnoticed."""
    add("oc_fax_taken", "telegram = oc_fax_taken:Fax")
    with capture_logs() as logs:
        assert type(discover()["telegram"]) is Telegram
    assert [line["event"] for line in logs] == ["adapter_kind_taken"]


def test_broken_metadata_costs_the_added_kinds_only(add):
    """A list of entry points that cannot be read leaves the built-in kinds."""
    add("oc_fax_metadata", "no equals sign")
    with capture_logs() as logs:
        assert set(discover()) >= OWN
    assert len(logs) <= 1


def test_nothing_is_looked_for_at_import(monkeypatch):
    """Packages are asked when the first kind is, and once."""
    asked: list[str] = []

    def points():
        asked.append("asked")
        return ()

    monkeypatch.setattr(registry, "_points", points)
    registered = registry._Registered()
    assert asked == []
    assert set(registered) == OWN
    assert len(registered) == len(OWN)
    assert registered["line"].kind == "line"
    assert asked == ["asked"]


def test_an_unknown_kind_is_named_with_those_that_there_are():
    """The error tells what could have been meant."""
    assert set(ADAPTERS) >= OWN
    with pytest.raises(UnknownKindError, match=r"'fax'.*twilio, viber, vk"):
        adapter_for("fax")

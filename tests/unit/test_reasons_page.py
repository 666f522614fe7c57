"""docs/api.md names every reason with which the API refuses."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from crm_store import errors
from crm_store.views.backlogs import Verdict
from ingest.mending import EditError
from tracker.deliveries import DeliveryState
from tracker.distribution import PassedOver

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
SOURCES = [*sorted((ROOT / "console").glob("*.py")), ROOT / "tracker" / "dialogs.py", ROOT / "tracker" / "presence.py"]
PLACES = {"ActRefusedError": 0, "ProblemError": 1, "_unauthorized": 0}
"""The place of the reason among the arguments."""


def reasons(path: Path) -> Iterator[str]:
    """Reasons that are raised in a module; those that are computed elsewhere are left out."""
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        if node.func.id == "unknown":
            (first, *_) = node.args
            assert isinstance(first, ast.Constant)
            assert isinstance(first.value, str)
            yield f"unknown_{first.value}"
        elif node.func.id in PLACES:
            reason = node.args[PLACES[node.func.id]]
            if isinstance(reason, ast.Constant):
                yield str(reason.value)
            elif isinstance(reason, ast.Name) and isinstance(getattr(module, reason.id, None), str):
                yield getattr(module, reason.id)


def test_every_reason_is_documented() -> None:
    """A program branches on `reason`: it has to know all of them."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    raised = {reason for path in SOURCES for reason in reasons(path)}
    raised |= {errors.DatabaseAwayError.reason, errors.CustomersMovedError.reason, errors.RowRefusedError.reason}
    raised |= {EditError.reason, *(refused.reason for refused in EditError.__subclasses__())}
    assert {"taken", "already_one", "unknown_review", "not_on_card", "no_token", "bad_identifier"} <= raised
    documented = set(re.findall(r"`([a-z_]+)`", page))
    assert raised - documented == set()


def test_every_reason_of_a_decision_is_documented() -> None:
    """D12: who reads a decision record finds each of its reasons, and each verdict on a backlog."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`([a-z_]+)`", page))
    assert {*PassedOver, *Verdict, *DeliveryState} - documented == set()

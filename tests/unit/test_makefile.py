"""What `make` offers."""

import subprocess
from pathlib import Path

import pytest

from bench.distribution import POLICIES

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]


def made(*arguments: str) -> str:
    """What `make` says."""
    return subprocess.run(["make", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def test_the_cost_of_a_plan_can_be_measured() -> None:
    """With one policy or the default; the list of targets names the policies that there are."""
    assert "python -m bench.distribution --policy strictly" in made("-n", "bench-distribution", "POLICY=strictly")
    assert "--policy" not in made("-n", "bench-distribution")
    (listed,) = (line for line in made("help").splitlines() if "bench-distribution" in line)
    assert listed.endswith(f"POLICY={'|'.join(POLICIES)}")

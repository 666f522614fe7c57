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


def test_the_proof_by_chaos_takes_its_seed_and_its_size() -> None:
    """Whoever has seen it fail can have the same faults again; the list of targets names what can be chosen."""
    command = made("-n", "chaos", "SEED=7", "KILLS=1000", "SECONDS=60", "FAULTS=flushall,kill-web")
    assert "python -m chaos --seed 7 --kills 1000" in command
    assert "--seconds 60 --faults flushall,kill-web" in command
    assert "--" not in made("-n", "chaos").partition("-m chaos")[2]
    (listed,) = (line for line in made("help").splitlines() if line.split()[:2] == ["make", "chaos"])
    assert "SEED=" in listed

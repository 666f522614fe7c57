"""`openchannel load` as its user has it: a stream in a file, played on a private system, measured and judged."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

REPOSITORY = Path(__file__).parents[2]


def load(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run it in a folder whose `.env` names servers that are not there."""
    (folder / ".env").write_text("OPENCHANNEL_DATABASE__URL=postgresql://nobody@127.0.0.1:1/none\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENCHANNEL_")}
    paths = os.pathsep.join(filter(None, [str(REPOSITORY), kept.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-m", "cli", "load", *arguments],
        cwd=folder,
        env={**kept, "PYTHONPATH": paths, "OPENCHANNEL_BROKER__URL": "redis://127.0.0.1:1/0"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def test_a_generated_stream_balances_on_a_private_system(tmp_path: Path) -> None:
    """Exit 0 with nothing found, all of it looked at, latencies of every message, and the report's two files."""
    made = load(tmp_path, "generate", "s.jsonl", "--profile", "poison", "--rate", "50", "--seconds", "4", "--seed", "4")
    assert made.returncode == 0, made.stderr
    lines = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()[1:]]
    requests, poison = len(lines), {line["delivery"] for line in lines if line.get("trouble") == "poison"}
    assert f"{requests} requests are in s.jsonl" in made.stdout
    played = load(tmp_path, "replay", "s.jsonl", "--embedded", "--speed", "2", "--json", "--report", "report")
    assert played.returncode == 0, played.stdout[-3000:] + played.stderr[-3000:]
    report = json.loads(played.stdout)
    assert report["balances"]
    verdict = report["verdict"]
    assert len(verdict["findings"]) > 20
    assert all(verdict["checked"][name] > 0 for name in verdict["checked"])
    ledger = verdict["ledger"]
    assert ledger["accepted"] == ledger["done"] + ledger["ignored"] + ledger["dead"] > 100
    assert ledger["dead"] == verdict["checked"]["poison"] == len(poison)
    assert report["answers"] == {"200": requests}
    assert report["to_last_step"]["count"] == report["to_answer"]["count"] == report["sent"]
    assert 0 < report["to_last_step"]["at"]["50"] <= report["to_last_step"]["at"]["99"]
    assert set(report["cpu"]) == {"postgres", "valkey", "web", "worker", "courier", "clock"}
    assert json.loads((tmp_path / "report" / "report.json").read_text()) == report
    assert "It balances" in (tmp_path / "report" / "report.html").read_text()

"""`make run`'s command in real processes: it ends by itself with a balanced ledger, and twice on the same data."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import wait_for

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

LEDGER = re.compile(r"^accepted=(\d+) done=(\d+) ignored=(\d+) dead=(\d+) discarded=(\d+) pending=(\d+)$", re.MULTILINE)
REPOSITORY = Path(__file__).parents[2]


def start(data: Path, *options: str, **environment: str) -> "subprocess.Popen[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENCHANNEL_", "RUN_FOR"))}
    return subprocess.Popen(
        [sys.executable, "-m", "cli", "demo", *options],
        cwd=REPOSITORY,
        env={**kept, "OPENCHANNEL_DATA_DIR": str(data), "OPENCHANNEL_WEB__PORT": "0", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder that is not there yet."""
    return tmp_path / "data"


def ledger(output: str) -> dict[str, int]:
    found = LEDGER.search(output)
    assert found, output
    names = ("accepted", "done", "ignored", "dead", "discarded", "pending")
    return dict(zip(names, map(int, found.groups()), strict=True))


def said_until(demo: "subprocess.Popen[str]", pattern: str) -> str:
    """What it has printed up to the first line that `pattern` is found in."""
    said = ""
    assert demo.stdout is not None
    for line in demo.stdout:
        said += line
        if re.search(pattern, line):
            return said
    raise AssertionError(f"it ended before {pattern}:\n{said}")


def test_it_runs_until_ctrl_c_and_again_until_its_time_is_over(data):
    """Both exit 0 with a balanced ledger and nothing dead; the second leaves nothing pending, its messages are new.

    While one runs, another on the same folder is refused without a traceback, and leaves it alone.
    """
    demo = start(data)
    output = said_until(demo, "running:")
    another, _ = start(data).communicate(timeout=60)
    assert "already runs on" in another
    assert "Traceback" not in another
    output += said_until(demo, r"running: .* delivered=[1-9]")
    demo.send_signal(signal.SIGINT)
    output += demo.communicate(timeout=60)[0]
    assert demo.returncode == 0, output
    assert wait_for(lambda: not (data / "postgres" / "postmaster.pid").exists())
    assert re.search(r"cards: .*lead=\d+", output), output
    assert re.search(r"Ada \(demo\) +had +[1-9]", output), output
    assert re.search(r"this run: delivered=[1-9]\d* again=0 unproved=0", output), output
    assert re.search(r"accepted=[1-9]\d* answered=[1-9]\d* closed=\d+ refused=\d+ failed=0", output), output

    ended_by_itself = start(data, RUN_FOR="8")
    second_output, _ = ended_by_itself.communicate(timeout=150)
    assert ended_by_itself.returncode == 0, second_output
    first, second = ledger(output), ledger(second_output)
    for numbers in (first, second):
        assert numbers["dead"] == 0
        assert numbers["accepted"] == sum(numbers[name] for name in ("done", "ignored", "discarded", "pending"))
    assert second["pending"] == 0
    assert second["done"] > first["done"] + 50
    for said in (output, second_output):
        assert "\x1b" not in said
        assert "FAILED" not in said


@pytest.mark.parametrize(("environment", "message"), [({"RUN_FOR": "soon"}, "RUN_FOR: must be a number of seconds")])
def test_a_bad_setting_is_one_line(data, environment, message):
    """Nothing is started, and the error is a line without a traceback."""
    demo = start(data, **environment)
    output, _ = demo.communicate(timeout=60)
    assert demo.returncode != 0
    assert message in output
    assert len(output.strip().splitlines()) == 1
    assert not data.exists()

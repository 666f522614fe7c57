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


def test_the_demo_ends_by_itself_and_again_on_the_same_data(data):
    """RUN_FOR=8: exit 0, the ledger balances, nothing is pending or dead; a second run's messages are new ones."""
    ledgers = []
    for _ in range(2):
        demo = start(data, RUN_FOR="8")
        output, _ = demo.communicate(timeout=150)
        assert demo.returncode == 0, output
        assert "\x1b" not in output
        assert "FAILED" not in output
        ledgers.append(ledger(output))
        assert re.search(r"cards: .*lead=\d+", output), output
        assert re.search(r"Ada \(demo\) +had +[1-9]", output), output
        assert int(re.findall(r"this run: delivered=(\d+)", output)[0]) > 0, output
        assert " again=0 unproved=0" in output
        assert re.search(r"accepted=[1-9]\d* answered=[1-9]\d* closed=[1-9]\d* refused=\d+ failed=0", output), output
    first, second = ledgers
    for numbers in ledgers:
        assert numbers["pending"] == numbers["dead"] == 0
        assert numbers["accepted"] == numbers["done"] + numbers["ignored"] + numbers["discarded"]
    assert first["done"] > 100
    assert first["ignored"] > 0
    assert second["done"] > first["done"] + 100


def test_ctrl_c_ends_it_cleanly(data):
    """Without RUN_FOR it goes on; SIGINT ends it with the summary and exit 0, and its servers with it."""
    demo = start(data)
    said: list[str] = []
    assert demo.stdout is not None
    for line in demo.stdout:
        said.append(line)
        if "running:" in line and " done=0 " not in line:
            break
    demo.send_signal(signal.SIGINT)
    output, _ = demo.communicate(timeout=60)
    assert demo.returncode == 0, "".join(said) + output
    assert ledger(output)["done"] > 0
    assert wait_for(lambda: not (data / "postgres" / "postmaster.pid").exists())


@pytest.mark.parametrize(("environment", "message"), [({"RUN_FOR": "soon"}, "RUN_FOR: must be a number of seconds")])
def test_a_bad_setting_is_one_line(data, environment, message):
    """Nothing is started, and the error is a line without a traceback."""
    demo = start(data, **environment)
    output, _ = demo.communicate(timeout=60)
    assert demo.returncode != 0
    assert message in output
    assert len(output.strip().splitlines()) == 1
    assert not data.exists()


def test_a_taken_folder_is_one_line(data):
    """A second demo on a folder in use says so, and leaves the first alone."""
    first = start(data)
    assert first.stdout is not None
    assert any("running:" in line for line in first.stdout)
    second = start(data)
    output, _ = second.communicate(timeout=60)
    assert second.returncode == 1, output
    assert "already runs on" in output
    assert "Traceback" not in output
    assert first.poll() is None
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=60)
    assert first.returncode == 0

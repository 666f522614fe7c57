"""Administration while everything runs: desks are applied and secrets rotated under running processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.system import System, wait_until
from tests.webhooks import SECRET, message

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]

DESK = """\
operators: [{name: Ann, token: {env: ANNS_TOKEN}}]
open_channels: [{name: Sales, max_dialogs: 1, roster: [Ann]}]
channels: [{key: telegram, kind: telegram, open_channel: Sales, secrets: {env: BOT_SECRET}}]
"""


def run(system: System, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """An `openchannel` command beside the running processes."""
    secrets = {"ANNS_TOKEN": "token of Ann, long enough", "BOT_SECRET": SECRET.replace("=", "_")}
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        env={**os.environ, **system.environment, **secrets, "NEW_SECRET": "the-new-secret"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_desk_is_applied_while_everything_runs(system: System, tmp_path: Path):
    """Channels, rosters, switches and secrets are in force within seconds; doctor finds the running processes."""
    file = tmp_path / "desk.yaml"
    file.write_text(DESK)
    assert run(system, "apply", str(file)).returncode == 0
    assert "nothing to change" in run(system, "apply", str(file)).stdout

    def post(secret: str) -> int:
        webhook = message("telegram", 1, "hello")
        headers = {**webhook.headers, "x-telegram-bot-api-secret-token": secret}
        return system.post(type(webhook)(webhook.key, webhook.body, headers)).status_code

    old = SECRET.replace("=", "_")
    wait_until(lambda: post(old) == 200, "the new channel takes webhooks", 8)
    assert run(system, "channels", "rotate-secret", "telegram", "--secret-env", "NEW_SECRET").returncode == 0
    wait_until(lambda: post("the-new-secret") == 200, "the new secret is valid", 8)
    assert post(old) == 200
    assert run(system, "channels", "rotate-secret", "telegram", "--finish").returncode == 0
    wait_until(lambda: post(old) == 401, "the old secret is not valid any more", 8)
    assert post("the-new-secret") == 200

    system.drained()
    assert system.value("SELECT status::text FROM dialogs") == "queued", "nobody is there"
    file.write_text("operators: [{name: Bea}]\nopen_channels: [{name: Sales, roster: [Ann, Bea]}]\n")
    assert run(system, "apply", str(file)).returncode == 0
    assert run(system, "operators", "online", "Bea").returncode == 0
    wait_until(
        lambda: (
            system.rows("SELECT 1 FROM dialogs JOIN operators ON operators.id = operator_id WHERE name = 'Bea'") != []
        ),
        "what waited is hers",
        10,
    )

    report = json.loads(run(system, "doctor", "--json").stdout)
    statuses = {one["check"]: one["status"] for one in report["findings"]}
    assert report["status"] != "broken", report
    assert statuses["clock"] == statuses["workers"] == statuses["ledger"] == statuses["broker"] == "ok"

    assert run(system, "channels", "disable", "telegram").returncode == 0
    wait_until(lambda: post("the-new-secret") == 404, "the channel is off", 8)
    assert run(system, "operators", "dismiss", "Ann").returncode == 0
    assert system.act("/api/operator/online", "Ann").status_code == 401

"""Screens that follow a real web process, which is stopped and started again."""

import signal
from pathlib import Path

import httpx
import pytest

from crm_store import events
from crm_store.database import Database, DatabaseOptions
from tests.acceptance.system import API_TOKEN, System, wait_until
from tests.screens import Screen, message

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]


def test_a_restart_of_the_web_process_loses_no_event(tmp_path: Path, database_url: str, broker_url: str) -> None:
    """SIGTERM ends all streams cleanly and the process with 0; the next one goes on where each was (S1)."""
    with (
        System(tmp_path, database_url, broker_url, workers=0) as system,
        Database(DatabaseOptions(database_url, "test")) as database,
    ):

        def log(dialog_id: int) -> None:
            with database.transaction() as connection:
                events.log(connection, [message(dialog_id)])

        screens = [Screen(system.url, API_TOKEN).__enter__() for _ in range(10)]
        for screen in screens:
            assert screen.has(1)
        log(1)
        for screen in screens:
            assert screen.shows(1)
        system.kill("web", signal.SIGTERM)
        assert system.process("web").returncode == 0
        for screen in screens:
            assert screen.is_ended(), screen.error
        assert "graceful shutdown exceeded" not in system.log("web")
        log(2)
        system.start("web")
        wait_until(lambda: answers(system), "the web process answers again")
        again = [Screen(system.url, API_TOKEN, screen.last_id).__enter__() for screen in screens]
        log(3)
        for screen in again:
            assert screen.shows(3)
            assert screen.dialogs() == [2, 3]
            screen.close()


def answers(system: System) -> bool:
    """Whether the web process is there."""
    try:
        return httpx.get(f"{system.url}/readyz").status_code == 200
    except httpx.HTTPError:
        return False

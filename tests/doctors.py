"""A desk for `openchannel doctor` to examine, and whatever a test does to it."""

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from cli.desks.reading import parse_desk
from cli.desks.writing import carry_out, plan_desk
from cli.diagnosis.findings import Finding, Status, worst
from cli.doctor import examine
from config.settings import BrokerSettings, DatabaseSettings, Settings
from crm_store.database import DatabaseOptions, Session
from crm_store.secrets import SecretBox
from tests.commands import SECRET_KEY
from worker.app import make_app
from worker.clock import Clock, ClockOptions
from worker.hints import Hints

DESK = """\
operators: [{name: Ann}]
open_channels: [{name: Sales, roster: [Ann]}]
channels: [{key: bot, kind: telegram, open_channel: Sales}]
"""


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """No settings of the machine."""
    for name in os.environ:
        if name.startswith("OPENCHANNEL_") and not name.startswith("OPENCHANNEL_TEST_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


class Desk:
    """A desk whose servers are there, and whatever a test does to it."""

    def __init__(self, database_url: str, broker_url: str, folder: Path) -> None:
        self.database_url = database_url
        self.broker_url = broker_url
        self.folder = folder
        self.session = Session(DatabaseOptions(database_url, "test"))
        self.secret_key: str | None = SECRET_KEY

    def apply(self, text: str) -> None:
        """Apply a desk's file."""
        with self.session.transaction() as connection:
            wish = parse_desk("desk.yaml", text, Path(), {})
            carry_out(connection, *plan_desk(connection, "desk.yaml", wish, lambda: SecretBox(SECRET_KEY)))

    def execute(self, query: str) -> None:
        """Do something to the database."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute(query)

    def examine(self) -> dict[str, Finding]:
        """The findings by check; the worst of each."""
        settings = Settings(
            data_dir=self.folder,
            secret_key=SecretStr(self.secret_key) if self.secret_key else None,
            database=DatabaseSettings(url=SecretStr(self.database_url)),
            broker=BrokerSettings(url=SecretStr(self.broker_url)),
        )
        findings: dict[str, Finding] = {}
        for finding in examine(settings):
            known = findings.get(finding.check, finding)
            findings[finding.check] = finding if worst([finding, known]) is not known.status else known
        assert all(finding.finding for finding in findings.values())
        assert all(bool(finding.action) is (finding.status is not Status.OK) for finding in findings.values())
        return findings


@pytest.fixture
def desk(database_url: str, broker_url: str, tmp_path: Path) -> Iterator[Desk]:
    """A desk with one channel and one operator, who is online."""
    desk = Desk(database_url, broker_url, tmp_path)
    desk.apply(DESK)
    desk.execute("UPDATE operators SET online = true, seen_at = now()")
    yield desk
    desk.session.close()


def tick(desk: Desk) -> None:
    """A clock ticks once, and is killed."""
    Clock(desk.session, Hints(make_app(desk.broker_url)), ClockOptions()).tick()

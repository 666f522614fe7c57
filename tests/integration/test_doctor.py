"""`openchannel doctor`: every finding, produced on purpose, on real servers."""

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import psycopg
import pytest

from cli.diagnosis.findings import Status
from config.topology import Step
from runtime.ports import free_port
from tests.commands import SECRET_KEY
from tests.doctors import Desk, alone, desk, tick
from worker.app import make_app
from worker.clock import Clock, ClockOptions
from worker.hints import Hints

pytestmark = pytest.mark.integration

__all__ = ["Desk", "alone", "desk"]

OTHER_KEY = "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg="


def test_a_healthy_desk(desk):
    """Nothing but the test server's own settings is found, once a clock and a worker are there."""
    tick(desk)
    with psycopg.connect(desk.database_url, application_name="openchannel worker"):
        findings = desk.examine()
    bad = {check for check, finding in findings.items() if finding.status is not Status.OK}
    assert bad <= {"fsync", "full_page_writes", "synchronous_commit"}
    assert {"postgresql", "migrations", "broker", "broker_policy", "task_queues"} <= findings.keys()
    assert {"clock", "workers", "lag", "ledger", "dead_letters", "outbox"} <= findings.keys()
    assert {"secrets", "adapters", "rosters", "partitions"} <= findings.keys()
    assert "PostgreSQL" in findings["postgresql"].finding


def test_postgresql_away(desk):
    """A finding, not a crash; the broker is looked at all the same."""
    desk.database_url = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    findings = desk.examine()
    assert findings["postgresql"].status is Status.BROKEN
    assert "cannot be reached" in findings["postgresql"].finding
    assert findings["broker"].status is Status.OK


def test_a_database_without_a_schema(desk, empty_database_url):
    """And nothing is made by looking."""
    desk.database_url = empty_database_url
    finding = desk.examine()["migrations"]
    assert (finding.status, finding.action) == (Status.BROKEN, "run `openchannel migrate`")
    assert "0001_spine" in finding.finding
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def test_no_clock(desk):
    """None was ever seen; or the last one has stopped signing; one that ends well signs off."""
    assert desk.examine()["clock"].status is Status.BROKEN
    tick(desk)
    assert desk.examine()["clock"].status is Status.OK
    desk.execute("UPDATE clocks SET seen_at = now() - interval '16 seconds'")
    assert desk.examine()["clock"].status is Status.BROKEN
    stop = threading.Event()
    clock = Clock(desk.session, Hints(make_app(desk.broker_url)), ClockOptions(interval=0.01))
    thread = threading.Thread(target=clock.run, args=(stop,))
    thread.start()
    deadline = time.monotonic() + 10
    while desk.examine()["clock"].status is Status.BROKEN and time.monotonic() < deadline:
        time.sleep(0.05)
    assert desk.examine()["clock"].status is Status.OK
    stop.set()
    thread.join(10)
    assert desk.examine()["clock"].status is Status.BROKEN


def test_no_worker(desk):
    """Nobody waits for tasks, and nobody is connected."""
    finding = desk.examine()["workers"]
    assert (finding.status, finding.action) == (Status.BROKEN, "start `openchannel worker`, one per core")


def test_work_that_waits(desk):
    """A warning after ten seconds, broken after a minute; what to do depends on the queue and on the workers."""
    desk.execute("INSERT INTO inbox_state (inbox_id, stage, due_at) VALUES (1, 'bind_chat', now() - interval '20 s')")
    desk.execute("INSERT INTO ledger VALUES ('accepted', 1)")
    finding = desk.examine()["lag"]
    assert (finding.status, finding.action) == (Status.WARNING, "start `openchannel worker`")
    assert "bind_chat: the oldest has waited 20 s" in finding.finding
    desk.execute("UPDATE inbox_state SET due_at = now() - interval '2 minutes'")
    with psycopg.connect(desk.database_url, application_name="openchannel worker"):
        idle = desk.examine()["lag"]
        assert (idle.status, "clock" in idle.action) == (Status.BROKEN, True)
        assert Hints(make_app(desk.broker_url)).publish(Step.BIND_CHAT)
        queued = desk.examine()
        assert "1 tasks are queued" in queued["lag"].finding
        assert "more workers" in queued["lag"].action
        assert queued["task_queues"].finding == "bind_chat 1"


def test_a_paused_step(desk):
    """Named with the cause; its lag is not told as well, for that would send people after workers and clocks."""
    desk.execute(
        "INSERT INTO inbox_state (inbox_id, chat_id, stage, due_at) "
        "VALUES (4711, 1, 'bind_chat', now() - interval '2 minutes')"
    )
    desk.execute(
        "INSERT INTO step_brakes (step, number, pauses, resumes_at, reason, fingerprint, worker) "
        "VALUES ('bind_chat', 1, 3, now() + interval '1 hour', 'key', 'KeyError@worker/x.py:y', 'w')"
    )
    findings = desk.examine()
    assert findings["paused"].status is Status.BROKEN
    for said in ("bind_chat", "key", "KeyError@worker/x.py:y"):
        assert said in findings["paused"].finding
    assert findings["lag"].status is Status.OK
    desk.execute("UPDATE step_brakes SET resumes_at = now() - interval '1 s'")
    assert "to be tried now" in desk.examine()["paused"].finding
    desk.execute("UPDATE step_brakes SET ended_at = now()")
    assert "paused" not in desk.examine()


def test_a_ledger_that_does_not_balance(desk):
    """A defect of ours."""
    desk.execute("INSERT INTO ledger VALUES ('accepted', 1)")
    finding = desk.examine()["ledger"]
    assert finding.status is Status.BROKEN
    assert "accepted=1" in finding.finding


def test_dead_letters_and_messages_that_were_given_up(desk):
    """Counted; a warning, for the rest goes on."""
    desk.execute("INSERT INTO inbox_state (inbox_id, stage) VALUES (1, 'dead')")
    desk.execute(
        "INSERT INTO dead_letters (inbox_id, channel_id, step, reason, fingerprint, attempts, error, traceback) "
        "VALUES (1, 1, 'parse', 'unparsable', '', 1, '', '')"
    )
    desk.execute("INSERT INTO chats (channel_id, external_id) VALUES (1, 'x')")
    desk.execute(
        "INSERT INTO outbox (channel_id, chat_id, seq, state) VALUES (1, 1, 1, 'failed'), (1, 1, 2, 'held'), "
        "(1, 1, 3, 'held')"
    )
    findings = desk.examine()
    assert findings["dead_letters"].finding == "1 dead letters, 1 of the last day"
    assert "openchannel dead-letters groups" in findings["dead_letters"].action
    assert findings["outbox_failed"].finding == "1 messages to customers were given up"
    assert findings["outbox_held"].finding == "2 messages wait for a way to send them"
    assert {findings[check].status for check in ("dead_letters", "outbox_failed", "outbox_held")} == {Status.WARNING}
    desk.execute(
        "INSERT INTO dead_letters (outbox_id, channel_id, step, reason, fingerprint, attempts, error, traceback, "
        "discarded_at) SELECT id, 1, 'deliver', 'x', 'x', 1, '', '', now() FROM outbox WHERE state = 'failed'"
    )
    assert "outbox_failed" not in desk.examine(), "somebody has seen it, and discarded it"


def test_partitions_that_nobody_makes(desk):
    """Before they come to an end."""
    with psycopg.connect(desk.database_url, autocommit=True) as connection:
        for (name,) in connection.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
            "WHERE inhparent = 'inbox'::regclass AND relname ~ '^inbox_2'"
        ).fetchall():
            connection.execute(f"DROP TABLE {name}")
    finding = desk.examine()["partitions"]
    assert finding.status is Status.WARNING
    assert "inbox end in" in finding.finding


def test_secrets_that_cannot_be_read(desk):
    """No key opens them, there is no key, or it is none; and an old key that is still needed."""
    desk.secret_key = OTHER_KEY
    assert desk.examine()["secrets"].status is Status.BROKEN
    assert "the secrets of bot cannot be read" in desk.examine()["secrets"].finding
    desk.secret_key = "no key"
    assert "must be 32 bytes" in desk.examine()["secrets"].finding
    desk.secret_key = None
    assert "OPENCHANNEL_SECRET_KEY: must be set" in desk.examine()["secrets"].finding
    desk.secret_key = f"{OTHER_KEY},{SECRET_KEY}"
    finding = desk.examine()["secrets_key"]
    assert (finding.status, finding.action) == (Status.WARNING, "run `openchannel channels reencrypt`")


def test_a_channel_without_an_adapter(desk):
    """Broken while it is active."""
    desk.execute("UPDATE channels SET kind = 'pigeon'")
    assert desk.examine()["adapters"].status is Status.BROKEN
    desk.execute("UPDATE channels SET active = false")
    assert desk.examine()["adapters"].status is Status.WARNING


def test_nobody_is_there(desk):
    """An empty roster, nobody online and how many wait; not if availability does not matter, or nothing feeds it."""
    desk.execute("UPDATE operators SET online = false")
    desk.execute("INSERT INTO chats (channel_id, external_id) VALUES (1, 'x')")
    desk.execute("INSERT INTO dialogs (open_channel_id, chat_id, status) VALUES (1, 1, 'queued')")
    finding = desk.examine()["rosters"]
    assert (finding.status, finding.finding) == (Status.WARNING, 'nobody of "Sales" is online; 1 dialogs wait')
    desk.apply("open_channels: [{name: Sales, check_availability: false}]")
    assert desk.examine()["rosters"].status is Status.OK
    desk.apply("open_channels: [{name: Sales, roster: []}]")
    assert 'the roster of "Sales" is empty' in desk.examine()["rosters"].finding
    desk.apply("channels: [{key: bot, active: false}]")
    assert desk.examine()["rosters"].status is Status.OK
    desk.execute("DELETE FROM dialogs; DELETE FROM chats; DELETE FROM channels")
    assert desk.examine()["desk"].finding == "no channel is connected"


def test_the_command_in_a_process_of_its_own(desk):
    """JSON that a program can read; exit code 1 if something is broken, 0 with warnings only."""
    environment = {
        **os.environ,
        "OPENCHANNEL_DATABASE__URL": desk.database_url,
        "OPENCHANNEL_BROKER__URL": desk.broker_url,
        "OPENCHANNEL_SECRET_KEY": SECRET_KEY,
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }

    def doctor(*options: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "cli", "doctor", *options]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    ran = doctor("--json")
    assert (ran.returncode, ran.stderr) == (1, "")
    report = json.loads(ran.stdout)
    assert report["status"] == "broken"
    assert Counter(one["status"] for one in report["findings"] if one["check"] in ("clock", "workers")) == {"broken": 2}
    assert all(one.keys() == {"check", "status", "finding", "action"} for one in report["findings"])
    assert "BROKEN   clock: no clock runs" in doctor().stdout
    tick(desk)
    desk.execute("UPDATE operators SET online = false")
    with psycopg.connect(desk.database_url, application_name="openchannel worker"):
        ran = doctor()
    assert ran.returncode == 0, ran.stdout
    assert 'WARNING  rosters: nobody of "Sales" is online' in ran.stdout

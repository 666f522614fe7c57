"""`openchannel doctor` and the servers: away, not named, or set as they should not be."""

import threading
import time

import pytest
import redis

from cli.diagnosis.broker import look_at_broker
from cli.diagnosis.database import look_at_server
from cli.diagnosis.findings import Status
from cli.doctor import examine
from config.settings import Settings
from crm_store.database import DatabaseOptions
from crm_store.diagnosis import Server
from runtime.ports import free_port
from tests.doctors import Desk, alone, desk, tick

pytestmark = pytest.mark.integration

__all__ = ["Desk", "alone", "desk"]


def test_the_broker_away(desk):
    """A finding; what needs PostgreSQL alone is looked at."""
    tick(desk)
    desk.broker_url = f"redis://127.0.0.1:{free_port()}/0"
    findings = desk.examine()
    assert findings["broker"].status is Status.BROKEN
    assert "goes on by itself" in findings["broker"].action
    assert findings["clock"].status is Status.OK
    assert "task_queues" not in findings


def test_nothing_is_set(tmp_path):
    """Neither server is named and none runs on this machine: two findings."""
    findings = {finding.check: finding for finding in examine(Settings(data_dir=tmp_path))}
    assert findings.keys() == {"broker", "postgresql"}
    assert "OPENCHANNEL_DATABASE__URL" in findings["postgresql"].finding


def test_the_broker_is_set_otherwise(desk):
    """It may throw tasks away."""
    with redis.Redis.from_url(desk.broker_url) as client:
        before = client.config_get("maxmemory-policy")["maxmemory-policy"]
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            findings = desk.examine()
        finally:
            client.config_set("maxmemory-policy", before)
    assert "maxmemory-policy is allkeys-lru" in findings["broker_policy"].finding


def test_a_worker_that_waits_for_tasks_is_seen(desk):
    """As Celery's workers do on Redis: a blocking pop, in the same database."""
    with redis.Redis.from_url(desk.broker_url) as client:
        thread = threading.Thread(target=client.brpop, args=(["a queue"],), kwargs={"timeout": 3})
        thread.start()
        time.sleep(0.3)
        seen = look_at_broker(desk.broker_url)
        thread.join()
    assert seen.consumers is True
    assert look_at_broker(desk.broker_url).consumers is False


GOOD = {
    "server_version": "18.1",
    "server_version_num": "180001",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "10000",
    "max_connections": "100",
}


@pytest.mark.parametrize(
    ("changed", "connections", "found"),
    [
        ({}, 10, {}),
        ({"server_version_num": "140009"}, 10, {"postgresql": Status.BROKEN}),
        ({"fsync": "off"}, 10, {"fsync": Status.WARNING}),
        ({"full_page_writes": "off"}, 10, {"full_page_writes": Status.WARNING}),
        ({"synchronous_commit": "off"}, 10, {"synchronous_commit": Status.WARNING}),
        ({"idle_session_timeout": "60000"}, 10, {"idle_session_timeout": Status.WARNING}),
        ({"idle_in_transaction_session_timeout": "0"}, 10, {"idle_in_transaction_timeout": Status.WARNING}),
        ({}, 90, {"connections": Status.WARNING}),
    ],
)
def test_settings_of_postgresql(changed, connections, found):
    """Each of them alone."""
    findings = look_at_server(Server(GOOD | changed, connections), DatabaseOptions("", "doctor"))
    assert {one.check: one.status for one in findings if one.status is not Status.OK} == found

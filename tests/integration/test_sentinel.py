"""Hints over Redis Sentinel, before and after a failover, on real servers."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from config.topology import Step
from runtime.binaries import find_valkey
from runtime.child import Child
from runtime.output import LogFiles
from runtime.ports import LOOPBACK, accepts_connections, free_port
from runtime.supervisor import Supervisor
from worker.app import make_app
from worker.hints import Hints

pytestmark = pytest.mark.integration

PASSWORD = "secret"
FAILED_OVER_WITHIN = 30.0


@dataclass
class Watched:
    """Two servers, one of which is the primary, and a Sentinel that watches them."""

    ports: tuple[int, int]
    sentinel: int
    supervisor: Supervisor

    @property
    def url(self) -> str:
        return f"sentinel://:{PASSWORD}@{LOOPBACK}:{self.sentinel}/0?master_name=desk"

    def knows_the_replica(self) -> bool:
        """Whether the Sentinel could make the other server the primary."""
        with redis.Redis(port=self.sentinel, decode_responses=True) as client:
            replicas = client.sentinel_slaves("desk")
        return [replica["master-link-status"] for replica in replicas] == ["ok"]

    def queued(self, port: int) -> int:
        with redis.Redis(port=port, password=PASSWORD) as client:
            return int(client.llen(Step.CRM_LOOKUP.value))


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """Started in order; the replica follows the primary before the Sentinel looks."""
    binary = str(find_valkey().path)
    first, second, sentinel = free_port(), free_port(), free_port()
    common = [f"bind {LOOPBACK}", 'save ""', "appendonly no", f"requirepass {PASSWORD}", f"masterauth {PASSWORD}"]
    supervisor = Supervisor(LogFiles(tmp_path))

    def start(name: str, port: int, lines: list[str], *arguments: str) -> None:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "conf").write_text("\n".join([f"port {port}", f"dir {folder}", *lines, ""]))
        supervisor.start(
            Child(name, [binary, str(folder / "conf"), *arguments], ready=lambda: accepts_connections(port))
        )

    try:
        start("first", first, common)
        start("second", second, [*common, f"replicaof {LOOPBACK} {first}", "repl-diskless-sync-delay 0"])
        until(lambda: "slave0" in replication_of(first))
        watching = [f"sentinel monitor desk {LOOPBACK} {first} 1", f"sentinel auth-pass desk {PASSWORD}"]
        watching += ["sentinel down-after-milliseconds desk 500"]
        start("sentinel", sentinel, [f"bind {LOOPBACK}", *watching], "--sentinel")
        with redis.Redis(port=sentinel) as client:
            # It would ask the servers every ten seconds.
            client.execute_command("SENTINEL", "DEBUG", "info-period", 200)
        yield Watched((first, second), sentinel, supervisor)
    finally:
        supervisor.stop_all()


def replication_of(port: int) -> dict[str, object]:
    with redis.Redis(port=port, password=PASSWORD) as client:
        return dict(client.info("replication"))


def until(holds: Callable[[], bool]) -> None:
    """Wait until it holds; fails after FAILED_OVER_WITHIN."""
    deadline = time.monotonic() + FAILED_OVER_WITHIN
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_hints_follow_the_primary(watched: Watched) -> None:
    """A hint goes to the primary that the Sentinel names; when that is gone, to the one that takes its place."""
    hints = Hints(make_app(watched.url))
    first, second = watched.ports
    assert hints.publish(Step.CRM_LOOKUP, [1])
    assert watched.queued(first) == 1
    assert hints.depths([Step.CRM_LOOKUP]) == {Step.CRM_LOOKUP: 1}
    until(watched.knows_the_replica)
    watched.supervisor.stop("first")
    until(lambda: replication_of(second)["role"] == "master")
    before = watched.queued(second)
    until(lambda: hints.publish(Step.CRM_LOOKUP, [2]))
    assert watched.queued(second) == before + 1

"""PostgreSQL in a folder of its own: made whole, back after a crash, and never as root."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from runtime import launch, postgres, valkey
from runtime.binaries import find_postgres
from runtime.errors import FolderUnusableError, NoUnprivilegedUserError
from runtime.launch import Identity
from runtime.machine import Machine
from runtime.output import LogFiles
from runtime.postgres import EmbeddedPostgres
from runtime.supervisor import Supervisor
from runtime.valkey import EmbeddedValkey
from tests.processes import answer, wait_for

pytestmark = pytest.mark.integration

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="user namespaces are Linux's")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")

PREPARE = """
import sys
from pathlib import Path
from runtime.postgres import EmbeddedPostgres

EmbeddedPostgres(Path(sys.argv[1])).prepare()
"""


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """With log files in the test's folder."""
    made = Supervisor(LogFiles(tmp_path / "logs"))
    yield made
    made.stop_all()


@pytest.fixture
def server(tmp_path: Path) -> EmbeddedPostgres:
    """A PostgreSQL that is prepared and not started."""
    made = EmbeddedPostgres(tmp_path / "postgres", {"shared_buffers": "16MB"})
    made.prepare()
    return made


def test_a_port_taken_since_it_was_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, supervisor: Supervisor, server: EmbeddedPostgres
) -> None:
    """Somebody was faster: another port is chosen, for both servers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        for module, embedded in ((postgres, server), (valkey, EmbeddedValkey(tmp_path / "valkey"))):
            ports = iter([taken])
            monkeypatch.setattr(module, "free_port", lambda ports=ports: next(ports, None) or launch_port())
            embedded.prepare()
            supervisor.start(embedded.child())
            assert f":{taken}/" not in embedded.url
    assert answer(server.url, "SELECT 1") == 1


def launch_port() -> int:
    """A port that is free, whatever the test made of `free_port`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGQUIT])
def test_a_killed_postgres_comes_back_at_the_same_url(
    supervisor: Supervisor, server: EmbeddedPostgres, number: signal.Signals
) -> None:
    """With all that was committed, although its memory and its pid file were left behind."""
    supervisor.start(server.child())
    url = server.url
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE note AS SELECT 1 AS number")
    with psycopg.connect(url):  # a session that is still open when its server dies
        pid = supervisor.status()[0].pid
        assert pid is not None
        os.kill(pid, number)
        deadline = time.monotonic() + 20
        supervisor.run(until=lambda: supervisor.status()[0].restarts > 0 or time.monotonic() > deadline)
        supervisor.run(until=lambda: supervisor.status()[0].state == "ready" or time.monotonic() > deadline)
    assert answer(url, "SELECT number FROM note") == 1
    assert server.url == url


def test_a_pid_file_left_by_a_crash_does_not_stop_a_start(supervisor: Supervisor, server: EmbeddedPostgres) -> None:
    """Its number is by now another living process's."""
    file = server.cluster / "postmaster.pid"
    file.write_text(f"{os.getppid()}\n{server.cluster}\n1700000000\n5432\n\n127.0.0.1\n  1  1\nready\n")
    supervisor.start(server.child())
    assert answer(server.url, "SELECT 1") == 1


def test_an_initdb_that_was_killed_is_done_again(tmp_path: Path) -> None:
    """Half a data folder never stands where a whole one belongs."""
    folder = tmp_path / "postgres"
    process = subprocess.Popen([sys.executable, "-c", PREPARE, str(folder)])
    assert wait_for(lambda: any(folder.glob("unfinished-*/base")))
    process.kill()
    process.wait()
    assert not (folder / "cluster").exists()
    assert list(folder.glob("unfinished-*"))
    with Machine(tmp_path, None, "redis://127.0.0.1:1") as machine:
        assert answer(machine.database_url, "SELECT 1") == 1
    assert not list(folder.glob("unfinished-*"))


def test_a_folder_that_is_no_data_folder_is_not_touched(tmp_path: Path) -> None:
    """It may hold what somebody put there."""
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster" / "letter.txt").write_text("dear all")
    with pytest.raises(FolderUnusableError, match="cluster"):
        EmbeddedPostgres(tmp_path).prepare()
    assert (tmp_path / "cluster" / "letter.txt").read_text() == "dear all"


@root_only
@linux_only
def test_root_runs_postgres_in_a_user_namespace(tmp_path: Path, supervisor: Supervisor) -> None:
    """Files stay root's, and inside it is not root."""
    server = EmbeddedPostgres(tmp_path / "postgres", {"shared_buffers": "16MB"})
    server.prepare()
    child = server.child()
    if child.identity.kind != "namespace":
        pytest.skip("this system allows root no user namespaces")
    supervisor.start(child)
    pid = supervisor.status()[0].pid
    assert Path(f"/proc/{pid}/uid_map").read_text().split() == [str(child.identity.uid), "0", "1"]
    assert server.cluster.stat().st_uid == 0
    assert answer(server.url, "SELECT 1") == 1


@root_only
def test_root_without_namespaces_becomes_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container; the data belongs to that user from then on, also when root comes back."""
    nobody = Identity("user", 65534, 65534)
    monkeypatch.setattr(launch, "_candidates", lambda folder: iter([nobody]))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)
        program = find_postgres().postgres
        argv = launch.command([str(program), "--version"], identity=nobody)
        seen = subprocess.run(argv, capture_output=True, check=False)
        if seen.returncode != 0:
            pytest.skip("another user cannot reach the server program where it is installed")
        with Machine(folder / "data", None, "redis://127.0.0.1:1") as machine:
            pid = machine.supervisor.status()[0].pid
            assert Path(f"/proc/{pid}").stat().st_uid == 65534
            assert (folder / "data/postgres/cluster").stat().st_uid == 65534
        monkeypatch.undo()
        server = EmbeddedPostgres(folder / "data/postgres")
        server.prepare()
        assert server.child().identity == nobody


@root_only
def test_root_with_no_way_out_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is where nobody else may go."""
    tmp_path.chmod(0o700)
    monkeypatch.setattr(launch, "_candidates", lambda folder: iter([Identity("user", 65534, 65534)]))
    with pytest.raises(NoUnprivilegedUserError, match=r"as user 65534: .*cannot write in(.|\n)*ordinary user"):
        EmbeddedPostgres(tmp_path / "closed" / "postgres").prepare()
    assert (tmp_path / "closed" / "postgres").stat().st_uid == 0

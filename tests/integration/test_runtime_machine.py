"""One machine's servers, really started: as root or as an ordinary user, whoever runs the tests."""

import json
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
import redis

from runtime import launch
from runtime.errors import FolderInUseError
from runtime.machine import Machine
from tests.processes import alive, answer, wait_for

pytestmark = pytest.mark.integration

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's death signal is Linux's")

DRIVER = """
import json, signal, sys
from pathlib import Path
from runtime.child import Child
from runtime.machine import Machine
from tests.processes import alive, answer, wait_for

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup the tests ignore it, and so would this process
with Machine(Path(sys.argv[1]), None, None) as machine:
    machine.supervisor.start(Child("worker", ["/bin/sleep", "1000"]))
    pids = [status.pid for status in machine.supervisor.status()]
    print(json.dumps({"pids": pids, "database": machine.database_url, "broker": machine.broker_url}), flush=True)
    machine.supervisor.run()
"""


def driver(folder: Path) -> tuple[subprocess.Popen[str], dict[str, object]]:
    """A machine in a process of its own, running."""
    process = subprocess.Popen([sys.executable, "-c", DRIVER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):
            return process, json.loads(line)
    raise AssertionError(f"the machine did not start: exit code {process.wait()}")


def test_a_machine_keeps_its_data(tmp_path: Path) -> None:
    """What was committed is there after stop and start; the broker is empty; the secrets are the same."""
    with Machine(tmp_path / "data", None, None) as machine:
        kept = machine.secrets
        with psycopg.connect(machine.database_url) as connection:
            connection.execute("CREATE TABLE note AS SELECT 'kept' AS text")
        with redis.Redis.from_url(machine.broker_url) as client:
            client.set("hint", 1)
    with Machine(tmp_path / "data", None, None) as machine:
        assert answer(machine.database_url, "SELECT text FROM note") == "kept"
        with redis.Redis.from_url(machine.broker_url) as client:
            assert client.dbsize() == 0
        assert machine.secrets == kept


def test_the_servers_are_set_as_we_need_them(tmp_path: Path) -> None:
    """Durable, UTF-8 that knows all languages' letters, loopback and password only; a broker that drops nothing."""
    with Machine(tmp_path / "data", None, None) as machine:
        url = machine.database_url
        assert answer(url, "SHOW fsync") == "on"
        assert answer(url, "SHOW server_encoding") == "UTF8"
        assert answer(url, "SELECT lower('ЁЖ Ö')") == "ёж ö"
        assert answer(url, "SHOW listen_addresses") == "127.0.0.1"
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            answer(url.replace("openchannel:", "openchannel:not", 1), "SELECT 1")
        with redis.Redis.from_url(machine.broker_url) as client:
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert client.config_get("bind") == {"bind": "127.0.0.1"}
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=int(machine.broker_url.rsplit(":", 1)[1].split("/")[0])).ping()


def test_a_given_url_wins_even_if_nobody_answers_there(tmp_path: Path) -> None:
    """Nothing falls through to a server of our own."""
    with Machine(tmp_path / "data", "postgresql://127.0.0.1:1/none", "redis://127.0.0.1:1/0") as machine:
        assert machine.database_url == "postgresql://127.0.0.1:1/none"
        assert machine.broker_url == "redis://127.0.0.1:1/0"
        assert machine.supervisor.status() == []
    assert not (tmp_path / "data" / "postgres").exists()


def test_paths_may_be_long_and_have_spaces(tmp_path: Path) -> None:
    """Sockets would stop at about 100 bytes; and quotes stand in configuration files."""
    folder = tmp_path / "a rather long name, with spaces" / ("x" * 100) / "data"
    with Machine(folder, None, None) as machine:
        assert answer(machine.database_url, "SELECT 1") == 1


def test_the_standard_ports_may_be_taken(tmp_path: Path) -> None:
    """As by a PostgreSQL and a Redis of the system."""
    taken = []
    try:
        for port in (5432, 6379):
            listener = socket.socket()
            taken.append(listener)
            with suppress(OSError):  # taken by somebody already: so much the better
                listener.bind(("127.0.0.1", port))
                listener.listen()
        with Machine(tmp_path / "data", None, None) as machine:
            assert answer(machine.database_url, "SELECT 1") == 1
    finally:
        for listener in taken:
            listener.close()


def test_two_supervisors_on_one_folder(tmp_path: Path) -> None:
    """The second is told who was first, and harms nothing."""
    process, facts = driver(tmp_path / "data")
    try:
        with pytest.raises(FolderInUseError, match=f"process {process.pid}"), Machine(tmp_path / "data", None, None):
            pass
        assert answer(str(facts["database"]), "SELECT 1") == 1
    finally:
        process.terminate()
        assert process.wait(20) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_machine_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    """Exit code 0, no process left, and PostgreSQL has written everything down."""
    process, facts = driver(tmp_path / "data")
    process.send_signal(number)
    assert process.wait(20) == 0
    assert not any(alive(pid) for pid in facts["pids"])  # type: ignore[attr-defined]
    assert "database system is shut down" in (tmp_path / "data/logs/postgres.log").read_text()
    assert not (tmp_path / "data/postgres/cluster/postmaster.pid").exists()


@linux_only
def test_a_killed_supervisor_leaves_no_orphans(tmp_path: Path) -> None:
    """`kill -9`, with a client connected; and the next one on the folder starts at once."""
    process, facts = driver(tmp_path / "data")
    with psycopg.connect(str(facts["database"])) as connection:
        connection.execute("CREATE TABLE note AS SELECT 1 AS number")
        connection.commit()
        process.kill()
        process.wait()
        with Machine(tmp_path / "data", None, None) as machine:
            assert answer(machine.database_url, "SELECT number FROM note") == 1
            assert wait_for(lambda: not any(alive(pid) for pid in facts["pids"]))  # type: ignore[attr-defined]


@linux_only
def test_a_child_whose_parent_is_gone_already_does_not_start() -> None:
    """The parent may die between fork and the request to be told of its death."""
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    argv = launch.command(["/bin/echo", "alive"])
    argv[argv.index("--parent") + 1] = str(gone.pid)
    done = subprocess.run(argv, capture_output=True, check=False)
    assert done.returncode == 128 + signal.SIGTERM
    assert done.stdout == b""

"""A RabbitMQ of a test's own, with the configuration of docs/examples/rabbitmq, on free ports of 127.0.0.1."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from kombu.exceptions import OperationalError

from runtime.launch import command
from runtime.ports import free_port
from worker.app import make_app
from worker.rabbitmq import connected

EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "rabbitmq"
START_SECONDS = 60.0

# Debian's `rabbitmq-server` on PATH is a wrapper for the service's own user; this is what it runs.
_SCRIPTS = ("/usr/lib/rabbitmq/bin/rabbitmq-server", shutil.which("rabbitmq-server"))


def rabbitmq_server() -> str | None:
    """The program that starts RabbitMQ; None where it is not installed."""
    found = next((script for script in _SCRIPTS if script and Path(script).is_file()), None)
    return found if shutil.which("epmd") else None


class RabbitMQ:
    """Use it as a context. The user `openchannel` may do in its virtual host what docs/examples/rabbitmq says."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port, epmd_port = free_port(), free_port()
        (folder / "plugins").write_text("[].")
        (folder / "environment").touch()
        (folder / "definitions.json").write_text(json.dumps(_definitions()))
        (folder / "conf").mkdir()
        (folder / "conf" / "10-example.conf").write_text((EXAMPLE / "rabbitmq.conf").read_text())
        (folder / "conf" / "20-test.conf").write_text(
            f"listeners.tcp.default = 127.0.0.1:{self._port}\nload_definitions = {folder / 'definitions.json'}\n"
            "disk_free_limit.absolute = 50MB\n"
        )
        self._environment = {
            **os.environ,
            "HOME": str(folder),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(epmd_port),
            "RABBITMQ_NODENAME": f"openchannel-{self._port}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_CONFIG_FILES": str(folder / "conf"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "environment"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        # Erlang would leave a daemon behind; this one ends with the rest, and with the tests if they are killed.
        epmd = shutil.which("epmd")
        assert epmd is not None
        self._names = subprocess.Popen(command([epmd, "-address", "127.0.0.1", "-port", str(epmd_port)]))
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """It stays the same when the server is started again."""
        return f"amqp://openchannel:a-password@127.0.0.1:{self._port}/openchannel"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._names.kill()
        self._names.wait()

    def start(self) -> None:
        """Start, with what an earlier start has left on disk; returns when it answers."""
        script = rabbitmq_server()
        assert script is not None
        with (self._folder / "output.log").open("ab") as log:
            self._server = subprocess.Popen(
                command([script]), env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self._server.poll() is None, (self._folder / "output.log").read_text()[-3000:]
            assert time.monotonic() < deadline, (self._folder / "output.log").read_text()[-3000:]
            time.sleep(0.2)

    def kill(self) -> None:
        """SIGKILL for all of its processes."""
        if self._server is not None:
            os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()
            self._server = None

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """SIGSTOP for all of its processes, and SIGCONT at the end: connections stand, and nothing is answered."""
        assert self._server is not None
        os.killpg(self._server.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self._server.pid, signal.SIGCONT)

    def _answers(self) -> bool:
        with make_app(self.url).connection_for_read() as connection, suppress(OperationalError):
            connected(connection)
            return True
        return False


def _definitions() -> dict[str, object]:
    """Those of the example, with the user whom its README makes by command."""
    definitions: dict[str, object] = json.loads((EXAMPLE / "openchannel.json").read_text())
    configure, write, read = permissions()
    definitions["users"] = [{"name": "openchannel", "password": "a-password", "tags": ""}]
    definitions["permissions"] = [
        {"user": "openchannel", "vhost": "openchannel", "configure": configure, "write": write, "read": read}
    ]
    return definitions


def permissions() -> tuple[str, str, str]:
    """What the example's README allows the user: configure, write, read."""
    (allowed,) = [
        line for line in (EXAMPLE / "README.md").read_text().splitlines() if "rabbitmqctl set_permissions" in line
    ]
    configure, write, read = allowed.split("'")[1::2]
    return configure, write, read

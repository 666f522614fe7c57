"""One machine: servers, web, workers and clock, as children of this process."""

import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cli.composition import MACHINE_FILE, secret_key
from config.logging import configure_logging
from config.settings import Settings, load_settings
from config.topology import WorkerRole
from crm_store.errors import translated
from crm_store.migrations import migrate
from runtime.child import Child
from runtime.machine import Machine
from runtime.output import Output
from runtime.ports import free_port, usable_port
from runtime.private_files import write_private
from runtime.supervisor import Supervisor


@dataclass(frozen=True, slots=True)
class RunningMachine:
    """What is running, and how to reach it."""

    supervisor: Supervisor
    database_url: str
    broker_url: str
    secret_key: str
    api_token: str
    web_url: str
    data_dir: Path


def up_command() -> None:
    """Run everything on this machine until Ctrl-C."""
    settings = load_settings()
    configure_logging(settings.log.format, settings.log.level, "up")
    with running_machine(settings) as machine:
        sys.stdout.write(
            f"openchannel is up: {machine.web_url} (API docs at {machine.web_url}/docs)\n"
            f"logs and data: {machine.data_dir}; the API token stands in {machine.data_dir / 'secrets.json'}\n"
            "Ctrl-C stops it\n"
        )
        sys.stdout.flush()
        machine.supervisor.run()


@contextmanager
def running_machine(settings: Settings, output: Output | None = None) -> Iterator[RunningMachine]:
    """Start what is not given by URL, migrate, start the processes; at the end stop all in reverse order.

    Raises SettingsError, RuntimeModeError, DatabaseAwayError.
    """
    given_key = secret_key(settings)
    with Machine(
        settings.data_dir,
        settings.database.url.get_secret_value() if settings.database.url else None,
        settings.broker.url.get_secret_value() if settings.broker.url else None,
        output,
    ) as machine:
        with translated():
            migrate(machine.database_url)
        api_token = settings.api_token.get_secret_value() if settings.api_token else machine.secrets.api_token
        port = _web_port(settings)
        web_url = f"http://{settings.web.host}:{port}"
        environment = {
            "OPENCHANNEL_DATABASE__URL": machine.database_url,
            "OPENCHANNEL_BROKER__URL": machine.broker_url,
            **_secret_key_for_children(settings, given_key or machine.secrets.secret_key),
            "OPENCHANNEL_API_TOKEN": api_token,
            "OPENCHANNEL_WEB__PORT": str(port),
        }
        write_private(machine.data_dir / MACHINE_FILE, "".join(f"{k}={v}\n" for k, v in environment.items()))
        start = machine.supervisor.start
        start(_child("web", ["web"], environment, lambda: _answers(f"{web_url}/healthz")))
        for number in range(1, settings.worker.processes + 1):
            start(_child(f"worker-{number}", ["worker", "--role", WorkerRole.INBOX], environment))
        start(_child("courier", ["worker", "--role", WorkerRole.DELIVERY], environment))
        start(_child("clock", ["clock"], environment))
        try:
            yield RunningMachine(
                supervisor=machine.supervisor,
                database_url=machine.database_url,
                broker_url=machine.broker_url,
                secret_key=given_key or machine.secrets.secret_key,
                api_token=api_token,
                web_url=web_url,
                data_dir=machine.data_dir,
            )
        finally:
            (machine.data_dir / MACHINE_FILE).unlink(missing_ok=True)


def _child(name: str, command: Sequence[str], env: dict[str, str], ready: Callable[[], bool] | None = None) -> Child:
    return Child(name, [sys.executable, "-m", "cli", *command], env=env, ready=ready)


def _secret_key_for_children(settings: Settings, key: str) -> dict[str, str]:
    """A file stays a file: the children and later commands read it themselves."""
    if settings.secret_key_file is not None:
        return {"OPENCHANNEL_SECRET_KEY_FILE": str(settings.secret_key_file.absolute())}
    return {"OPENCHANNEL_SECRET_KEY": ",".join(key.replace(",", " ").split())}


def _web_port(settings: Settings) -> int:
    """The port that was asked for; where none was, the usual one or, if it is taken, a free one."""
    if settings.web.port == 0:
        return free_port()
    if "port" in settings.web.model_fields_set:
        return settings.web.port
    return usable_port(settings.web.port)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as response:  # noqa: S310  our own http URL
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False

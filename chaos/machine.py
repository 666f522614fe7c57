"""The system under test: real servers, the network before them, and the real processes.

FOLDER/postgres/   PostgreSQL, on a small disk where one can be had
FOLDER/valkey/
FOLDER/logs/       what each process wrote
"""

from __future__ import annotations

import base64
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis

from chaos.disk import Disk
from chaos.proxy import Network, Proxy
from chaos.table import Table
from config.topology import WorkerRole
from crm_store.migrations import migrate
from runtime.child import Child
from runtime.output import LogFiles
from runtime.ports import LOOPBACK, accepts_connections, free_port
from runtime.postgres import EmbeddedPostgres
from runtime.private_files import make_private_folder
from runtime.valkey import EmbeddedValkey

VISIBILITY_TIMEOUT = 4.0
"""Seconds."""

MAX_CONNECTIONS = 70
"""The processes have some 35; the rest can be taken from them."""

POSTGRES_SETTINGS = {
    "max_connections": str(MAX_CONNECTIONS),
    "shared_buffers": "64MB",
    # Small, so that a small disk holds it, and so that recovery after a kill takes little.
    "max_wal_size": "128MB",
    "min_wal_size": "48MB",
    "checkpoint_timeout": "30s",
}

SETTINGS = {
    "OPENCHANNEL_BROKER__VISIBILITY_TIMEOUT": f"{VISIBILITY_TIMEOUT:g}",
    # A stopped process loses its locks while it is stopped, and wakes up to find them gone.
    "OPENCHANNEL_DATABASE__IDLE_IN_TRANSACTION_TIMEOUT": "4",
    # Only poison fails of itself: the less time others have, the harder for them. They must not need it.
    "OPENCHANNEL_WORKER__RETRY_FOR": "8",
    # Its lease lasts four times as long.
    "OPENCHANNEL_WORKER__DELIVERY_TIMEOUT": "2",
    # Batches big enough to have neighbours, small enough to be many.
    "OPENCHANNEL_WORKER__BATCH_LIMIT": "40",
    "OPENCHANNEL_LOG__FORMAT": "json",
    "OPENCHANNEL_LOG__LEVEL": "INFO",
}

KINDS = ("web", "worker", "delivery", "clock")
"""The product's processes; the servers are `postgres` and `valkey`."""

START_SECONDS = 120.0
LONGEST_START = 12.0


class MachineError(Exception):
    """What the round cannot do without is not there. The message says what."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How many processes of each kind. disk: megabytes of the small disk under PostgreSQL, 0 for none."""

    webs: int = 2
    workers: int = 4
    deliveries: int = 1
    clocks: int = 2
    disk: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """How many of each kind."""
        return dict(zip(KINDS, (self.webs, self.workers, self.deliveries, self.clocks), strict=True))

    def names(self) -> dict[str, str]:
        """The kind of each process by its name."""
        return {f"{kind}-{number}": kind for kind, count in self.counts.items() for number in range(1, count + 1)}


class Machine:
    """A context: servers and network are up inside it, and everything is killed at its end. Main thread only.

    The processes come with `start`, when the desk is made.
    """

    def __init__(self, folder: Path, layout: Layout, seed: int) -> None:
        self.folder = folder
        self.layout = layout
        self.table = Table(LogFiles(folder / "logs"))
        self.disk: Disk | None = None
        self.secret_key = base64.urlsafe_b64encode(random.Random(f"key {seed}").randbytes(32)).decode()
        self.api_token = f"service token of seed {seed}"
        self.check: Callable[[], None] = lambda: None
        """Called while something is waited for; whatever it raises ends the waiting."""
        self.keep_database = False
        """Whether the database is to outlive the small disk that it stands on, as `database/`."""
        self.web_urls: list[str] = []
        self.start_seconds = 0.0
        """What all processes together take to start: after so long each of them is at work."""
        self.links: dict[tuple[str, str], Proxy] = {}
        """By server and side: the webs have a way of their own to each server, all others share one."""
        self._postgres = EmbeddedPostgres(folder / "postgres", POSTGRES_SETTINGS)
        self._valkey = EmbeddedValkey(folder / "valkey")
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Raises MachineError, RuntimeModeError."""
        with ExitStack() as stack:
            # PostgreSQL may have to pass as another user.
            make_private_folder(self.folder, 0o711)
            self.folder.chmod(0o711)
            if self.layout.disk:
                self.disk = Disk.mount(self._postgres.folder, self.layout.disk)
                if self.disk is not None:
                    stack.callback(self.disk.unmount)
                    stack.callback(self._keep_database)
            self._postgres.prepare()
            self._valkey.prepare()
            network = stack.enter_context(Network())
            stack.callback(self.table.end_all)
            for child in (self._postgres.child(), self._valkey.child()):
                entry = self.table.add(child, child.name)
                self.wait(entry.process.check_ready, f"{child.name} is ready", START_SECONDS)
            migrate(self.database_url)
            for side in ("web", "work"):
                for server, url in (("postgres", self._postgres.url), ("valkey", self._valkey.url)):
                    port = urlsplit(url).port
                    assert port is not None  # noqa: S101  a URL of ours has one
                    self.links[server, side] = network.proxy(f"{server}-{side}", port)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def database_url(self) -> str:
        """Past the network: for the desk, the checks and the faults themselves."""
        return self._postgres.url

    @property
    def broker_url(self) -> str:
        """Past the network."""
        return self._valkey.url

    @property
    def database_log(self) -> Path:
        """What PostgreSQL said."""
        return self.folder / "logs" / "postgres.log"

    def start(self) -> None:
        """Start all of the product's processes, and wait until each web answers."""
        began = time.monotonic()
        for name, kind in self.layout.names().items():
            self.table.add(self._child(name, kind), kind)
        for url in self.web_urls:
            self.wait(lambda url=url: _listens(url), f"{url} answers", START_SECONDS)  # type: ignore[misc]
        self.start_seconds = min(time.monotonic() - began, LONGEST_START)

    def pause(self, seconds: float) -> None:
        """Look after the processes for so long."""
        end = time.monotonic() + seconds
        while True:
            self.table.tick()
            if (left := end - time.monotonic()) <= 0:
                return
            time.sleep(min(0.05, left))

    def wait(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        """Look after the processes until the condition holds. Raises MachineError if it does not in time."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                said = "\n  ".join(["", *self.table.tail("postgres")[-5:]])
                raise MachineError(f"after {seconds:.0f} s still not: {what}{said}")
            self.check()
            self.pause(0.1)

    def ask(self, statement: str, *parameters: object) -> list[tuple[object, ...]]:
        """One statement, past the network. Raises psycopg.Error, also while PostgreSQL is away."""
        with psycopg.connect(self.database_url, autocommit=True, connect_timeout=3) as connection:
            connection.execute("SET statement_timeout = '5s'")
            cursor = connection.execute(statement.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def flush(self) -> bool:
        """Wipe Valkey; whether it was there."""
        try:
            with redis.Redis.from_url(self.broker_url, socket_timeout=3, socket_connect_timeout=3) as client:
                return bool(client.flushall())
        except redis.RedisError:
            return False

    def _keep_database(self) -> None:
        if self.keep_database:
            shutil.copytree(self._postgres.cluster, self.folder / "database")

    def _child(self, name: str, kind: str) -> Child:
        arguments = {
            "web": ["web"],
            "worker": ["worker", "--role", WorkerRole.INBOX],
            "delivery": ["worker", "--role", WorkerRole.DELIVERY],
            "clock": ["clock"],
        }[kind]
        environment = self._environment("web" if kind == "web" else "work")
        if kind == "web":
            port = free_port()
            self.web_urls.append(f"http://{LOOPBACK}:{port}")
            environment = {**environment, "OPENCHANNEL_WEB__PORT": str(port)}
        return Child(
            name=name,
            argv=[sys.executable, "-m", "chaos.process", *arguments],
            env=environment,
            # Also what it gets when we die: whoever is stopped hears nothing else.
            stop_signal=signal.SIGKILL,
        )

    def _environment(self, side: str) -> Mapping[str, str]:
        return {
            **SETTINGS,
            "OPENCHANNEL_DATABASE__URL": _through(self._postgres.url, self.links["postgres", side]),
            "OPENCHANNEL_BROKER__URL": _through(self._valkey.url, self.links["valkey", side]),
            "OPENCHANNEL_SECRET_KEY": self.secret_key,
            "OPENCHANNEL_API_TOKEN": self.api_token,
        }


def _through(url: str, proxy: Proxy) -> str:
    parts = urlsplit(url)
    user, _, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}@{LOOPBACK}:{proxy.port}"))


def _listens(url: str) -> bool:
    port = urlsplit(url).port
    return port is not None and accepts_connections(port)

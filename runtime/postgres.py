"""A PostgreSQL of our own in one folder, as a child of the supervisor.

    FOLDER/cluster/          PostgreSQL's data folder
    FOLDER/password          of the user `openchannel`, readable by the owner alone
    FOLDER/postgresql.conf   written anew at each start

TCP on 127.0.0.1 only, with a password: paths of Unix sockets may not be longer than about 100 bytes.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import structlog

from runtime import launch
from runtime.binaries import PostgresBinaries, find_postgres
from runtime.child import Child
from runtime.errors import FolderUnusableError
from runtime.launch import postgres_identity
from runtime.ports import LOOPBACK, accepts_connections, free_port
from runtime.postmaster import end_leftover, read_pid_file
from runtime.private_files import make_private_folder, read_or_make_secret, sync_folder, write_private

log = structlog.get_logger(__name__)

USER = "openchannel"
DATABASE = "openchannel"

SETTINGS: Mapping[str, str] = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "fsync": "on",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # English messages: we read our own log for troubles that pass.
    "lc_messages": "C",
    "log_destination": "stderr",
    "logging_collector": "off",
    # Details, contexts and statements of errors quote rows, and rows hold what customers wrote.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    # Small statements on few cores: workers would cost more than they bring, and need /dev/shm, small in containers.
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
}

# Letters of all languages are known, and texts sort by code point: the same on every system, at no cost to indexes.
LOCALES_17 = (["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"],)
LOCALES = (["--locale=C.UTF-8"], ["--locale=C"])

PASSING_TROUBLES = (
    r"pre-existing shared memory block|could not bind IPv4 address|lock file \"postmaster.pid\" already exists"
    r"|the database system is (starting up|shutting down)"
)
"""After a `kill -9` the old processes take some seconds to be gone; and a port may be taken since it was chosen."""


class EmbeddedPostgres:
    """One PostgreSQL server. `prepare`, then hand `child()` to a supervisor; `url` is valid when it is ready.

    The caller makes sure that nobody else works on the folder (see `runtime.folder`).
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        """`settings` are added to SETTINGS, or take their place."""
        self.folder = folder.absolute()
        self.cluster = self.folder / "cluster"
        self._settings = {**SETTINGS, **(settings or {})}
        self._port: int | None = None
        self._was_ready = False
        self._password = ""
        self._identity = launch.SAME
        self._binaries: PostgresBinaries | None = None

    @property
    def url(self) -> str:
        """`postgresql://` URL of the database, with its password. It stays the same when the server is restarted."""
        if self._port is None:
            raise RuntimeError("PostgreSQL has not been started yet")
        return f"postgresql://{USER}:{self._password}@{LOOPBACK}:{self._port}/{DATABASE}"

    def prepare(self) -> None:
        """Find the programs, and make the data folder if it is not there yet: some seconds, once.

        Raises BinaryMissingError, NoUnprivilegedUserError, FolderUnusableError.
        """
        make_private_folder(self.folder)
        version_file = self.cluster / "PG_VERSION"
        version = int(version_file.read_text()) if version_file.exists() else None
        self._binaries = find_postgres(version)
        self._identity = postgres_identity(self.folder, self._binaries.postgres)
        self._password = read_or_make_secret(self.folder / "password")
        for unfinished in self.folder.glob("unfinished-*"):
            _remove(unfinished)
        if version is None:
            self._make_cluster(self._binaries)
        self._identity.take_over(self.folder)

    def child(self) -> Child:
        """What a supervisor runs. Only after `prepare`."""
        if self._binaries is None:
            raise RuntimeError("prepare() comes first")
        config = self.folder / "postgresql.conf"
        return Child(
            name="postgres",
            argv=[str(self._binaries.postgres), "-D", str(self.cluster), "-c", f"config_file={config}"],
            # SIGINT ends sessions and writes all down; SIGTERM would wait for the last client to leave.
            stop_signal=signal.SIGINT,
            stop_timeout=20,
            last_signal=signal.SIGQUIT,
            ready=self._is_ready,
            before_start=self._before_start,
            passing_troubles=PASSING_TROUBLES,
            identity=self._identity,
            cwd=self.folder,
        )

    def _before_start(self) -> None:
        end_leftover(self.cluster)
        # The URL is out once the server was ready: from then on only this port will do.
        if self._port is None or not self._was_ready:
            self._port = free_port()
        lines = [f"{name} = '{value}'" for name, value in {**self._settings, "port": self._port}.items()]
        config = self.folder / "postgresql.conf"
        write_private(config, "\n".join(["# Written at each start; changes are lost.", *lines, ""]))
        self._identity.take_over(config)

    def _is_ready(self) -> bool:
        """The postmaster says so in its file, for our port, and the port answers.

        All three: after a `kill -9` the old file may stand there, with its "ready", until the new server is so far.
        """
        noted = read_pid_file(self.cluster)
        ready = (
            noted is not None
            and noted.ready
            and noted.port == self._port
            and self._port is not None
            and accepts_connections(self._port)
        )
        self._was_ready = self._was_ready or ready
        return ready

    def _make_cluster(self, binaries: PostgresBinaries) -> None:
        """Everything in a folder of another name, renamed when it is complete: a killed start leaves no half."""
        if self.cluster.exists():
            raise FolderUnusableError(
                f"{self.cluster} is there but is no PostgreSQL data folder. If it holds nothing of worth, remove it."
            )
        began = time.monotonic()
        unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=self.folder))
        self._identity.take_over(self.folder)
        initdb = [str(binaries.initdb), "-D", str(unfinished), "-U", USER, "--encoding=UTF8"]
        initdb += ["--auth=scram-sha-256", f"--pwfile={self.folder / 'password'}"]
        for locale in LOCALES_17 if binaries.version >= 17 else LOCALES:
            failure = self._run([*initdb, *locale])
            if not failure:
                break
        else:
            raise FolderUnusableError(f"initdb failed:\n{failure}")
        # The single-user server makes the database before anybody can connect: no client is needed for it.
        single = [str(binaries.postgres), "--single", "-D", str(unfinished), "postgres"]
        failure = self._run(single, f"CREATE DATABASE {DATABASE};\n")
        if failure:
            raise FolderUnusableError(f"The database could not be made:\n{failure}")
        unfinished.rename(self.cluster)
        sync_folder(self.folder)
        log.info(
            "PostgreSQL's data folder is made", version=binaries.version, seconds=round(time.monotonic() - began, 1)
        )

    def _run(self, argv: list[str], text: str = "") -> str:
        """What the command said if it failed, else nothing."""
        done = subprocess.run(
            launch.command(argv, identity=self._identity),
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            cwd=self.folder,
            env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
            start_new_session=True,
        )
        # The single-user server goes on after an error, and ends with 0.
        if done.returncode == 0 and not re.search(r"ERROR:|FATAL:|PANIC:", done.stderr):
            return ""
        return f"{done.stdout}{done.stderr}".strip() or f"exit code {done.returncode}"


def _remove(folder: Path) -> None:
    """Remove what a killed initdb left; its last children may still be removing it too."""
    for _ in range(50):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)
    raise FolderUnusableError(f"{folder} cannot be removed; remove it by hand.")

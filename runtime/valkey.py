"""A Valkey (or Redis) of our own, as a child of the supervisor. It keeps nothing on disk: messages there are hints."""

from __future__ import annotations

import secrets
from pathlib import Path

import redis

from runtime.binaries import ValkeyBinary, find_valkey
from runtime.child import Child
from runtime.ports import LOOPBACK, free_port
from runtime.private_files import make_private_folder, write_private


class EmbeddedValkey:
    """One server on 127.0.0.1, with a password. `prepare`, then hand `child()` to a supervisor."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._port: int | None = None
        self._was_ready = False
        self._password = secrets.token_urlsafe(32)
        self._binary: ValkeyBinary | None = None

    @property
    def url(self) -> str:
        """`redis://` URL of database 0, with its password. It stays the same when the server is restarted."""
        if self._port is None:
            raise RuntimeError("Valkey has not been started yet")
        return f"redis://:{self._password}@{LOOPBACK}:{self._port}/0"

    def prepare(self) -> None:
        """Find the program and make the folder. Raises BinaryMissingError, FolderUnusableError."""
        make_private_folder(self.folder)
        self._binary = find_valkey()

    def child(self) -> Child:
        """What a supervisor runs. Only after `prepare`."""
        if self._binary is None:
            raise RuntimeError("prepare() comes first")
        return Child(
            name="valkey",
            argv=[str(self._binary.path), str(self.folder / "valkey.conf")],
            ready=self._is_ready,
            ready_timeout=20,
            before_start=self._before_start,
            passing_troubles=r"Address already in use",
            cwd=self.folder,
        )

    def _before_start(self) -> None:
        # The URL is out once the server was ready: from then on only this port will do.
        if self._port is None or not self._was_ready:
            self._port = free_port()
        settings = [
            "# Written at each start; changes are lost.",
            f"bind {LOOPBACK}",
            f"port {self._port}",
            # In a file, not among the arguments: those are there for every user to see.
            f"requirepass {self._password}",
            f'dir "{self.folder}"',
            "daemonize no",
            'save ""',
            "appendonly no",
            # A broker that drops keys to make room loses task messages silently; one that is full says so.
            "maxmemory-policy noeviction",
        ]
        write_private(self.folder / "valkey.conf", "\n".join([*settings, ""]))

    def _is_ready(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=1, socket_connect_timeout=1) as client:
                return self._note_ready(bool(client.ping()))
        except redis.RedisError:
            return False

    def _note_ready(self, ready: bool) -> bool:
        self._was_ready = self._was_ready or ready
        return ready

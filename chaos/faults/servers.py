"""The servers' own troubles: Valkey wiped, PostgreSQL without connections or without space."""

from __future__ import annotations

import psycopg

from chaos.faults.fault import Fault, Scene
from chaos.machine import MAX_CONNECTIONS

NO_SPACE = b"No space left on device"


class FlushAll(Fault):
    """Every task message is gone."""

    name = "flushall"
    about = "FLUSHALL of Valkey"
    lasts = None
    weight = 2

    def begin(self, scene: Scene, draw: float) -> None:  # noqa: ARG002  as every fault
        self.fired += scene.machine.flush()


class Exhausted(Fault):
    """All connections are taken, and the processes lose theirs: whoever comes again is refused."""

    name = "connections"
    about = "PostgreSQL's connections are exhausted"

    def __init__(self) -> None:
        super().__init__()
        self._held: list[psycopg.Connection[tuple[object, ...]]] = []
        self._refused = 0

    def begin(self, scene: Scene, draw: float) -> None:  # noqa: ARG002  as every fault
        self._refused = 0
        self._take(scene)
        if self._held and self._refused:
            try:
                self._held[0].execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'openchannel %'"
                )
            except psycopg.Error:
                return
            # What has just come free is taken before those who lost it come again, or some of it.
            self._take(scene)

    def go_on(self, scene: Scene) -> None:
        self._take(scene)

    def end(self, scene: Scene) -> None:  # noqa: ARG002  as every fault
        for connection in self._held:
            connection.close()
        self._held.clear()
        self.fired += self._refused > 0

    def _take(self, scene: Scene) -> None:
        """Open connections until there are none."""
        while len(self._held) <= MAX_CONNECTIONS:
            try:
                self._held.append(
                    psycopg.connect(
                        scene.machine.database_url, autocommit=True, connect_timeout=2, application_name="chaos hog"
                    )
                )
            except psycopg.OperationalError as error:
                self._refused += "too many" in str(error) or "remaining connection slots" in str(error)
                return


class FullDisk(Fault):
    """PostgreSQL's disk has no space left: statements fail, or the whole server does, and recovers."""

    name = "full-disk"
    about = "PostgreSQL's disk is full"
    lasts = (3.0, 5.0)

    def __init__(self) -> None:
        super().__init__()
        self._said = 0

    def possible(self, scene: Scene) -> bool:
        return scene.machine.disk is not None

    def begin(self, scene: Scene, draw: float) -> None:  # noqa: ARG002  as every fault
        assert scene.machine.disk is not None  # noqa: S101  else it is not possible
        self._said = scene.machine.database_log.stat().st_size
        scene.machine.disk.fill()

    def go_on(self, scene: Scene) -> None:
        assert scene.machine.disk is not None  # noqa: S101  as above
        scene.machine.disk.fill()

    def end(self, scene: Scene) -> None:
        assert scene.machine.disk is not None  # noqa: S101  as above
        scene.machine.disk.free()
        with scene.machine.database_log.open("rb") as log:
            log.seek(self._said)
            self.fired += NO_SPACE in log.read()

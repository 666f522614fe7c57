"""kill -9 of processes, at any moment of their work; and SIGSTOP."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import psycopg

from chaos.faults.fault import Fault, Scene, pick
from chaos.machine import VISIBILITY_TIMEOUT
from chaos.table import Entry

GONE_SECONDS = 5.0
"""Seconds in which a process that was killed is gone."""


class _Kill(Fault):
    """kill -9 of the process of a kind that has run longest, unless it has only just been started."""

    kind: str
    lasts = None

    def begin(self, scene: Scene, draw: float) -> None:  # noqa: ARG002  as every fault
        table = scene.machine.table
        at_work = [entry for entry in table.of_kind(self.kind) if not entry.stopped]
        oldest = max(at_work, key=lambda entry: entry.process.age(), default=None)
        if oldest is not None and oldest.process.age() > scene.machine.start_seconds:
            self.fired += table.kill(oldest)


class KillWeb(_Kill):
    """A web process, with requests in hand."""

    name = "kill-web"
    about = "kill -9 of a web process"
    kind = "web"
    weight = 4


class KillWorker(_Kill):
    """An inbox worker, in any step."""

    name = "kill-worker"
    about = "kill -9 of an inbox worker"
    kind = "worker"
    weight = 5


class KillDelivery(_Kill):
    """The delivery worker, between an answer's sending and its being written down."""

    name = "kill-delivery"
    about = "kill -9 of the delivery worker"
    kind = "delivery"
    weight = 2


class KillClock(_Kill):
    """A clock, in the middle of timers or hints."""

    name = "kill-clock"
    about = "kill -9 of a clock"
    kind = "clock"
    weight = 3


class KillValkey(_Kill):
    """Valkey; all that it held is gone with it."""

    name = "kill-valkey"
    about = "kill -9 of Valkey"
    kind = "valkey"
    weight = 2


class KillPostgres(_Kill):
    """PostgreSQL's postmaster: it recovers from its log when it is started again."""

    name = "kill-postgres"
    about = "kill -9 of PostgreSQL's postmaster"
    kind = "postgres"
    weight = 1


class KillBackend(Fault):
    """One session's process: PostgreSQL then ends all sessions and recovers."""

    name = "kill-backend"
    about = "kill -9 of a session's process in PostgreSQL"
    weight = 2
    lasts = None

    def begin(self, scene: Scene, draw: float) -> None:
        try:
            rows = scene.machine.ask(
                "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'openchannel %%'"
                " AND backend_type = 'client backend' ORDER BY state <> 'active', pid"
            )
        except psycopg.Error:
            return
        if rows:
            # Those at work come first.
            pid = int(str(pick(draw * draw, rows)[0]))
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self.fired += _gone(pid)


class StopWorker(Fault):
    """SIGSTOP of a worker: its locks and its leases time out, and then it goes on as if nothing were."""

    name = "stop-worker"
    about = "SIGSTOP of a worker beyond the times of locks and leases, then SIGCONT"
    lasts = (VISIBILITY_TIMEOUT + 1.5, VISIBILITY_TIMEOUT + 4)

    def __init__(self) -> None:
        super().__init__()
        self._stopped: tuple[Entry, int | None, float] | None = None

    def begin(self, scene: Scene, draw: float) -> None:
        table = scene.machine.table
        workers = table.of_kind("worker", "delivery")
        if workers:
            entry = pick(draw, workers)
            if table.stop(entry):
                self._stopped = (entry, entry.pid, time.monotonic())

    def end(self, scene: Scene) -> None:
        if self._stopped is None:
            return
        entry, pid, since = self._stopped
        self._stopped = None
        # It counts if it was stopped all the time, and not killed meanwhile.
        if entry.alive and entry.pid == pid:
            scene.machine.table.go_on(entry)
            self.fired += time.monotonic() - since > VISIBILITY_TIMEOUT


def _gone(pid: int) -> bool:
    """Whether a process that is no child of ours has ended, in time."""
    end = time.monotonic() + GONE_SECONDS
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
            if ") Z " in Path(f"/proc/{pid}/stat").read_text(errors="replace"):
                return True
        except OSError:
            return True
        time.sleep(0.01)
    return False

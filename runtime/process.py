"""One run after another of one child: started under the launcher, in a session of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from datetime import UTC, datetime

import structlog

from runtime import launch
from runtime.child import Child, ChildState, ChildStatus
from runtime.output import Output

log = structlog.get_logger(__name__)


class Process:
    """The process of a child, if it runs, and the child's state."""

    def __init__(self, child: Child, output: Output) -> None:
        self.child = child
        self.state = ChildState.STOPPED
        self._output = output
        self._popen: subprocess.Popen[bytes] | None = None
        self._begun = 0.0
        self._since = datetime.now(UTC)
        self._last_exit: int | None = None

    def start(self) -> None:
        """Start it; returns at once. Raises whatever `before_start` raises, and OSError."""
        child = self.child
        if child.before_start is not None:
            child.before_start()
        argv = launch.command(child.argv, death_signal=child.stop_signal, identity=child.identity)
        with self._output.sink(child.name) as sink:
            # A session of its own: the Ctrl-C of a terminal reaches the supervisor alone, which stops in order.
            self._popen = subprocess.Popen(
                argv,
                env={**os.environ, **child.env},
                cwd=child.cwd,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
        self._begun = time.monotonic()
        self._enter(ChildState.STARTING)
        log.debug("child started", child=child.name, pid=self._popen.pid)

    def check_ready(self) -> bool:
        """Whether it is ready; asks the child's `ready` until it was true once in this run."""
        if self.state is ChildState.STARTING and self.exit_code() is None:
            ready = self.child.ready is None or self.child.ready()
            # It may have ended meanwhile, and another server may have answered in its place.
            if ready and self.exit_code() is None:
                self._enter(ChildState.READY)
        return self.state is ChildState.READY

    def exit_code(self) -> int | None:
        """None while it runs. Negative is the number of a signal."""
        return self._popen.poll() if self._popen is not None else 0

    def age(self) -> float:
        """Seconds since its latest start."""
        return time.monotonic() - self._begun

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process alone. Nothing happens if it has ended."""
        if self._popen is not None:
            self._popen.send_signal(number)

    def kill(self) -> None:
        """End it, and what is left of its process group, at once."""
        if self._popen is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()

    def note_end(self, state: ChildState) -> None:
        """The run is over; its helpers, which nobody would look after, end too."""
        self._last_exit = self.exit_code()
        self.kill()
        self._popen = None
        self._enter(state)

    def status(self, restarts: int) -> ChildStatus:
        """For a display."""
        popen = self._popen
        pid = popen.pid if popen is not None else None
        return ChildStatus(self.child.name, self.state, pid, restarts, self._since, self._last_exit)

    def _enter(self, state: ChildState) -> None:
        self.state = state
        self._since = datetime.now(UTC)

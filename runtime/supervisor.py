"""Starts children in order, restarts those that end, stops all in reverse order. One thread, no event loop.

All methods but `status` and `request_stop` belong to the thread that made the supervisor, which must live as long as
the children: the kernel ties the life of a child to the thread that forked it.
"""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import structlog

from runtime.child import Child, ChildState, ChildStatus
from runtime.errors import ChildFailedError, StopRequestedError
from runtime.output import Output
from runtime.process import Process

log = structlog.get_logger(__name__)

TICK_SECONDS = 0.05
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0
STEADY_AFTER_SECONDS = 30.0
"""A child that ran this long has its next restart at once again."""
HURRIED_STOP_SECONDS = 1.0
"""What is left to each child after a second Ctrl-C."""


class Supervisor:
    """Keeps children running. See the module for which thread may call what."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._kept: list[_Kept] = []
        self._stop_requests = 0
        self._thread = threading.get_ident()

    @property
    def stop_requested(self) -> bool:
        """Whether a signal, or `request_stop`, asked for the end."""
        return self._stop_requests > 0

    def request_stop(self) -> None:
        """Ask for the end: waiting calls return or raise soon. A second time, children get less time to end."""
        self._stop_requests += 1

    @contextmanager
    def handling_signals(self) -> Iterator[None]:
        """While the context lasts, SIGINT, SIGTERM and SIGHUP ask for the end. Main thread only."""

        def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the shape of a signal handler
            self.request_stop()

        numbers = [signal.SIGINT, signal.SIGTERM]
        # Under nohup SIGHUP is ignored, and that is what the user wants.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        before = {number: signal.signal(number, note) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def start(self, child: Child) -> None:
        """Start a child and wait until it is ready; meanwhile the others are looked after.

        Raises ChildFailedError, with the last lines that it wrote, if it ends before or is not ready in time; and
        StopRequestedError if the end is asked for meanwhile. In both cases it does not run any more.
        """
        if threading.get_ident() != self._thread:
            raise RuntimeError("a child must be started by the thread that made the supervisor")
        kept = _Kept(child, Process(child, self._output))
        self._kept.append(kept)
        deadline = time.monotonic() + child.ready_timeout
        try:
            kept.process.start()
            while not kept.check_ready():
                if self.stop_requested:
                    raise StopRequestedError(f"the end was asked for while {child.name} was starting")  # noqa: TRY301
                self._first_start_goes_on(kept, deadline)
                self._pause(TICK_SECONDS)
        except BaseException:
            self._end(kept)
            self._kept.remove(kept)
            raise

    def poll(self) -> None:
        """Look at every child once: note what ended, restart what is due. Never blocks for long; call it often."""
        for kept in self._kept:
            if kept.started:
                self._look_after(kept)

    def wait(self, seconds: float) -> None:
        """Look after the children for so long, or until the end is asked for."""
        deadline = time.monotonic() + seconds
        while not self.stop_requested and (left := deadline - time.monotonic()) > 0:
            self._pause(min(TICK_SECONDS, left))

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Look after the children until the end is asked for, or `until` (called about every 50 ms) says so."""
        while not self.stop_requested and not until():
            self._pause(TICK_SECONDS)

    def status(self) -> list[ChildStatus]:
        """Every child, in the order of the starts. Any thread may ask."""
        return [kept.process.status(kept.restarts) for kept in list(self._kept)]

    def stop(self, name: str) -> None:
        """Stop one child for good, and forget it. Raises KeyError if there is none of this name."""
        for kept in reversed(self._kept):
            if kept.child.name == name:
                self._kept.remove(kept)
                self._end(kept)
                return
        raise KeyError(name)

    def stop_all(self) -> None:
        """Stop every child, the latest started first, each with its own signals and times. Never raises for a child."""
        while self._kept:
            self._end(self._kept.pop())

    def _pause(self, seconds: float) -> None:
        time.sleep(seconds)
        self.poll()

    def _first_start_goes_on(self, kept: _Kept, deadline: float) -> None:
        """Raise ChildFailedError if this start cannot succeed any more; try a trouble that passes again."""
        child, process = kept.child, kept.process
        code = process.exit_code()
        late = time.monotonic() > deadline
        if code is None and not late:
            return
        tail = self._output.tail(child.name)
        passing = child.passing_troubles and re.search(child.passing_troubles, "\n".join(tail))
        if code is not None and passing and not late:
            log.info("start is tried again", child=child.name, trouble=tail[-1])
            self.wait(FIRST_PAUSE_SECONDS)
            process.start()
            return
        what = f"did not get ready in {child.ready_timeout:g} s" if code is None else f"ended with exit code {code}"
        raise ChildFailedError("\n  ".join([f"{child.name} {what}. Its last lines:", *tail]))

    def _look_after(self, kept: _Kept) -> None:
        process, now = kept.process, time.monotonic()
        if process.state is ChildState.WAITING:
            if now >= kept.restart_at:
                self._restart(kept)
            return
        code = process.exit_code()
        if code is None:
            if (
                process.state is ChildState.STARTING
                and not kept.check_ready()
                and process.age() > kept.child.ready_timeout
            ):
                log.error("child is not ready in time, it is started again", child=kept.child.name)
                process.kill()
            return
        kept.pause = FIRST_PAUSE_SECONDS if process.age() > STEADY_AFTER_SECONDS else kept.next_pause()
        kept.restart_at = now + kept.pause
        process.note_end(ChildState.WAITING)
        log.error("child ended, it is started again", child=kept.child.name, exit_code=code, in_seconds=kept.pause)

    def _restart(self, kept: _Kept) -> None:
        kept.restarts += 1
        try:
            kept.process.start()
        except Exception:
            kept.pause = kept.next_pause()
            kept.restart_at = time.monotonic() + kept.pause
            log.exception("child cannot be started, it is tried again", child=kept.child.name, in_seconds=kept.pause)

    def _end(self, kept: _Kept) -> None:
        """Stop one child, with its signals one after the other, SIGKILL at the end."""
        child, process = kept.child, kept.process
        steps = [(child.stop_signal, child.stop_timeout)]
        if child.last_signal is not None:
            steps.append((child.last_signal, 5.0))
        for number, seconds in steps:
            process.signal(number)
            begun = time.monotonic()
            while process.exit_code() is None:
                allowed = min(seconds, HURRIED_STOP_SECONDS) if self._stop_requests > 1 else seconds
                if time.monotonic() - begun > allowed:
                    log.warning("child did not end in time", child=child.name, signal=number.name, seconds=allowed)
                    break
                time.sleep(TICK_SECONDS / 2)
        process.kill()
        process.note_end(ChildState.STOPPED)


class _Kept:
    """A child with what the supervisor remembers of its restarts."""

    def __init__(self, child: Child, process: Process) -> None:
        self.child = child
        self.process = process
        self.started = False
        """Whether it was ready once: until then `start` looks after it."""
        self.restarts = 0
        self.pause = 0.0
        self.restart_at = 0.0

    def check_ready(self) -> bool:
        """Whether it is ready; noted at the first yes."""
        if self.process.check_ready():
            self.started = True
        return self.process.state is ChildState.READY

    def next_pause(self) -> float:
        """Seconds to the next restart: 0.5, doubled each time, at most 10."""
        return min(max(self.pause * 2, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)

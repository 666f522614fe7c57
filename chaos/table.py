"""The process table: what runs, restarted at once when it dies, and every death counted."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

import structlog

from runtime.child import Child
from runtime.output import Output
from runtime.process import Process

log = structlog.get_logger(__name__)

PAUSE_AFTER_OWN_END = 0.5
"""Seconds before a process that ended by itself is started again, as one that cannot start yet would do for ever."""

DEATH_SECONDS = 10.0
"""Seconds in which the kernel ends a process that was killed, even one that waits for a disk."""

Environment = Callable[[str], Mapping[str, str]]
"""What is added to the environment of a process, by its name, at each of its starts."""


class Entry:
    """One process, from start to start. `kind` is what it is one of: web, worker, delivery, clock, or a server."""

    def __init__(self, child: Child, kind: str, output: Output) -> None:
        self.child = child
        self.kind = kind
        self.starts = 0
        self.process = Process(child, output)
        self.stopped = False
        """Whether SIGSTOP holds it."""
        self.given: Mapping[str, str] = {}
        """What was added to the environment of this run."""
        self._output = output
        self._again_at = 0.0

    @property
    def name(self) -> str:
        """Its own name, as of its log."""
        return self.child.name

    @property
    def alive(self) -> bool:
        """Whether it runs, stopped or not."""
        return self.starts > 0 and self.process.exit_code() is None

    @property
    def running(self) -> bool:
        """Whether it was started, and its end, if it has ended, has not been seen to."""
        return self.pid is not None

    @property
    def pid(self) -> int | None:
        """Of the run that is under way."""
        return self.process.status(0).pid

    def start(self, environment: Mapping[str, str]) -> None:
        """Start it, again if it had been."""
        self.process = Process(replace(self.child, env={**self.child.env, **environment}), self._output)
        self.stopped = False
        self.given = dict(environment)
        self.starts += 1
        self.process.start()

    def postpone(self) -> None:
        """Not to be started for a moment."""
        self._again_at = time.monotonic() + PAUSE_AFTER_OWN_END

    @property
    def due(self) -> bool:
        """Whether it may be started again."""
        return time.monotonic() >= self._again_at


class Table:
    """All processes of a machine. Its methods belong to the thread that made it, which the kernel ties them to."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._entries: dict[str, Entry] = {}
        self._environment: Environment = lambda _name: {}
        self.ends: Counter[tuple[str, int]] = Counter()
        """How often a process of a kind ended with an exit code, negative for a signal."""
        self.kills = 0
        """How many processes `kill` has killed."""
        self._held: frozenset[str] = frozenset()

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __getitem__(self, name: str) -> Entry:
        return self._entries[name]

    def of_kind(self, *kinds: str) -> list[Entry]:
        """Those that are alive, in the order of their first starts."""
        return [entry for entry in self if entry.kind in kinds and entry.alive]

    def dress(self, environment: Environment) -> None:
        """What is added to the environments from the next starts on."""
        self._environment = environment

    def add(self, child: Child, kind: str) -> Entry:
        """Start one, and keep it running. Raises OSError, and whatever `before_start` raises."""
        entry = Entry(child, kind, self._output)
        entry.start(self._environment(entry.name))
        self._entries[entry.name] = entry
        return entry

    def tail(self, name: str) -> list[str]:
        """The last lines that a process wrote."""
        return self._output.tail(name)

    def tick(self) -> None:
        """Look at all once, and start again what has ended. Never raises for a process."""
        for entry in self:
            if entry.alive:
                entry.process.check_ready()
            elif entry.due and entry.kind not in self._held:
                self._again(entry)

    def kill(self, entry: Entry) -> bool:
        """SIGKILL, and wait for the end; whether that was what ended it. The next tick starts it again."""
        if not entry.alive:
            return False
        entry.process.signal(signal.SIGKILL)
        end = time.monotonic() + DEATH_SECONDS
        while entry.process.exit_code() is None and time.monotonic() < end:
            time.sleep(0.002)
        killed = entry.process.exit_code() == -signal.SIGKILL
        self.kills += killed
        return killed

    def stop(self, entry: Entry) -> bool:
        """SIGSTOP; whether it was alive before."""
        if not entry.alive:
            return False
        entry.process.signal(signal.SIGSTOP)
        entry.stopped = True
        return True

    def go_on(self, entry: Entry) -> None:
        """SIGCONT."""
        if entry.alive:
            entry.process.signal(signal.SIGCONT)
        entry.stopped = False

    def hold(self, kinds: Collection[str]) -> None:
        """Kill all of these kinds, and start none of them again until `release`."""
        self._held = frozenset(kinds)
        for entry in self.of_kind(*kinds):
            self.kill(entry)

    def release(self) -> None:
        """Those that `hold` has killed are started again by the next tick."""
        self._held = frozenset()

    def end_all(self) -> None:
        """SIGKILL to everything, the latest first, and wait for the ends. Never raises."""
        for entry in reversed(list(self)):
            with suppress(Exception):
                entry.process.kill()

    def _again(self, entry: Entry) -> None:
        code = entry.process.exit_code()
        if code is not None and entry.running:
            self.ends[entry.kind, code] += 1
            # What is left of its process group would work on beside its successor.
            entry.process.note_end(entry.process.state)
            if code != -signal.SIGKILL:
                log.info("process ended by itself", name=entry.name, exit_code=code)
                entry.postpone()
                return
        try:
            entry.start(self._environment(entry.name))
        except OSError as error:
            # A full disk takes no configuration file.
            log.info("process cannot be started yet", name=entry.name, error=str(error))
            entry.postpone()

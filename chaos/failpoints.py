"""Where a process can die: between each pair of adjacent side effects of the pipeline.

A side effect is a writing statement (named as in crm_store/sql), BEGIN and COMMIT, a hint's publication, its reception
(popped, then made a request), a call of a channel's API, and an answer over HTTP. Its name begins with
what the process is doing then: the step, the act, the part of a clock's tick, or `accept`. `start` is where that
begins. What is done side by side (several requests) makes a chain each, so that a pair is what follows by itself, and
not what happened to meet.
"""

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

START = "start"
Pair = tuple[str, str]


def read_pairs(text: str) -> frozenset[Pair]:
    """The pairs of `a>b c>d`. Raises ValueError."""
    found = set()
    for word in text.split():
        before, separator, after = word.partition(">")
        if not (before and separator and after):
            raise ValueError(f"{word!r} is not two side effects with > between them")
        found.add((before, after))
    return frozenset(found)


@dataclass(slots=True)
class Chain:
    """What one flow of work has done last. before: what it had done last when its transaction began."""

    scope: str
    last: str
    before: str


class Track:
    """Follows the side effects of one process, and dies or stops where it is told to."""

    def __init__(
        self,
        process: str,
        *,
        trace: Path | None = None,
        kill_between: frozenset[Pair] = frozenset(),
        stop_between: frozenset[Pair] = frozenset(),
        fired: Path | None = None,
    ) -> None:
        """trace: where pairs are written. kill_between: it dies at the first of them. stop_between: it stops, once.

        fired: where either is written down before.
        """
        self._process = process
        self._trace = os.open(trace, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644) if trace else None
        self._kill_between = kill_between
        self._stop_between = stop_between
        self._fired = fired
        self._seen: Counter[Pair] = Counter()
        self._lock = threading.Lock()
        self._chain: ContextVar[Chain | None] = ContextVar("chain", default=None)

    def begin(self, scope: str, last: str = "") -> None:
        """A flow of work begins in this context. last: the side effect that it follows, if it has one."""
        last = last or f"{scope}/{START}"
        self._chain.set(Chain(scope, last, last))

    def effect(self, name: str) -> None:
        """A side effect is about to happen. Nothing is said of flows that have not begun."""
        chain = self._chain.get()
        if chain is None:
            return
        after = f"{chain.scope}/{name}"
        pair = (chain.last, after)
        if pair in self._kill_between:
            self._fire(pair, signal.SIGKILL)
        if pair in self._stop_between:
            self._stop_between = frozenset()
            self._fire(pair, signal.SIGSTOP)
        self._note(pair)
        if name == "BEGIN":
            chain.before = chain.last
        chain.last = after

    def undone(self) -> None:
        """What was done since BEGIN has not happened."""
        chain = self._chain.get()
        if chain is not None:
            chain.last = chain.before

    def _note(self, pair: Pair) -> None:
        if self._trace is None:
            return
        with self._lock:
            self._seen[pair] += 1
            count = self._seen[pair]
        if count & (count - 1) == 0:  # the first, second, fourth, eighth: how often it is seen, in few lines
            os.write(self._trace, "\t".join((self._process, *pair, f"{count}\n")).encode())

    def _fire(self, pair: Pair, number: signal.Signals) -> None:
        with self._lock:  # of several threads the first
            if self._fired is not None:
                file = os.open(self._fired, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
                os.write(file, "\t".join((self._process, *pair, f"{os.getpid()}\n")).encode())
                os.fsync(file)
                os.close(file)
            os.kill(os.getpid(), number)


def pairs(traces: Iterable[Path]) -> list[tuple[str, str, str]]:
    """What was seen, as (process, a, b), the most frequent first. Files that are not there are passed by."""
    return [pair for pair, _ in sorted(counts(traces).items(), key=lambda entry: (-entry[1], entry[0]))]


def counts(traces: Iterable[Path]) -> Counter[tuple[str, str, str]]:
    """About how often each pair was seen: of each process the power of two that it has come to."""
    seen: Counter[tuple[str, str, str]] = Counter()
    for process, before, after, count in _lines(traces):
        # The first line stands for one occurrence, the second for the second, the third for two more, and so on.
        seen[process, before, after] += max(1, int(count) // 2)
    return seen


def fired(files: Iterable[Path]) -> Counter[tuple[str, str, str]]:
    """How often processes died, or stopped, between which side effects, by (process, a, b)."""
    return Counter((process, before, after) for process, before, after, _ in _lines(files))


def _lines(files: Iterable[Path]) -> Iterable[list[str]]:
    for file in files:
        if file.exists():
            for line in file.read_text().splitlines():
                if len(parts := line.split("\t")) == 4:  # a line that a kill has cut short says nothing
                    yield parts

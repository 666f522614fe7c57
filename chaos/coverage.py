"""A crash between each pair of adjacent side effects: which process is told to die where, and where one has died."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaos import failpoints
from chaos.table import Entry, Table

Pair = tuple[str, str, str]
"""Process (web, worker, clock), and the side effects between which it dies."""

PATIENCE = {"web": 10.0, "worker": 10.0, "delivery": 10.0, "clock": 25.0}
"""Seconds of work after which a process that has come to none of its pairs is given others, by its kind."""

IN_ONE_STEP = 2
"""Processes that may be told to die in the same step, at the same time.

Whoever dies alone with an item has it counted, and three times make a dead letter: so somebody must be able to live.
For the same reason one process of each kind is left alone, where there are several.
"""

REST = 8.0
"""Seconds for which a worker that was told to die in a step counts there when it has: whom it struck gets through."""

SELDOM = 3
"""What was seen less often than that may never come again."""
RARE = 5
"""So many times rarer than the most frequent pair of its step, a pair is not waited for."""

PROCESS_OF_KIND = {"web": "web", "worker": "worker", "delivery": "worker", "clock": "clock"}
DELIVER = "deliver"
ACCEPT = "accept"


@dataclass(frozen=True, slots=True)
class _Armed:
    kind: str
    scope: str
    since: float


def scope_of(pair: Pair) -> str:
    """The step, the act, or the part of a clock's tick in which a pair is."""
    return pair[2].partition("/")[0]


def of_pipeline(pair: Pair) -> bool:
    """Whether it is of the pipeline, from accepting to delivery and its clocks; if not, it is of an operator's act."""
    return pair[0] != "web" or scope_of(pair) == ACCEPT


def is_empty(pair: Pair) -> bool:
    """Whether it is a transaction in which nothing is written: who dies in it dies between nothing."""
    return pair[1].endswith("/BEGIN") and pair[2].endswith("/COMMIT")


def frequent(counts: Mapping[Pair, int]) -> list[Pair]:
    """Pairs of the pipeline that will occur again and again, as they have while nothing was wrong.

    Those of an empty transaction are not among them. What is rare is so compared with its own step: a busy machine has
    fewer of everything.
    """
    most: Counter[str] = Counter()
    for pair, count in counts.items():
        most[scope_of(pair)] = max(most[scope_of(pair)], count)
    return [
        pair
        for pair, count in counts.items()
        if of_pipeline(pair) and not is_empty(pair) and count >= max(SELDOM, most[scope_of(pair)] / RARE)
    ]


class Coverage:
    """Which pairs are still to be had, and who is armed with which."""

    def __init__(
        self,
        required: Iterable[Pair],
        others: Iterable[Pair],
        fired_file: Path,
        processes: Mapping[str, int],
        enough: int | None = None,
    ) -> None:
        """required: what is to be covered. others: what is, if it comes to pass.

        processes: how many there are of each kind. enough: so many required pairs are; None: all.
        """
        self._most = {kind: max(1, count - 1) for kind, count in processes.items()}
        self._single = {kind for kind, count in processes.items() if count == 1}
        self.required = tuple(required)
        self.goal = len(self.required) if enough is None else min(enough, len(self.required))
        self.only_required = True
        """Whether nobody is told to die where nothing is required, and all hurry; else it is left to chance.

        The only process of its kind is never left to that: it would die at every start, and do nothing between.
        """
        self.others: tuple[Pair, ...] = ()
        self.learn(others)
        self._fired_file = fired_file
        self._armed: dict[str, _Armed] = {}
        self._struck: dict[tuple[str, str], list[float]] = {}
        self._turns: Counter[tuple[str, str]] = Counter()
        self._fired: Counter[Pair] = Counter()

    def learn(self, pairs: Iterable[Pair]) -> None:
        """These occur too, when something is wrong perhaps."""
        self.others = tuple(dict.fromkeys((*self.others, *(pair for pair in pairs if pair not in self.required))))

    @property
    def fired(self) -> int:
        """Processes that died so, pairs that were met again counted again."""
        return self._fired.total()

    @property
    def missing(self) -> list[Pair]:
        """Where somebody has to die, and nobody has yet; none if enough have."""
        missing = [pair for pair in self.required if not self._fired[pair]]
        return missing if len(self.required) - len(missing) < self.goal else []

    @property
    def met(self) -> int:
        """How many of the pairs where it is required somebody has died between."""
        return sum(self._fired[pair] > 0 for pair in self.required)

    @property
    def covered(self) -> list[Pair]:
        """Where somebody has died, whether he had to or not."""
        return list(self._fired)

    def environment(self, name: str, kind: str) -> Mapping[str, str]:
        """For the next start of a process: where it dies, if it is to."""
        former = self._armed.pop(name, None)
        if former is not None:
            self._struck.setdefault((kind, former.scope), []).append(time.monotonic())
        self._read()
        by_scope = self._free(kind)
        armed = self._told(kind)
        if sum(one.kind == kind for one in self._armed.values()) >= self._most[kind] or not by_scope:
            return {}
        # Steps take turns; those where something is required come first.
        scope = min(
            by_scope, key=lambda scope: (armed[scope], not self._requires(by_scope[scope]), self._turns[kind, scope])
        )
        self._turns[kind, scope] += 1
        self._armed[name] = _Armed(kind, scope, time.monotonic())
        return {
            "CHAOS_KILL_BETWEEN": " ".join(f"{before}>{after}" for _, before, after in by_scope[scope]),
            "CHAOS_FIRED": str(self._fired_file),
        }

    def look(self, table: Table, start_seconds: float) -> None:
        """See who has died; whoever waits in vain is killed, and comes again with something else.

        start_seconds: what a process takes to begin its work.
        """
        self._read()
        for name, armed in list(self._armed.items()):
            entry = table[name]
            late = time.monotonic() - armed.since > start_seconds + PATIENCE[armed.kind]
            if late and entry.alive and not entry.stopped:
                table.kill(entry)
        for kind, most in self._most.items():
            self._arm_another(table, kind, most)

    def _arm_another(self, table: Table, kind: str, most: int) -> None:
        """Where fewer are armed than may be, the one that has run longest is started again."""
        entries = [entry for entry in table if entry.kind == kind]
        armed = [entry for entry in entries if entry.name in self._armed]
        if len(armed) >= most or not self._requires(pair for pairs in self._free(kind).values() for pair in pairs):
            return
        free = [entry for entry in entries if entry not in armed and entry.alive and not entry.stopped]
        if free and all(entry.alive for entry in entries):
            table.kill(max(free, key=_age))

    def _told(self, kind: str) -> Counter[str]:
        """How many of a kind are told to die in each step, or were a moment ago."""
        told = Counter(one.scope for one in self._armed.values() if one.kind == kind)
        if kind == "worker":
            since = time.monotonic() - REST
            for (struck, scope), times in self._struck.items():
                told[scope] += sum(at > since for at in times) if struck == kind else 0
        return told

    def _free(self, kind: str) -> dict[str, list[Pair]]:
        """As `_open`, where somebody more may be told to die now."""
        told = self._told(kind)
        only_required = self.only_required or kind in self._single
        return {
            scope: pairs
            for scope, pairs in self._open(kind).items()
            if told[scope] < IN_ONE_STEP and (self._requires(pairs) or not only_required)
        }

    def _open(self, kind: str) -> dict[str, list[Pair]]:
        """Pairs that nobody has died between yet and that processes of this kind come past, by scope."""
        found: dict[str, list[Pair]] = {}
        for pair in (*self.required, *self.others):
            if pair[0] == PROCESS_OF_KIND[kind] and not self._fired[pair]:
                scope = scope_of(pair)
                if kind in ("web", "clock") or (kind == "delivery") is (scope == DELIVER):
                    found.setdefault(scope, []).append(pair)
        return found

    def _requires(self, pairs: Iterable[Pair]) -> bool:
        missing = set(self.missing)
        return any(pair in missing for pair in pairs)

    def _read(self) -> None:
        self._fired = failpoints.fired([self._fired_file])


def _age(entry: Entry) -> float:
    return entry.process.age()


def names_of(pairs: Sequence[Pair]) -> list[str]:
    """For a report."""
    return [f"{process}: {before} > {after}" for process, before, after in pairs]

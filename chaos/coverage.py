"""A crash between each pair of adjacent side effects: which process is told to die where, and where one has died."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaos import failpoints
from chaos.table import Entry, Table

Pair = tuple[str, str, str]
"""Process (web, worker, clock), and the side effects between which it dies."""

PATIENCE = 10.0
"""Seconds after which a process that has not come to its pair is given another one."""

ARMED_AT_ONCE = {"web": 1, "worker": 2, "delivery": 1, "clock": 1}
"""Processes of a kind that are told to die at the same time: the others go on with the work.

Whoever dies alone with an item has it counted (three times make a dead letter), so the next of its kind must be able to
live.
"""

PROCESS_OF_KIND = {"web": "web", "worker": "worker", "delivery": "worker", "clock": "clock"}
DELIVER = "deliver/"


@dataclass(frozen=True, slots=True)
class _Armed:
    pair: Pair
    since: float


class Coverage:
    """Which pairs are still to be had, and who is armed with which."""

    def __init__(self, pairs: Sequence[Pair], fired_file: Path) -> None:
        """pairs: what is to be covered, in the order of trying."""
        self.pairs = tuple(pairs)
        self._fired_file = fired_file
        self._armed: dict[str, _Armed] = {}
        self._tries: Counter[Pair] = Counter()
        self._fired: Counter[Pair] = Counter()

    @property
    def fired(self) -> int:
        """Processes that died so, pairs that were met again counted again."""
        return self._fired.total()

    @property
    def missing(self) -> list[Pair]:
        """Where nobody has died yet."""
        return [pair for pair in self.pairs if not self._fired[pair]]

    @property
    def covered(self) -> int:
        """Pairs between which a process has died."""
        return len(self.pairs) - len(self.missing)

    def environment(self, name: str, kind: str) -> Mapping[str, str]:
        """For the next start of a process: where it dies, if it is to."""
        self._armed.pop(name, None)
        self._read()
        pair = self._next(kind)
        if pair is None:
            return {}
        self._armed[name] = _Armed(pair, time.monotonic())
        self._tries[pair] += 1
        return {"CHAOS_KILL_BETWEEN": f"{pair[1]}>{pair[2]}", "CHAOS_FIRED": str(self._fired_file)}

    def look(self, table: Table) -> None:
        """See who has died; whoever waits in vain, or for what was met elsewhere, is killed and comes again."""
        self._read()
        for name, armed in list(self._armed.items()):
            entry = table[name]
            late = time.monotonic() - armed.since > PATIENCE
            if entry.alive and not entry.stopped and (late or self._fired[armed.pair]):
                table.kill(entry)
        for kind in ARMED_AT_ONCE:
            self._arm_another(table, kind)

    def _arm_another(self, table: Table, kind: str) -> None:
        """Where fewer are armed than may be, the one that has run longest is started again."""
        entries = [entry for entry in table if entry.kind == kind]
        armed = [entry for entry in entries if entry.name in self._armed]
        if len(armed) >= ARMED_AT_ONCE[kind] or not any(self._of(kind, pair) for pair in self.missing):
            return
        free = [entry for entry in entries if entry not in armed and entry.alive and not entry.stopped]
        if free and all(entry.alive for entry in entries):
            table.kill(max(free, key=_age))

    def _next(self, kind: str) -> Pair | None:
        """The pair that was tried least, of a step in which nobody else of this kind is armed."""
        taken = [armed.pair for armed in self._armed.values()]
        if sum(self._of(kind, pair) for pair in taken) >= ARMED_AT_ONCE[kind]:
            return None
        scopes = {_scope(pair) for pair in taken if pair[0] == PROCESS_OF_KIND[kind]}
        open_pairs = [pair for pair in self.missing if self._of(kind, pair) and _scope(pair) not in scopes]
        return min(open_pairs, key=lambda pair: self._tries[pair], default=None)

    def _of(self, kind: str, pair: Pair) -> bool:
        """Whether a process of this kind comes past this pair."""
        if pair[0] != PROCESS_OF_KIND[kind]:
            return False
        return kind not in ("worker", "delivery") or (kind == "delivery") is pair[2].startswith(DELIVER)

    def _read(self) -> None:
        self._fired = failpoints.fired([self._fired_file])


def _scope(pair: Pair) -> str:
    return pair[2].partition("/")[0]


def _age(entry: Entry) -> float:
    return entry.process.age()

"""CPU seconds of processes by kind, from /proc: a process, all below it, and what has ended below it."""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class _Process:
    parent: int
    seconds: float


def cpu_seconds(roots: Mapping[str, Iterable[int]]) -> dict[str, float]:
    """CPU seconds so far of these processes and their descendants, by kind. Nothing where there is no /proc."""
    if not PROC.is_dir():
        return {}
    processes = _read_all()
    below: dict[int, list[int]] = defaultdict(list)
    for pid, process in processes.items():
        below[process.parent].append(pid)
    return {kind: sum(_of_tree(pid, processes, below) for pid in pids) for kind, pids in roots.items()}


def _of_tree(pid: int, processes: Mapping[int, _Process], below: Mapping[int, list[int]]) -> float:
    own = processes[pid].seconds if pid in processes else 0.0
    return own + sum(_of_tree(child, processes, below) for child in below.get(pid, ()))


def _read_all() -> dict[int, _Process]:
    tick = os.sysconf("SC_CLK_TCK")
    found = {}
    for folder in PROC.iterdir():
        if folder.name.isdecimal():
            try:
                # The command's name stands in brackets and may hold anything.
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended meanwhile
            # utime, stime, and those of children that have ended and were waited for.
            found[int(folder.name)] = _Process(int(fields[1]), sum(map(int, fields[11:15])) / tick)
    return found

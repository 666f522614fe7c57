"""CPU seconds and memory of processes by kind, from /proc: a process and all below it."""

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")

AT_REST = 0.1
"""CPU seconds that all processes of a system need in a second while nothing is to be done, at the most."""


@dataclass(frozen=True, slots=True)
class _Process:
    parent: int
    seconds: float
    resident: int


def cpu_seconds(roots: Mapping[str, Iterable[int]]) -> dict[str, float]:
    """CPU seconds so far of these processes and their descendants, ended ones too, by kind.

    Nothing where there is no /proc.
    """
    return {kind: sum(one.seconds for one in processes) for kind, processes in _by_kind(roots).items()}


def resident_bytes(roots: Mapping[str, Iterable[int]]) -> dict[str, int]:
    """Resident memory of these processes and their descendants, shared pages counted for each, by kind.

    Nothing where there is no /proc.
    """
    return {kind: sum(one.resident for one in processes) for kind, processes in _by_kind(roots).items()}


def wait_until_at_rest(
    roots: Callable[[], Mapping[str, Iterable[int]]], wait: Callable[[float], None], seconds: float
) -> None:
    """Wait until these processes do next to nothing, so long at the most: starting is not what is measured.

    wait: lets so many seconds pass.
    """
    before, deadline = sum(cpu_seconds(roots()).values()), time.monotonic() + seconds
    while time.monotonic() < deadline:
        wait(1.0)
        now = sum(cpu_seconds(roots()).values())
        if now - before <= AT_REST:
            return
        before = now


def _by_kind(roots: Mapping[str, Iterable[int]]) -> dict[str, list[_Process]]:
    if not PROC.is_dir():
        return {}
    processes = _read_all()
    below: dict[int, list[int]] = defaultdict(list)
    for pid, process in processes.items():
        below[process.parent].append(pid)
    return {kind: [one for pid in pids for one in _tree(pid, processes, below)] for kind, pids in roots.items()}


def _tree(pid: int, processes: Mapping[int, _Process], below: Mapping[int, list[int]]) -> Iterator[_Process]:
    if pid in processes:
        yield processes[pid]
    for child in below.get(pid, ()):
        yield from _tree(child, processes, below)


def _read_all() -> dict[int, _Process]:
    tick, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    found = {}
    for folder in PROC.iterdir():
        if folder.name.isdecimal():
            try:
                # The command's name stands in brackets and may hold anything.
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended meanwhile
            # utime, stime, and those of children that have ended and were waited for.
            found[int(folder.name)] = _Process(
                int(fields[1]), sum(map(int, fields[11:15])) / tick, int(fields[21]) * page
            )
    return found

"""Memory of processes, from /proc."""

from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
MEGABYTE = 1024  # /proc counts in KiB


def resident(pid: int) -> float | None:
    """MiB that a process has in memory (RSS); None if it is gone, or there is no /proc."""
    return _sum(pid, ("Rss",))


def private(pids: Iterable[int]) -> float:
    """MiB that these processes have for themselves (USS): what they share is nobody's."""
    return sum(_sum(pid, ("Private_Clean", "Private_Dirty")) or 0.0 for pid in pids)


def children(pid: int) -> list[int]:
    """Direct children of a process."""
    try:
        found = [path.read_text().split() for path in (PROC / str(pid) / "task").glob("*/children")]
    except OSError:
        return []
    return [int(child) for some in found for child in some]


def _sum(pid: int, names: tuple[str, ...]) -> float | None:
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return None
    fields = (line.split() for line in lines)
    return sum(int(field[1]) for field in fields if field[0].rstrip(":") in names) / MEGABYTE

"""Which of the claimed items a step runs together."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from crm_store.inbox import ClaimedItem


@dataclass(frozen=True, slots=True)
class Batch:
    """Items that run together, in the order of each chat.

    more: claimed items were left out. suspects_left: those left out that are under suspicion and first of their chat.
    """

    items: tuple[ClaimedItem, ...]
    more: bool
    suspects_left: frozenset[int] = frozenset()


def choose(lines: Sequence[Sequence[ClaimedItem]], limit: int, only: Collection[int] | None = None) -> Batch:
    """Up to `limit` items from the lines' beginnings; trusted ones before those under suspicion.

    only: ids to which the choice is restricted. Items under suspicion of having crashed a worker run in a batch
    of their own, no larger than the smallest limit among those that could come first, nor than that of any of them.
    """
    suspects = tuple(line[0] for line in lines if line and line[0].batch_limit is not None)
    taken = _take(lines, limit, only, suspected=False)
    if not taken and suspects:
        smallest = min(item.batch_limit for item in suspects if item.batch_limit is not None)
        taken = _take(lines, min(limit, smallest), only, suspected=True)
    left = frozenset(item.inbox_id for item in suspects).difference(item.inbox_id for item in taken)
    return Batch(taken, more=len(taken) < sum(map(len, lines)), suspects_left=left)


def _take(
    lines: Iterable[Sequence[ClaimedItem]], limit: int, only: Collection[int] | None, *, suspected: bool
) -> tuple[ClaimedItem, ...]:
    """The lines take turns, the longest waiting first: a flood in one chat does not stand before all others."""
    taken: list[ClaimedItem] = []
    open_lines = [iter(line) for line in sorted((line for line in lines if line), key=lambda line: line[0].inbox_id)]
    while open_lines:
        still_open = []
        for line in open_lines:
            item = next(line, None)
            if item is None:
                continue
            if (item.batch_limit is not None) is not suspected or (only is not None and item.inbox_id not in only):
                continue  # what stands behind it has to wait for it
            if item.batch_limit is not None:
                if item.batch_limit <= len(taken):
                    continue
                limit = min(limit, item.batch_limit)
            if len(taken) >= limit:
                return tuple(taken)
            taken.append(item)
            still_open.append(line)
        open_lines = still_open
    return tuple(taken)

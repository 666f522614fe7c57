"""Which of the claimed items a step runs together."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from crm_store.inbox import ClaimedItem


@dataclass(frozen=True, slots=True)
class Batch:
    """Items that run together, in the order of each chat. more: claimed items were left out."""

    items: tuple[ClaimedItem, ...]
    more: bool


def choose(lines: Sequence[Sequence[ClaimedItem]], limit: int, only: Collection[int] | None = None) -> Batch:
    """Up to `limit` items from the lines' beginnings; trusted ones before those under suspicion.

    only: ids to which the choice is restricted. Items under suspicion of having crashed a worker run in a batch
    of their own, no larger than the smallest limit among those that could come first, nor than that of any of them.
    """
    trusted = _take(lines, limit, only, suspected=False)
    if trusted:
        return Batch(trusted, more=len(trusted) < sum(map(len, lines)))
    limits = [line[0].batch_limit for line in lines if line and line[0].batch_limit is not None]
    if not limits:
        return Batch((), more=False)
    suspected = _take(lines, min(limit, *limits), only, suspected=True)
    return Batch(suspected, more=len(suspected) < sum(map(len, lines)))


def _take(
    lines: Iterable[Sequence[ClaimedItem]], limit: int, only: Collection[int] | None, *, suspected: bool
) -> tuple[ClaimedItem, ...]:
    taken: list[ClaimedItem] = []
    for line in lines:
        for item in line:
            if len(taken) >= limit:
                return tuple(taken)
            if (item.batch_limit is not None) is not suspected or (only is not None and item.inbox_id not in only):
                break  # what stands behind it has to wait for it
            if item.batch_limit is not None:
                if item.batch_limit <= len(taken):
                    break
                limit = min(limit, item.batch_limit)
            taken.append(item)
    return tuple(taken)

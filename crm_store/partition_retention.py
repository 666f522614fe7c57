"""Old partitions go as a whole: tables whose rows were all received too long ago.

What has to stay is moved to the default partition in the same short transaction. A part is one transaction of the
caller; between two of them nothing is half-done, and another clock, or this one after a kill, goes on from there.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from crm_store import partitions
from crm_store.database import Connection
from crm_store.errors import BusyError
from crm_store.partitions import MOST_MOVED, NotOwnerError, Partition

MESSAGES_AT_ONCE = 5000
TRIES = 5
"""How often a partition is tried to be dropped in a round, while others have the table."""


class PartitionRetention:
    """Of one round. connection: that of the part which is under way; its time limits last to the part's end."""

    def __init__(self, connection: Callable[[], Connection]) -> None:
        self._connection = connection
        self.dropped: list[str] = []

    def inbox(self, days: int) -> Iterator[None]:
        """Drop old partitions in which only a few rows are left, after the old ones were deleted row by row.

        A row of the inbox goes with its state, in one commit: no erase or export meets one without the other.
        """
        parts = partitions.old(self._connection(), "inbox", days)
        for part in parts:
            almost_empty = self._may_change(part) and partitions.is_almost_empty(self._connection(), part)
            yield
            if almost_empty:
                for _ in self._take_off(part, partial(self._take_off_items, part)):
                    yield
        if self._renew_statistics(parts):
            yield

    def messages(self, days: int) -> Iterator[int]:
        """Drop old partitions of the history after their deliveries; yields how many messages went in each part.

        One of which very many messages wait to be sent stays, to be emptied row by row.
        """
        parts = partitions.old(self._connection(), "messages", days)
        for part in parts:
            seen = 0
            kept: list[tuple[int, int]] = []
            last: tuple[int, int] | None = (0, 0)
            while last is not None and len(kept) <= MOST_MOVED and self._may_change(part):
                cleared = partitions.clear_deliveries(self._connection(), part, last, MESSAGES_AT_ONCE)
                seen, last = seen + cleared.seen, cleared.last
                kept += cleared.kept
                yield 0
            if last is None and len(kept) <= MOST_MOVED:
                for moved in self._take_off(part, partial(self._take_off_messages, part, kept)):
                    yield 0 if moved is None else seen - moved
        if self._renew_statistics(parts):
            yield 0

    def _take_off_items(self, part: Partition) -> int:
        return partitions.take_off_items(self._connection(), part)

    def _take_off_messages(self, part: Partition, kept: Sequence[tuple[int, int]]) -> int:
        return partitions.take_off_messages(self._connection(), part, kept)

    def _take_off(self, part: Partition, work: Callable[[], int]) -> Iterator[int | None]:
        """Yields None after each try for which others were in the way, and at last how many rows stay."""
        for _ in range(TRIES):
            if not self._may_change(part):
                return
            try:
                moved = work()
            except NotOwnerError:
                return
            except BusyError:
                yield None
            else:
                self.dropped.append(part.name)
                yield moved
                return

    def _renew_statistics(self, parts: Sequence[Partition]) -> bool:
        """If one of these was dropped. Returns whether it was."""
        dropped = [part for part in parts if part.name in self.dropped]
        if dropped:
            partitions.renew_statistics(self._connection(), dropped[0])
        return bool(dropped)

    def _may_change(self, part: Partition) -> bool:
        """To the end of the transaction it is there, and nobody else drops it."""
        here = self._connection()
        return partitions.take_turn(here) and part in partitions.existing(here, part.table)

"""What is going to happen, in the order of time."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from tracker.simulation.world import Dialog


class Kind(IntEnum):
    """What comes first at one moment: slots become free before they are given away, and an acceptance is in time."""

    COURSE = 0
    PRESENCE = 1
    PRESENT = 2
    ACCEPT = 3
    HANDOVER = 4


@dataclass(frozen=True, slots=True, order=True)
class _Scheduled:
    at: float
    kind: Kind
    number: int
    happens: Callable[[], None] = field(compare=False)
    dialog: Dialog | None = field(default=None, compare=False)
    edition: int = field(default=0, compare=False)

    @property
    def is_void(self) -> bool:
        return self.dialog is not None and self.dialog.edition != self.edition


class Agenda:
    """now: seconds since the beginning of the period."""

    def __init__(self) -> None:
        self.now = 0.0
        self._number = 0
        self._entries: list[_Scheduled] = []

    def add(self, at: float, kind: Kind, happens: Callable[[], None], dialog: Dialog | None = None) -> None:
        """It will happen, unless the dialog is in another edition by then."""
        self._number += 1
        edition = 0 if dialog is None else dialog.edition
        heapq.heappush(self._entries, _Scheduled(at, kind, self._number, happens, dialog, edition))

    def run(self, until: float) -> None:
        """All that happens up to then, and what follows from it."""
        while self._entries and self._entries[0].at <= until:
            entry = heapq.heappop(self._entries)
            if not entry.is_void:
                self.now = max(self.now, entry.at)
                entry.happens()
        self.now = max(self.now, until)

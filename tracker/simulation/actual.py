"""What really happened in the period, counted as the simulations are."""

import heapq
from collections.abc import Iterable

from tracker.simulation.figures import Figures, Tally, figures_of
from tracker.simulation.recording import Arrival, Recording


class ActualPeriod:
    """Hand in all arrivals, then take the figures, once. Times at limits are not recorded."""

    def __init__(self, recording: Recording, open_channel_ids: Iterable[int]) -> None:
        self._length = recording.length
        self._tallies = {one: Tally() for one in open_channel_ids}
        self._waiting: dict[int, list[float]] = {}
        for one in sorted(recording.open_dialogs, key=lambda each: each.arrival.at):
            self._count(one.arrival, within=False)
            self._ends(one.arrival, 0.0, queued=one.holder_id is None)

    def arrive(self, arrival: Arrival) -> None:
        """The next dialog begins; none is older than the one before."""
        tally = self._of(arrival.open_channel_id)
        tally.arrivals += 1
        self._count(arrival, within=True)
        self._ends(arrival, arrival.at, queued=True)

    def finish(self) -> Figures:
        """The period is over."""
        return figures_of(self._tallies, limits=False)

    def _of(self, open_channel_id: int) -> Tally:
        return self._tallies.setdefault(open_channel_id, Tally())

    def _within(self, at: float) -> bool:
        return 0 <= at < self._length

    def _count(self, arrival: Arrival, *, within: bool) -> None:
        tally = self._of(arrival.open_channel_id)
        for number, (at, operator_id) in enumerate(arrival.assignments):
            if self._within(at):
                tally.assigned(operator_id, at - arrival.at if within else None, first=number == 0)
        for at, operator_id in arrival.losses:
            if self._within(at):
                tally.of(operator_id).handovers_lost += 1
        by, at_last = arrival.accepted_by, arrival.accepted_at
        if within and by is not None and at_last is not None and self._within(at_last):
            tally.of(by).to_acceptance.append(at_last - arrival.at)

    def _ends(self, arrival: Arrival, since: float, *, queued: bool) -> None:
        """When it stopped waiting for an operator, and whether it was still anybody's at the end."""
        tally = self._of(arrival.open_channel_id)
        got = [at for at, _ in arrival.assignments if at >= since]
        ends = [at for at in (*got[:1], arrival.accepted_at, arrival.closed_at) if at is not None and at >= since]
        until = min(ends, default=self._length)
        if queued and until > since:
            self._waits(arrival.open_channel_id, tally, since, until)
        if queued and until >= self._length:
            tally.never_assigned += 1
        elif arrival.closed_at is None or arrival.closed_at >= self._length:
            tally.cut_off += 1

    def _waits(self, open_channel_id: int, tally: Tally, since: float, until: float) -> None:
        waiting = self._waiting.setdefault(open_channel_id, [])
        while waiting and waiting[0] <= since:
            heapq.heappop(waiting)
        heapq.heappush(waiting, until)
        tally.longest_backlog = max(tally.longest_backlog, len(waiting))

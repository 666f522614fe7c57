"""What is counted in a period, simulated or real."""

import math
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True, slots=True)
class Waiting:
    """Waiting times in seconds; all None if nobody waited for it. p90: nine of ten waited at most so long."""

    n: int = 0
    median: float | None = None
    p90: float | None = None
    longest: float | None = None

    @classmethod
    def of(cls, seconds: Iterable[float]) -> "Waiting":
        """Of these times."""
        times = sorted(seconds)
        if not times:
            return cls()
        return cls(len(times), median(times), times[math.ceil(len(times) * 0.9) - 1], times[-1])


@dataclass(frozen=True, slots=True)
class OperatorFigures:
    """assignments: by a policy, or by accepting an offer. first_assignments: of dialogs that nobody had before (D13).

    handovers_lost: assignments that he let pass (D5). seconds_at_limit, times_at_limit: how long and how often he could
    be given no more here for a limit (D7), while he was available; None where it is not recorded. to_assignment: of the
    dialogs that arrived in the period and were his first. to_acceptance: of those that he accepted.
    """

    assignments: int = 0
    first_assignments: int = 0
    handovers_lost: int = 0
    seconds_at_limit: float | None = None
    times_at_limit: int | None = None
    to_assignment: Waiting = Waiting()
    to_acceptance: Waiting = Waiting()


@dataclass(frozen=True, slots=True)
class OpenChannelFigures:
    """arrivals: dialogs that began here. Waiting times are theirs, from the arrival on.

    never_assigned: began here, or were open at the beginning, and waited to the end. cut_off: an operator had them at
    the end. longest_backlog: most dialogs that waited for an operator at one moment.
    """

    arrivals: int
    operators: Mapping[int, OperatorFigures]
    to_assignment: Waiting
    to_acceptance: Waiting
    never_assigned: int
    cut_off: int
    longest_backlog: int


@dataclass(frozen=True, slots=True)
class Figures:
    """By open channel; and the waiting times of all."""

    open_channels: Mapping[int, OpenChannelFigures]
    to_assignment: Waiting
    to_acceptance: Waiting


@dataclass(slots=True)
class OperatorTally:
    """Counts up what `OperatorFigures` says."""

    assignments: int = 0
    first_assignments: int = 0
    handovers_lost: int = 0
    seconds_at_limit: float = 0.0
    times_at_limit: int = 0
    to_assignment: "array[float]" = field(default_factory=lambda: array("d"))
    to_acceptance: "array[float]" = field(default_factory=lambda: array("d"))

    def figures(self, *, limits: bool) -> OperatorFigures:
        """limits: whether times at a limit are known."""
        return OperatorFigures(
            self.assignments,
            self.first_assignments,
            self.handovers_lost,
            self.seconds_at_limit if limits else None,
            self.times_at_limit if limits else None,
            Waiting.of(self.to_assignment),
            Waiting.of(self.to_acceptance),
        )


@dataclass(slots=True)
class Tally:
    """Counts up what `OpenChannelFigures` says."""

    arrivals: int = 0
    never_assigned: int = 0
    cut_off: int = 0
    longest_backlog: int = 0
    operators: dict[int, OperatorTally] = field(default_factory=dict)

    def of(self, operator_id: int) -> OperatorTally:
        """An operator's."""
        tally = self.operators.get(operator_id)
        if tally is None:
            tally = self.operators[operator_id] = OperatorTally()
        return tally

    def assigned(self, operator_id: int, waited: float | None, *, first: bool) -> None:
        """He was given a dialog. waited: of one that arrived in the period, None for an older one."""
        tally = self.of(operator_id)
        tally.assignments += 1
        if first:
            tally.first_assignments += 1
            if waited is not None:
                tally.to_assignment.append(waited)

    def figures(self, *, limits: bool) -> OpenChannelFigures:
        """limits: whether times at a limit are known."""
        tallies = self.operators.values()
        return OpenChannelFigures(
            arrivals=self.arrivals,
            operators={one: tally.figures(limits=limits) for one, tally in sorted(self.operators.items())},
            to_assignment=Waiting.of(seconds for tally in tallies for seconds in tally.to_assignment),
            to_acceptance=Waiting.of(seconds for tally in tallies for seconds in tally.to_acceptance),
            never_assigned=self.never_assigned,
            cut_off=self.cut_off,
            longest_backlog=self.longest_backlog,
        )


def figures_of(tallies: Mapping[int, Tally], *, limits: bool) -> Figures:
    """limits: whether times at a limit are known."""
    operators = [one for tally in tallies.values() for one in tally.operators.values()]
    return Figures(
        {one: tally.figures(limits=limits) for one, tally in tallies.items()},
        Waiting.of(seconds for one in operators for seconds in one.to_assignment),
        Waiting.of(seconds for one in operators for seconds in one.to_acceptance),
    )

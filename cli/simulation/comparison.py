"""What really happened, what would have happened now, and with the file: side by side."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cli.simulation.configurations import Names
from cli.simulation.period import shown
from crm_store.recordings import Period
from tracker.simulation import Figures, OpenChannelFigures, OperatorFigures, Waiting

_NOBODY = OperatorFigures()
_NOTHING = OpenChannelFigures(0, {}, Waiting(), Waiting(), 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Three:
    """One figure thrice; None where it is not known."""

    really: float | None
    now: float | None
    desk: float | None

    @property
    def difference(self) -> float | None:
        """What the file would change."""
        return None if self.now is None or self.desk is None else self.desk - self.now


@dataclass(frozen=True, slots=True)
class ComparedOpenChannel:
    """One open channel."""

    names: Names
    really: OpenChannelFigures
    now: OpenChannelFigures
    desk: OpenChannelFigures

    def of(self, figure: Callable[[OpenChannelFigures], float | None]) -> Three:
        """A figure of all three."""
        return Three(figure(self.really), figure(self.now), figure(self.desk))

    def operators(self) -> Iterator[tuple[str, tuple[OperatorFigures, OperatorFigures, OperatorFigures]]]:
        """By name."""
        sides = (self.really.operators, self.now.operators, self.desk.operators)
        names = self.names.operators
        for one in sorted({one for side in sides for one in side}, key=lambda one: names.get(one, str(one))):
            really, now, desk = (side.get(one, _NOBODY) for side in sides)
            yield names.get(one, f"operator {one}"), (really, now, desk)

    def as_json(self) -> dict[str, Any]:
        """Without its name."""
        return {
            "operators": [
                {
                    "name": name,
                    "really": asdict(really),
                    "now": asdict(now),
                    "desk": asdict(desk),
                    "difference": desk.assignments - now.assignments,
                }
                for name, (really, now, desk) in self.operators()
            ],
            "really": _without_operators(self.really),
            "now": _without_operators(self.now),
            "desk": _without_operators(self.desk),
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """really: what is recorded. now: simulated as the database is now. desk: simulated with the file.

    source: the file's name. notes: what one has to know to read the figures.
    """

    source: str
    period: Period
    names: Names
    really: Figures
    now: Figures
    desk: Figures
    notes: tuple[str, ...] = ()

    def open_channels(self) -> Iterator[tuple[str, ComparedOpenChannel]]:
        """Those where anything happened, by name."""
        sides = (self.really, self.now, self.desk)
        ids = {one for side in sides for one, figures in side.open_channels.items() if _happened(figures)}
        for one in sorted(ids, key=self._open_channel_name):
            yield (
                self._open_channel_name(one),
                ComparedOpenChannel(self.names, *(side.open_channels.get(one, _NOTHING) for side in sides)),
            )

    def _open_channel_name(self, open_channel_id: int) -> str:
        return self.names.open_channels.get(open_channel_id, f"open channel {open_channel_id}")

    def over_all(self, figure: Callable[[OpenChannelFigures], float | None]) -> Three:
        """The sum of a figure over all open channels."""

        def total(side: Figures) -> float | None:
            found = [figure(one) for one in side.open_channels.values()]
            return None if None in found else sum(filter(None, found))

        return Three(total(self.really), total(self.now), total(self.desk))

    def summary(self) -> str:
        """A sentence."""
        if self.now == self.desk:
            return f"{self.source} would have changed nothing."
        changes = [
            f"{what} {show(three.desk)} instead of {show(three.now)}"
            for what, three, show in (
                ("half of the customers would have had an operator within", self._wait("median"), seconds),
                ("nine of ten within", self._wait("p90"), seconds),
                ("the last one within", self._wait("longest"), seconds),
                ("left without an operator:", self.over_all(lambda one: one.never_assigned), number),
                ("times that somebody reached a limit:", self.over_all(times_at_limit), number),
                ("hand-overs lost:", self.over_all(handovers_lost), number),
            )
            if three.now != three.desk
        ]
        if not changes:
            return f"With {self.source} others would have been given the dialogs, and nobody would have waited longer."
        return f"With {self.source}: {'; '.join(changes)}."

    def _wait(self, of: str) -> Three:
        return Three(*(getattr(one.to_assignment, of) for _, one in self._sides()))

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "from": shown(self.period.since),
            "to": shown(self.period.until),
            "file": self.source,
            "notes": list(self.notes),
            "open_channels": [{"name": name, **one.as_json()} for name, one in self.open_channels()],
            "to_assignment": {side: asdict(one.to_assignment) for side, one in self._sides()},
            "to_acceptance": {side: asdict(one.to_acceptance) for side, one in self._sides()},
            "summary": self.summary(),
        }

    def _sides(self) -> tuple[tuple[str, Figures], ...]:
        return ("really", self.really), ("now", self.now), ("desk", self.desk)


def _without_operators(figures: OpenChannelFigures) -> Mapping[str, Any]:
    document = asdict(figures)
    del document["operators"]
    return document


def _happened(figures: OpenChannelFigures) -> bool:
    assigned = any(one.assignments for one in figures.operators.values())
    return bool(figures.arrivals or figures.never_assigned or figures.cut_off or assigned)


def handovers_lost(figures: OpenChannelFigures) -> float:
    """Assignments that their operators let pass (D5)."""
    return sum(one.handovers_lost for one in figures.operators.values())


def times_at_limit(figures: OpenChannelFigures) -> float | None:
    """How often somebody reached a limit (D7); None where it is not recorded."""
    known = [one.times_at_limit for one in figures.operators.values() if one.times_at_limit is not None]
    return sum(known) if known or not figures.operators else None


def seconds_at_limit(figures: OpenChannelFigures) -> float | None:
    """How long operators were at a limit, added up; None where it is not recorded."""
    known = [one.seconds_at_limit for one in figures.operators.values() if one.seconds_at_limit is not None]
    return sum(known) if known or not figures.operators else None


def number(figure: float | None) -> str:
    """For people."""
    return "-" if figure is None else f"{figure:,.0f}"


def seconds(duration: float | None) -> str:
    """For people: `35 s`, `12 min 5 s`, `3 h 20 min`."""
    if duration is None:
        return "-"
    sign, whole = "-" if round(duration) < 0 else "", abs(round(duration))
    if whole < 120:
        return f"{sign}{whole} s"
    if whole < 7200:
        return f"{sign}{whole // 60} min {whole % 60} s".replace(" 0 s", "")
    return f"{sign}{whole // 3600:,} h {whole % 3600 // 60} min".replace(" 0 min", "")

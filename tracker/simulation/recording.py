"""What was recorded of a period. All times are seconds since its beginning; before it they are negative."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tracker.dialogs import DialogStatus
from tracker.distribution import PassedOver

Course = tuple[tuple[float, DialogStatus], ...]
"""How a dialog went on once it was accepted: seconds since then, and what it became. The last is `closed` if it was."""

Absence = PassedOver | None
"""Why an operator may not be given a dialog (D6), or None if he may."""

DEFAULT_REACTION = 30.0
"""Seconds from an assignment to its acceptance where none was recorded."""

DEFAULT_HANDLING = 600.0
"""Seconds from the acceptance to the close where none was recorded."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A dialog that began, and how it was handled.

    accepted_after: from the assignment or offer to the acceptance; None if nobody accepted it, or who did took it
    from the backlog. accepted: whether somebody did; if not, there is no course. let_pass: who lost it (D5).
    responsible_id: of its card, when it began (D9). assignments: when, and to whom it was really given, by a policy.
    """

    dialog_id: int
    open_channel_id: int
    at: float
    channel_id: int = 0
    accepted_after: float | None = None
    accepted: bool = True
    course: Course = ()
    let_pass: frozenset[int] = frozenset()
    responsible_id: int | None = None
    assignments: tuple[tuple[float, int], ...] = ()
    losses: tuple[tuple[float, int], ...] = ()
    accepted_at: float | None = None
    accepted_by: int | None = None
    closed_at: float | None = None


@dataclass(frozen=True, slots=True)
class OpenDialog:
    """A dialog that was open when the period began. holder_id None: it waited.

    assigned_at: when the holder was given it. accepted_at: when it was accepted, None if it was not yet. status: at
    the beginning. passed_by: who had let it pass. first: nobody had had it (D13).
    """

    arrival: Arrival
    status: DialogStatus
    holder_id: int | None = None
    assigned_at: float = 0.0
    accepted_at: float | None = None
    passed_by: frozenset[int] = frozenset()
    first: bool = True


@dataclass(frozen=True, slots=True)
class Turn:
    """When an operator was last given a first assignment of an open channel, and any: larger is later (D2, D13)."""

    turn: int = 0
    given: int = 0


@dataclass(frozen=True, slots=True)
class Recording:
    """What is known of a period besides its arrivals, which are too many to be held at once.

    length: seconds. presence: by operator, from when on he was how available, in order; the first holds from the
    beginning of time. turns: by open channel and operator, as they were at the beginning. reactions: each operator's
    median from an assignment to its acceptance; reaction, handling: medians over all.
    """

    length: float
    presence: Mapping[int, tuple[tuple[float, Absence], ...]] = field(default_factory=dict)
    open_dialogs: tuple[OpenDialog, ...] = ()
    turns: Mapping[tuple[int, int], Turn] = field(default_factory=dict)
    reactions: Mapping[int, float] = field(default_factory=dict)
    reaction: float | None = None
    handling: float | None = None

    def reaction_of(self, operator_id: int | None) -> float:
        """Seconds in which an operator accepts what nobody has accepted in the record; None: anybody."""
        overall = DEFAULT_REACTION if self.reaction is None else self.reaction
        return overall if operator_id is None else self.reactions.get(operator_id, overall)

    def course_of(self, arrival: Arrival) -> Course:
        """How a dialog goes on once it is accepted; one that nobody accepted is handled for the median time."""
        if arrival.accepted:
            return arrival.course
        return ((DEFAULT_HANDLING if self.handling is None else self.handling, DialogStatus.CLOSED),)

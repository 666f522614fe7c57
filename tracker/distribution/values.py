"""What the policies are shown, and what they answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class PassedOver(StrEnum):
    """Why an operator did not get a dialog (D12)."""

    DISMISSED = "dismissed"
    ON_LEAVE = "on_leave"
    WORKDAY_NOT_STARTED = "workday_not_started"
    WORKDAY_PAUSED = "workday_paused"
    OFFLINE = "offline"
    AWAY = "away"
    AT_LIMIT = "at_limit"
    AT_PERSONAL_LIMIT = "at_personal_limit"
    LATER_IN_TURN = "later_in_turn"
    LATER_IN_ROSTER = "later_in_roster"
    LET_IT_PASS = "let_it_pass"  # noqa: S105  not a password
    NOT_REACHED = "not_reached"
    """The plan did not have to look at him."""


UNLIMITED = 1_000_000
"""Stands for no limit where slots are counted."""


@dataclass(frozen=True, slots=True)
class RosterOperator:
    """An operator of an open channel at this moment.

    position: place in the roster. turn: when he was last given a first assignment of this open channel, or joined it,
    in turns (D2); given: the same for every automatic assignment. held, personal_held: dialogs that count against the
    limits, here and over all (D7). unavailable: why he may not be given anything (D6), None if he may.
    """

    operator_id: int
    position: int
    turn: int
    given: int = 0
    held: int = 0
    limit: int | None = None
    personal_held: int = 0
    personal_limit: int | None = None
    unavailable: PassedOver | None = None

    @property
    def room(self) -> int:
        """How many more dialogs fit under both limits; below zero if he is above one."""
        here = UNLIMITED if self.limit is None else self.limit - self.held
        over_all = UNLIMITED if self.personal_limit is None else self.personal_limit - self.personal_held
        return min(here, over_all)

    @property
    def free(self) -> int:
        """How many more dialogs he may be given."""
        return max(0, self.room)

    @property
    def first_limit(self) -> PassedOver:
        """Which of his limits he comes to first."""
        if self.limit is not None and self.free == max(0, self.limit - self.held):
            return PassedOver.AT_LIMIT
        return PassedOver.AT_PERSONAL_LIMIT

    def absent(self, check_availability: bool) -> PassedOver | None:
        """Why he may not be given a dialog whatever he holds (D6), or None if he may."""
        if self.unavailable is PassedOver.DISMISSED or check_availability:
            return self.unavailable
        return None

    def ineligible(self, check_availability: bool) -> PassedOver | None:
        """Why he may not get a dialog now, or None if he may (D6, D7)."""
        absent = self.absent(check_availability)
        if absent is not None or self.free:
            return absent
        return self.first_limit


@dataclass(frozen=True, slots=True)
class WaitingDialog:
    """A dialog that is to find an operator.

    passed_by: operators who have let it pass (D3). first: nobody had it so far (D13). preferred_id: the card's
    responsible person (D9). holder_id: who has it and loses it, if another can have it (D5).
    """

    dialog_id: int
    passed_by: frozenset[int] = frozenset()
    first: bool = True
    preferred_id: int | None = None
    holder_id: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to one dialog, and why (D12).

    operator_id: who gets it. offered: all eligible operators see it (D4). kept: nobody else can have it, so its holder
    keeps it (D5). None of the three: it waits on (D8). restarted: all had let it pass, it began again at the head (D3).
    passed_over: operators by reason, besides the plan's `ineligible`; unnamed: how many more, by reason.
    """

    dialog_id: int
    rule: str
    operator_id: int | None = None
    offered: bool = False
    kept: bool = False
    restarted: bool = False
    passed_over: Mapping[PassedOver, tuple[int, ...]] = field(default_factory=dict)
    unnamed: Mapping[PassedOver, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """Decisions in the order of the dialogs' age.

    ineligible: who could not be given anything, by reason; it holds for every decision. full: who could, and now cannot
    be given more. turns: of each operator who
    was given a dialog, his new turn and his new `given`. turn: the open channel's.
    """

    decisions: tuple[Decision, ...]
    ineligible: Mapping[PassedOver, tuple[int, ...]]
    turns: Mapping[int, tuple[int, int]]
    turn: int
    full: Mapping[PassedOver, tuple[int, ...]] = field(default_factory=dict)

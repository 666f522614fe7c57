"""The operators of one plan while it is made: who has how many slots left."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from tracker.distribution.values import PassedOver, RosterOperator, WaitingDialog

NAMED = 10
"""Operators whom a decision names for each reason; of more only the number is kept."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a policy says of one dialog. operator_id None: it is offered to all. See `Decision` for the rest."""

    operator_id: int | None
    passed_over: Mapping[PassedOver, Sequence[int]] = field(default_factory=dict)
    unnamed: Mapping[PassedOver, int] = field(default_factory=dict)
    restarted: bool = False


class Bench:
    """available: operators of the roster by id, at a limit or not. ineligible: who could be given nothing, by reason.

    full: who was eligible and has come to a limit, by which.
    """

    def __init__(
        self, roster: Iterable[RosterOperator], responsible: Iterable[RosterOperator], check_availability: bool
    ) -> None:
        self.available: dict[int, RosterOperator] = {}
        self.ineligible: dict[PassedOver, list[int]] = {}
        self.full: dict[PassedOver, list[int]] = {}
        self._room: dict[int, int] = {}
        for operator in roster:
            why = operator.ineligible(check_availability)
            if why is not None:
                self.ineligible.setdefault(why, []).append(operator.operator_id)
            if operator.absent(check_availability) is None:
                self.available[operator.operator_id] = operator
                self._room[operator.operator_id] = operator.room
        self._known = dict(self.available)
        for operator in responsible:
            if operator.absent(check_availability) is None:
                self._known.setdefault(operator.operator_id, operator)
                self._room.setdefault(operator.operator_id, operator.room)
        self.n_with_room = sum(self._room[one] > 0 for one in self.available)

    def has_room(self, operator_id: int) -> bool:
        """Whether he is eligible and under his limits, this plan's decisions counted."""
        return self._room.get(operator_id, 0) > 0

    def gives(self, operator_id: int) -> RosterOperator:
        """He is given one more."""
        operator = self._known[operator_id]
        self._room[operator_id] -= 1
        if not self._room[operator_id] and operator_id in self.available:
            self.full.setdefault(operator.first_limit, []).append(operator_id)
            self.n_with_room -= 1
        return operator

    def takes(self, operator_id: int) -> RosterOperator | None:
        """He loses one; returns him if he has room again, on the roster."""
        if operator_id not in self._room:
            return None
        self._room[operator_id] += 1
        if self._room[operator_id] != 1 or operator_id not in self.available:
            return None
        self.n_with_room += 1
        for ids in self.full.values():
            if operator_id in ids:
                ids.remove(operator_id)
        return self.available[operator_id]


class Policy(Protocol):
    """How an open channel chooses among the eligible operators of its roster. Made anew for each plan."""

    rule: ClassVar[str]

    def __init__(self, bench: Bench) -> None: ...

    def choose(self, dialog: WaitingDialog) -> Choice | None:
        """Who of the bench gets the dialog; None if nobody can. Never its holder, and nobody without room."""
        ...

    def given(self, operator: RosterOperator, turn: int, given: int) -> None:
        """An operator of the roster was given a dialog; his new turns."""
        ...

    def returned(self, operator: RosterOperator) -> None:
        """An operator of the roster has room again: he has lost a dialog."""
        ...

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
    """eligible: by id, those of the roster alone. ineligible: the others by reason."""

    def __init__(
        self, roster: Iterable[RosterOperator], responsible: Iterable[RosterOperator], check_availability: bool
    ) -> None:
        self.eligible: dict[int, RosterOperator] = {}
        self.ineligible: dict[PassedOver, list[int]] = {}
        self.full: dict[PassedOver, list[int]] = {}
        self._free: dict[int, int] = {}
        for operator in roster:
            why = operator.ineligible(check_availability)
            if why is None:
                self.eligible[operator.operator_id] = operator
                self._free[operator.operator_id] = operator.free
            else:
                self.ineligible.setdefault(why, []).append(operator.operator_id)
        self._known = dict(self.eligible)
        for operator in responsible:
            if operator.ineligible(check_availability) is None:
                self._known.setdefault(operator.operator_id, operator)
                self._free.setdefault(operator.operator_id, operator.free)

    def has_room(self, operator_id: int) -> bool:
        """Whether he is eligible and under his limits, this plan's decisions counted."""
        return self._free.get(operator_id, 0) > 0

    def gives(self, operator_id: int) -> RosterOperator:
        """He is given one more."""
        operator = self._known[operator_id]
        self._free[operator_id] -= 1
        if not self._free[operator_id] and operator_id in self.eligible:
            self.full.setdefault(operator.first_limit, []).append(operator_id)
        return operator

    @property
    def n_with_room(self) -> int:
        """Operators of the roster who are under their limits."""
        return len(self.eligible) - sum(map(len, self.full.values()))


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

"""Who gets which dialog (D2-D4, D6-D8), as pure policies: a snapshot in, decisions with explanations out."""

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from tracker.channels import Distribution


class PassedOver(StrEnum):
    """Why an operator did not get a dialog (D12)."""

    DISMISSED = "dismissed"
    OFFLINE = "offline"
    AT_LIMIT = "at_limit"
    AT_PERSONAL_LIMIT = "at_personal_limit"
    LATER_IN_TURN = "later_in_turn"
    LATER_IN_ROSTER = "later_in_roster"
    LET_IT_PASS = "let_it_pass"  # noqa: S105  not a password


@dataclass(frozen=True, slots=True)
class RosterOperator:
    """An operator of an open channel at this moment.

    position: place in the roster. turn: when he was last given a dialog of this open channel, or joined it, in
    turns (D2). held, personal_held: dialogs that count against the limits, here and over all (D7).
    """

    operator_id: int
    position: int
    turn: int
    held: int = 0
    limit: int | None = None
    personal_held: int = 0
    personal_limit: int | None = None
    online: bool = True
    dismissed: bool = False

    @property
    def free(self) -> int:
        """How many more dialogs fit under both limits."""
        here = UNLIMITED if self.limit is None else self.limit - self.held
        over_all = UNLIMITED if self.personal_limit is None else self.personal_limit - self.personal_held
        return max(0, min(here, over_all))

    @property
    def first_limit(self) -> PassedOver:
        """Which of his limits he comes to first."""
        if self.limit is not None and self.free == max(0, self.limit - self.held):
            return PassedOver.AT_LIMIT
        return PassedOver.AT_PERSONAL_LIMIT

    def ineligible(self, check_availability: bool) -> PassedOver | None:
        """Why he may not get a dialog now, or None if he may (D6, D7)."""
        if self.dismissed:
            return PassedOver.DISMISSED
        if check_availability and not self.online:
            return PassedOver.OFFLINE
        if self.limit is not None and self.held >= self.limit:
            return PassedOver.AT_LIMIT
        if self.personal_limit is not None and self.personal_held >= self.personal_limit:
            return PassedOver.AT_PERSONAL_LIMIT
        return None


UNLIMITED = 1_000_000
"""Stands for no limit where slots are counted."""


@dataclass(frozen=True, slots=True)
class WaitingDialog:
    """A dialog without an operator. passed_by: operators who have let it pass (D3)."""

    dialog_id: int
    passed_by: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to one dialog, and why (D12).

    operator_id: who gets it. offered: all eligible operators see it (D4). Neither: it waits on (D8).
    """

    dialog_id: int
    rule: str
    operator_id: int | None = None
    offered: bool = False
    passed_over: Mapping[PassedOver, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """turns: the new turn of each operator who was given a dialog. turn: the open channel's."""

    decisions: tuple[Decision, ...]
    turns: Mapping[int, int]
    turn: int


def free_slots(operators: Sequence[RosterOperator], check_availability: bool) -> int:
    """How many waiting dialogs could find an operator now."""
    eligible = (operator.free for operator in operators if operator.ineligible(check_availability) is None)
    return min(UNLIMITED, sum(eligible))


def plan(
    distribution: Distribution,
    waiting: Sequence[WaitingDialog],
    operators: Sequence[RosterOperator],
    turn: int,
    check_availability: bool,
) -> Plan:
    """Distribute the waiting dialogs, oldest first (D8).

    waiting: in the order of their age. turn: how many turns the open channel has had.
    """
    ineligible: dict[PassedOver, tuple[int, ...]] = {}
    eligible: list[RosterOperator] = []
    for operator in operators:
        why = operator.ineligible(check_availability)
        if why is None:
            eligible.append(operator)
        else:
            ineligible[why] = (*ineligible.get(why, ()), operator.operator_id)
    return _POLICIES[distribution](waiting, eligible, ineligible, turn)


_Ineligible = Mapping[PassedOver, tuple[int, ...]]


def _evenly(
    waiting: Sequence[WaitingDialog], eligible: Sequence[RosterOperator], ineligible: _Ineligible, turn: int
) -> Plan:
    """D2: who was given a dialog longest ago; a newcomer counts from when he joined."""
    line = [(operator.turn, operator.position, operator.operator_id) for operator in eligible]
    heapq.heapify(line)
    free = {operator.operator_id: operator.free for operator in eligible}
    by_id = {operator.operator_id: operator for operator in eligible}
    full: list[RosterOperator] = []
    turns: dict[int, int] = {}
    decisions = []
    for dialog in waiting:
        passed_over = _with_full(ineligible, full)
        if not line:
            decisions.append(Decision(dialog.dialog_id, "D8", passed_over=passed_over))
            continue
        _, _, chosen = line[0]
        others = tuple(operator_id for _, _, operator_id in line[1:])
        if others:
            passed_over = {**passed_over, PassedOver.LATER_IN_TURN: others}
        decisions.append(Decision(dialog.dialog_id, "D2", chosen, passed_over=passed_over))
        turn += 1
        turns[chosen] = turn
        free[chosen] -= 1
        if free[chosen]:
            heapq.heapreplace(line, (turn, by_id[chosen].position, chosen))
        else:
            heapq.heappop(line)
            full.append(by_id[chosen])
    return Plan(tuple(decisions), turns, turn)


def _strictly(
    waiting: Sequence[WaitingDialog], eligible: Sequence[RosterOperator], ineligible: _Ineligible, turn: int
) -> Plan:
    """D3: the first of the roster who has not let it pass; when all have, it starts again at the head."""
    by_id = {operator.operator_id: operator for operator in eligible}
    line = sorted(by_id, key=lambda operator_id: by_id[operator_id].position)
    free = {operator.operator_id: operator.free for operator in eligible}
    full: list[RosterOperator] = []
    turns: dict[int, int] = {}
    decisions = []
    for dialog in waiting:
        passed_over = _with_full(ineligible, full)
        if not line:
            decisions.append(Decision(dialog.dialog_id, "D8", passed_over=passed_over))
            continue
        chosen = next((operator_id for operator_id in line if operator_id not in dialog.passed_by), line[0])
        before = tuple(line[: line.index(chosen)])
        after = tuple(line[line.index(chosen) + 1 :])
        passed_over = {
            **passed_over,
            **({PassedOver.LET_IT_PASS: before} if before else {}),
            **({PassedOver.LATER_IN_ROSTER: after} if after else {}),
        }
        decisions.append(Decision(dialog.dialog_id, "D3", chosen, passed_over=passed_over))
        turn += 1
        turns[chosen] = turn
        free[chosen] -= 1
        if not free[chosen]:
            line.remove(chosen)
            full.append(by_id[chosen])
    return Plan(tuple(decisions), turns, turn)


def _to_all(
    waiting: Sequence[WaitingDialog], eligible: Sequence[RosterOperator], ineligible: _Ineligible, turn: int
) -> Plan:
    """D4: every eligible operator sees it; the first to accept has it."""
    rule, offered = ("D4", True) if eligible else ("D8", False)
    decisions = tuple(Decision(dialog.dialog_id, rule, offered=offered, passed_over=ineligible) for dialog in waiting)
    return Plan(decisions, {}, turn)


def _with_full(ineligible: _Ineligible, full: Sequence[RosterOperator]) -> _Ineligible:
    """Who was filled up by this plan's earlier decisions is at his limit for the later ones."""
    passed_over = dict(ineligible)
    for operator in full:
        why = operator.first_limit
        passed_over[why] = (*passed_over.get(why, ()), operator.operator_id)
    return passed_over


_Policy = Callable[[Sequence[WaitingDialog], Sequence[RosterOperator], _Ineligible, int], Plan]

_POLICIES: Mapping[Distribution, _Policy] = {
    Distribution.EVENLY: _evenly,
    Distribution.STRICTLY: _strictly,
    Distribution.ALL: _to_all,
}

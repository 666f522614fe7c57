"""D2: who was given a dialog the longest ago."""

import heapq
from typing import ClassVar

from tracker.distribution.bench import NAMED, Bench, Choice
from tracker.distribution.values import PassedOver, RosterOperator, WaitingDialog

_Entry = tuple[int, int, int]
"""Turn, position in the roster, operator."""


class Evenly:
    """First assignments go by their own turns (D13); hand-overs and returns by when somebody was given anything."""

    rule: ClassVar[str] = "D2"

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._turn = {one.operator_id: one.turn for one in bench.available.values()}
        self._given = {one.operator_id: one.given for one in bench.available.values()}
        self._first = [(one.turn, one.position, one.operator_id) for one in bench.available.values()]
        self._again = [(one.given, one.position, one.operator_id) for one in bench.available.values()]
        heapq.heapify(self._first)
        heapq.heapify(self._again)

    def choose(self, dialog: WaitingDialog) -> Choice | None:
        """See `Policy`."""
        line, turns = (self._first, self._turn) if dialog.first else (self._again, self._given)
        holder = self._take(line, turns, dialog.holder_id)
        chosen = self._head(line, turns)
        others = {entry[2]: None for entry in line[1 : NAMED + 1]}
        if holder is not None:
            heapq.heappush(line, holder)
        if chosen is None:
            return None
        aside = {chosen, dialog.holder_id}
        next_in_line = tuple(one for one in others if one not in aside and self._bench.has_room(one))
        rest = self._bench.n_with_room - sum(one is not None and self._bench.has_room(one) for one in aside)
        return Choice(
            chosen,
            {PassedOver.LATER_IN_TURN: next_in_line},
            {PassedOver.LATER_IN_TURN: rest - len(next_in_line)},
        )

    def given(self, operator: RosterOperator, turn: int, given: int) -> None:
        """See `Policy`."""
        who, position = operator.operator_id, operator.position
        if turn != self._turn[who]:
            self._turn[who] = turn
            heapq.heappush(self._first, (turn, position, who))
        self._given[who] = given
        heapq.heappush(self._again, (given, position, who))

    def returned(self, operator: RosterOperator) -> None:
        """See `Policy`."""
        who, position = operator.operator_id, operator.position
        heapq.heappush(self._first, (self._turn[who], position, who))
        heapq.heappush(self._again, (self._given[who], position, who))

    def _head(self, line: list[_Entry], turns: dict[int, int]) -> int | None:
        """The first of the line; entries of older turns, and of who is full, are dropped."""
        while line:
            turn, _, operator_id = line[0]
            if turn == turns[operator_id] and self._bench.has_room(operator_id):
                return operator_id
            heapq.heappop(line)
        return None

    def _take(self, line: list[_Entry], turns: dict[int, int], holder_id: int | None) -> _Entry | None:
        """Take the holder out if he stands at the head; elsewhere he is in nobody's way.

        Who has room again may stand there more than once.
        """
        taken = None
        while holder_id is not None and self._head(line, turns) == holder_id:
            taken = heapq.heappop(line)
        return taken

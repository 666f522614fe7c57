"""D3: the first of the roster who has not let the dialog pass."""

from typing import ClassVar

from tracker.distribution.bench import NAMED, Bench, Choice
from tracker.distribution.values import PassedOver, RosterOperator, WaitingDialog


class Strictly:
    """When all have let it pass, it starts again at the head."""

    rule: ClassVar[str] = "D3"

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._line = [one.operator_id for one in sorted(bench.available.values(), key=lambda one: one.position)]
        self._start = 0

    def choose(self, dialog: WaitingDialog) -> Choice | None:
        """See `Policy`."""
        while self._start < len(self._line) and not self._bench.has_room(self._line[self._start]):
            self._start += 1
        passed: list[int] = []
        for place in range(self._start, len(self._line)):
            operator_id = self._line[place]
            if not self._bench.has_room(operator_id):
                continue
            if operator_id in dialog.passed_by or operator_id == dialog.holder_id:
                passed.append(operator_id)
            else:
                return self._chosen(operator_id, place, passed, restarted=False)
        again = next((one for one in passed if one != dialog.holder_id), None)
        if again is None:
            return None
        return self._chosen(again, self._line.index(again), [], restarted=True)

    def _chosen(self, operator_id: int, place: int, passed: list[int], *, restarted: bool) -> Choice:
        rest = self._line[place + 1 : place + 1 + NAMED]
        later = [one for one in rest if self._bench.has_room(one)]
        return Choice(
            operator_id,
            {PassedOver.LET_IT_PASS: passed, PassedOver.LATER_IN_ROSTER: later},
            {PassedOver.LATER_IN_ROSTER: max(0, len(self._line) - place - 1 - len(rest))},
            restarted=restarted,
        )

    def given(self, operator: RosterOperator, turn: int, given: int) -> None:
        """See `Policy`: the roster's order stays."""

    def returned(self, operator: RosterOperator) -> None:
        """See `Policy`."""
        self._start = min(self._start, self._line.index(operator.operator_id))

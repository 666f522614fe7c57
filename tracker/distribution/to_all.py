"""D4: every eligible operator sees it; the first to accept has it."""

from typing import ClassVar

from tracker.distribution.bench import Bench, Choice
from tracker.distribution.values import RosterOperator, WaitingDialog


class ToAll:
    """An offer is no assignment: it uses up nobody's slots."""

    rule: ClassVar[str] = "D4"

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def choose(self, dialog: WaitingDialog) -> Choice | None:
        """See `Policy`."""
        if any(self._bench.has_room(one) for one in self._bench.available if one != dialog.holder_id):
            return Choice(None)
        return None

    def given(self, operator: RosterOperator, turn: int, given: int) -> None:
        """See `Policy`: nobody has a turn."""

    def returned(self, operator: RosterOperator) -> None:
        """See `Policy`: who has room is asked each time."""

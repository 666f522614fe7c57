"""Who holds which dialog, and how many count against his limits (D7)."""

from collections.abc import Mapping

from tracker.dialogs import DialogStatus
from tracker.simulation.agenda import Agenda
from tracker.simulation.world import Desk, Dialog, Operator


class Loads:
    """operators: by id; those who come later too."""

    def __init__(self, agenda: Agenda, operators: Mapping[int, Operator]) -> None:
        self._agenda = agenda
        self._operators = operators

    def hold(self, dialog: Dialog, operator: Operator, status: DialogStatus) -> None:
        """He has the dialog from now on."""
        dialog.edition += 1
        dialog.status = status
        dialog.holder_id = operator.id
        operator.dialogs[dialog.arrival.dialog_id] = dialog
        dialog.counts = dialog.counts_as()
        if dialog.counts:
            self._load(dialog.desk, operator, 1)

    def release(self, dialog: Dialog) -> Operator:
        """Its holder, who is returned, has it no more; its course stands still."""
        holder = self.holder(dialog)
        del holder.dialogs[dialog.arrival.dialog_id]
        if dialog.counts:
            self._load(dialog.desk, holder, -1)
        dialog.counts, dialog.holder_id = False, None
        if dialog.status is not DialogStatus.ASSIGNED and dialog.resumed_at < self._agenda.now:
            dialog.progress += self._agenda.now - dialog.resumed_at
        return holder

    def become(self, dialog: Dialog, status: DialogStatus) -> bool:
        """The held dialog's status changes. Returns whether that has freed a slot."""
        dialog.status = status
        dialog.answered = dialog.answered or status is DialogStatus.AWAITING_CUSTOMER
        counts = dialog.counts_as()
        if counts is dialog.counts:
            return False
        dialog.counts = counts
        self._load(dialog.desk, self.holder(dialog), 1 if counts else -1)
        return not counts

    def holder(self, dialog: Dialog) -> Operator:
        """Who has a held dialog."""
        assert dialog.holder_id is not None  # noqa: S101  by the callers
        return self._operators[dialog.holder_id]

    def note_limits(self, operator: Operator) -> None:
        """Whether he is at a limit where he stands on a roster, and available, from now on or no more."""
        for desk in operator.desks:
            seat = desk.seats[operator.id]
            full = operator.is_full(desk) and not desk.is_absent(operator)
            if full and seat.full_since is None:
                seat.full_since = self._agenda.now
                desk.tally.of(operator.id).times_at_limit += 1
            elif not full and seat.full_since is not None:
                desk.tally.of(operator.id).seconds_at_limit += self._agenda.now - seat.full_since
                seat.full_since = None

    def _load(self, desk: Desk, operator: Operator, change: int) -> None:
        desk.held[operator.id] = desk.held.get(operator.id, 0) + change
        operator.personal_held += change
        self.note_limits(operator)

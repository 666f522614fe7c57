"""The operators of a simulation, and how their recorded presence comes about."""

from collections.abc import Callable

from tracker.distribution import PassedOver
from tracker.simulation.agenda import Agenda, Kind
from tracker.simulation.configuration import Configuration
from tracker.simulation.presence import Changes, presence_of, returns_dialogs
from tracker.simulation.recording import Recording
from tracker.simulation.world import Operator


class Crew:
    """operators: those of the rosters and of the record, and who was asked for since, by id.

    changed: is called when somebody's presence has changed; the second argument tells whether he leaves his dialogs
    with that (D11).
    """

    def __init__(
        self,
        recording: Recording,
        configuration: Configuration,
        agenda: Agenda,
        changed: Callable[[Operator, bool], None],
    ) -> None:
        self._recording = recording
        self._configuration = configuration
        self._agenda = agenda
        self._changed = changed
        self.operators: dict[int, Operator] = {}
        rostered = {one for open_channel in configuration.open_channels.values() for one in open_channel.roster}
        ids = sorted({*rostered, *recording.presence})
        for operator_id, changes in presence_of(recording.presence, ids).items():
            self._make(operator_id, changes)

    def get(self, operator_id: int) -> Operator:
        """An operator; who is known by nothing but a dialog of his is as present as a newcomer."""
        if operator_id not in self.operators:
            self._make(operator_id, presence_of(self._recording.presence, [operator_id])[operator_id])
        return self.operators[operator_id]

    def _make(self, operator_id: int, changes: Changes) -> None:
        dismissed = operator_id in self._configuration.dismissed
        begun = max(number for number, (at, _) in enumerate(changes) if number == 0 or at <= self._agenda.now)
        unavailable = PassedOver.DISMISSED if dismissed else changes[begun][1]
        limit = self._configuration.personal_limits.get(operator_id)
        operator = self.operators[operator_id] = Operator(operator_id, limit, unavailable)
        for number in range(begun + 1, 0 if dismissed else len(changes)):
            self._schedule(operator, changes, number)

    def _schedule(self, operator: Operator, changes: Changes, number: int) -> None:
        at, unavailable = changes[number]
        leaves = returns_dialogs(changes, number, self._recording.length)

        def happens() -> None:
            operator.unavailable = unavailable
            self._changed(operator, leaves)

        if at < self._recording.length:
            self._agenda.add(at, Kind.PRESENCE, happens)

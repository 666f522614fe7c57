"""When operators may be given dialogs (D6), as far as it was recorded."""

from collections.abc import Iterable, Mapping
from itertools import chain

from tracker.distribution import PassedOver
from tracker.presence import Availability
from tracker.simulation.recording import Absence

A_DAY = 86_400.0
"""Seconds of a leave that returns dialogs; of a shorter one he comes back to them (D11)."""

Changes = tuple[tuple[float, Absence], ...]


def absence_of(text: str) -> Absence:
    """From the event log; what is unknown there is no availability."""
    if text == Availability.AVAILABLE:
        return None
    return PassedOver(text) if text in tuple(PassedOver) else PassedOver.OFFLINE


def presence_of(recorded: Mapping[int, Changes], operator_ids: Iterable[int]) -> dict[int, Changes]:
    """The presence of each operator; the first change of each holds from the beginning of time.

    Before the first record of somebody he was the contrary of it. Of whom nothing is recorded, as a newcomer, is there
    whenever anybody is who was recorded; and always, where nobody was.
    """
    known = {one: _completed(changes) for one, changes in recorded.items() if changes}
    stand_in = _anybody(known) if known else ((0.0, None),)
    return {one: known.get(one, stand_in) for one in operator_ids}


def returns_dialogs(changes: Changes, number: int, length: float) -> bool:
    """Whether with this change he leaves his dialogs: the workday is over, or a leave of a day or more (D11)."""
    at, availability = changes[number]
    if availability is PassedOver.WORKDAY_NOT_STARTED:
        return True
    if availability is not PassedOver.ON_LEAVE:
        return False
    until = changes[number + 1][0] if number + 1 < len(changes) else max(length, at + A_DAY)
    return until - at >= A_DAY


def _completed(changes: Changes) -> Changes:
    at, availability = changes[0]
    if at <= 0:
        return changes
    return ((0.0, PassedOver.OFFLINE if availability is None else None), *changes)


def _anybody(known: Mapping[int, Changes]) -> Changes:
    """When at least one of them is available."""
    present: set[int] = set()
    there: list[tuple[float, Absence]] = []
    ordered = sorted(
        chain.from_iterable(((max(at, 0.0), one, why) for at, why in changes) for one, changes in known.items()),
        key=lambda change: change[:2],
    )
    for at, operator_id, why in ordered:
        (present.discard if why else present.add)(operator_id)
        state = None if present else PassedOver.OFFLINE
        if there and there[-1][0] == at:
            there[-1] = (at, state)
        elif not there or there[-1][1] is not state:
            there.append((at, state))
    return tuple(there)

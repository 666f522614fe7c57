"""Events as operators' screens know them: what each is called, and whom it concerns.

Whom an event concerns is told by *circles*: an event has some, whoever follows has some, and he sees it if they have
one in common. So an event finds its followers by as many look-ups as it has circles, however many follow.
"""

from collections.abc import Collection
from enum import StrEnum

from tracker.access import Scope
from tracker.dialogs import DialogStatus


class EventName(StrEnum):
    """What has happened, as far as a screen has to know at once."""

    OFFER = "offer"
    ASSIGNMENT = "assignment"
    MESSAGE = "message"
    CLOCK = "clock"
    PRESENCE = "presence"
    DIALOG = "dialog"


MESSAGES = frozenset({"message", "answer"})
"""Causes: the customer wrote, or was answered."""

CLOCKS = frozenset({"handover", "kept", "unanswered", "auto_close", "closing_over"})
"""Causes: time that has passed (D5, S2, S3, S4)."""


def name_of(
    dialog_id: int | None,
    cause: str,
    was: DialogStatus | None,
    became: DialogStatus | None,
    was_operator_id: int | None,
    operator_id: int | None,
) -> EventName:
    """The name of an event: the first that fits in the order of EventName, except that no dialog means presence.

    So whatever changes who has a dialog is an assignment, and whatever changes whether it is offered is an offer (D4).
    """
    if dialog_id is None:
        return EventName.PRESENCE
    if (was is DialogStatus.OFFERED) is not (became is DialogStatus.OFFERED):
        return EventName.OFFER
    if was_operator_id != operator_id:
        return EventName.ASSIGNMENT
    if cause in MESSAGES:
        return EventName.MESSAGE
    if cause in CLOCKS:
        return EventName.CLOCK
    return EventName.DIALOG


class Circle(StrEnum):
    """A kind of circle. What its number is: 0, an operator's id, or an open channel's id (twice)."""

    EVERYTHING = "everything"
    OPERATOR = "operator"
    OFFERS = "offers"
    WAITING = "waiting"


Circles = frozenset[tuple[Circle, int]]

_WAITING = frozenset({DialogStatus.QUEUED, DialogStatus.OFFERED})


def circles_of_event(
    open_channel_id: int | None,
    was: DialogStatus | None,
    became: DialogStatus | None,
    was_operator_id: int | None,
    operator_id: int | None,
    was_open_channel_id: int | None = None,
) -> Circles:
    """Whom an event concerns: who has or had the dialog, to whom it is or was offered (D4), who sees what waits.

    was_open_channel_id: where it was handled before a transfer (D10).
    """
    circles = {(Circle.EVERYTHING, 0)}
    circles.update((Circle.OPERATOR, each) for each in (was_operator_id, operator_id) if each is not None)
    for place in {place for place in (open_channel_id, was_open_channel_id) if place is not None}:
        if DialogStatus.OFFERED in (was, became):
            circles.add((Circle.OFFERS, place))
        if was in _WAITING or became in _WAITING:
            circles.add((Circle.WAITING, place))
    return frozenset(circles)


def circles_of_follower(
    operator_id: int,
    scope: Scope,
    rosters: Collection[int],
    members: Collection[int] = (),
    members_rosters: Collection[int] = (),
) -> Circles:
    """What an operator is told of. rosters: open channels on whose roster he stands; offers there, not what is queued.

    members: those of the departments that he supervises; members_rosters: the open channels on whose rosters they
    stand. Whose scope is `department` is told of all that waits there, and where he stands himself.
    """
    if scope is Scope.ANY:
        return EVERYTHING
    circles = {(Circle.OPERATOR, operator_id), *((Circle.OFFERS, each) for each in rosters)}
    if scope is Scope.DEPARTMENT:
        circles.update((Circle.OPERATOR, each) for each in members)
        circles.update((Circle.WAITING, each) for each in (*rosters, *members_rosters))
    return frozenset(circles)


EVERYTHING: Circles = frozenset({(Circle.EVERYTHING, 0)})
"""What the service token sees, and whose scope is `any`."""

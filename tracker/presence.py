"""Whether operators are there (D6), and how their workdays go (D11)."""

from enum import StrEnum

from tracker.dialogs import ActRefusedError


class Availability(StrEnum):
    """Whether an operator may be given dialogs now, or why not (D6)."""

    AVAILABLE = "available"
    DISMISSED = "dismissed"
    ON_LEAVE = "on_leave"
    WORKDAY_NOT_STARTED = "workday_not_started"
    WORKDAY_PAUSED = "workday_paused"
    OFFLINE = "offline"
    AWAY = "away"


class Workday(StrEnum):
    """Of an operator whose time is tracked."""

    STARTED = "started"
    PAUSED = "paused"
    ENDED = "ended"


def check_workday(was: Workday, becomes: Workday, *, time_tracking: bool) -> None:
    """Whether the workday may become this; what it is already, it may. Raises ActRefusedError."""
    if not time_tracking:
        raise ActRefusedError("time_not_tracked", "your time is not tracked: being online counts")
    if was is Workday.ENDED and becomes is Workday.PAUSED:
        raise ActRefusedError("workday_not_started", "your workday has not started")

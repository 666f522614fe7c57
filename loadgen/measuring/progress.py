"""What is shown while a trial runs."""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loadgen.driving.sender import Sender
from loadgen.measuring.timeline import nearest_rank
from loadgen.reporting import Progress

OF_LATE = 5.0
"""Seconds that the rate and the percentiles are of."""


@dataclass(frozen=True, slots=True)
class Glance:
    """at: seconds since the beginning. ended: items that had come to an end of the test's."""

    at: float
    ended: int


def progress_of(phase: str, sender: Sender, glances: Sequence[Glance], lags: Mapping[str, float]) -> Progress:
    """The state of a trial. What is finished is known in numbers only while it runs, not by message."""
    now, sent = glances[-1], sender.sent
    answers = dict(sent.answers)  # the sender's thread adds statuses meanwhile
    then = next((one for one in glances if now.at - one.at <= OF_LATE), now)
    waited = _waited_of_late(sender, now.at)
    planned = len(sent.status) if sender.due is None else bisect_right(sender.due, now.at)
    return Progress(
        phase=phase,
        seconds=now.at,
        of_seconds=sender.due[-1] if sender.due else 0.0,
        planned=planned,
        sent=sent.begun,
        answered=sent.finished,
        finished=now.ended,
        rate=(now.ended - then.ended) / (now.at - then.at) if now.at > then.at else 0.0,
        answered_p50=nearest_rank(waited, 0.5),
        answered_p99=nearest_rank(waited, 0.99),
        lag=lags,
        errors={name: n for name, n in answers.items() if not name.startswith("2") and n},
    )


def _waited_of_late(sender: Sender, now: float) -> list[float]:
    """Seconds from the planned time to the 2xx, rising; nothing where nothing was planned."""
    if sender.due is None:
        return []
    since, until = bisect_right(sender.due, now - OF_LATE), bisect_right(sender.due, now)
    answered = zip(sender.due[since:until], sender.sent.answered[since:until], strict=True)
    return sorted(at - due for due, at in answered if not math.isnan(at))

"""Operators' acts: what was acknowledged was done, and no answer was given twice."""

from collections import Counter
from collections.abc import Iterator

from loadgen.operators import Acts
from loadgen.report_data import Finding
from loadgen.verdict.finding import found
from loadgen.verdict.seen import Seen


def acts_done(acts: Acts, seen: Seen) -> Iterator[Finding]:
    """By the events of the desk, of all dialogs: operators also answer those of an earlier test.

    acts.failed: requests that got no answer; each may have done something or not.
    """
    operators = {operator_id for one in seen.open_channels for operator_id in one.roster}
    done = Counter(event.cause for event in seen.events if event.operator_id in operators)
    asked = {"accept": acts.accepted, "answer": acts.answered, "close": acts.closed}
    yield found(
        "operators' acts that were acknowledged and not done",
        (f"{cause}: {done[cause]} of {n}" for cause, n in asked.items() if done[cause] < n),
    )
    doubled = done["answer"] - acts.answered - acts.failed
    yield found("operators' answers that were given twice", (f"{doubled} too many" for _ in range(doubled > 0)))

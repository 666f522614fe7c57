"""What the demo says at its end, and whether it went well. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from cli.demo_table import Deliveries
from crm_store.ledger import Ledger
from crm_store.overview import Overview
from loadgen.customers import Sent
from loadgen.operators import Acts


@dataclass(frozen=True, slots=True)
class Outcome:
    """The state at the end. before: the ledger as it was when the demo began. interrupted: by a signal.

    current: whether `overview` was read after everything had ended. failure: why the synthetic traffic broke off.
    """

    seconds: float
    interrupted: bool
    current: bool
    before: Ledger
    overview: Overview
    sent: Sent
    acts: Acts
    deliveries: Deliveries
    restarts: int
    failure: str = ""


def problems(outcome: Outcome) -> list[str]:
    """Why the demo did not go well; empty if it did. An interrupted one need not have come to its end."""
    found = [f"the synthetic traffic broke off: {outcome.failure}"] if outcome.failure else []
    if outcome.interrupted:
        return found
    ledger, before, sent = outcome.overview.ledger, outcome.before, outcome.sent
    if not outcome.current:
        return [*found, "the ledger could not be read at the end"]
    if not ledger.balances:
        found.append("the ledger does not balance")
    if ledger.pending:
        found.append(f"{ledger.pending} messages are still pending")
    if ledger.done <= before.done:
        found.append("nothing was done")
    if ledger.accepted - before.accepted < sent.accepted:
        found.append(
            f"{sent.accepted} webhooks were answered 2xx, but only {ledger.accepted - before.accepted} were accepted"
        )
    if sent.given_up:
        found.append(f"{sent.given_up} webhooks were never answered")
    if sent.refused:
        statuses = ", ".join(f"{number} of {status}" for status, number in sorted(sent.statuses.items()))
        found.append(f"webhooks were refused: {statuses}")
    return found


def summary(outcome: Outcome) -> str:
    """Some lines of text; one is the ledger alone."""
    view, sent, given = outcome.overview, outcome.sent, outcome.deliveries
    width = max((len(operator.name) for operator in view.operators), default=0)
    lines = [
        f"openchannel demo, {outcome.seconds:.0f} s{', interrupted' if outcome.interrupted else ''}",
        str(view.ledger),
        _this_run(sent),
        f"cards: {_counts(view.cards)}",
        f"dialogs: {_counts(view.dialogs)}",
        *(f"  {one.name:{width}}  had {one.in_all:6,} in all, has {one.held:3,}" for one in view.operators),
        f"  operators this run: {_counts(asdict(outcome.acts))}",
        f"answers: {_counts(view.deliveries)}",
        f"  this run: delivered={given.received} again={given.repeated} unproved={given.unproved}",
        f"processes restarted: {outcome.restarts}",
    ]
    return "\n".join([*lines, *(f"FAILED: {problem}" for problem in problems(outcome))])


def _this_run(sent: Sent) -> str:
    figures = {
        "sent": sent.planned,
        "accepted": sent.accepted,
        "sent-twice": sent.repeats,
        "refused": sent.refused,
        "tried-again": sent.tries_again,
        "unanswered": sent.given_up + sent.under_way,
    }
    return f"  this run: {_counts(figures)}"


def _counts(counts: Mapping[str, int]) -> str:
    return " ".join(f"{name}={number}" for name, number in counts.items()) or "none"

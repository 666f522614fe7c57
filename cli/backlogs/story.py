"""Why a backlog does not move. Pure: what is known in, a tree of text out."""

from collections.abc import Iterator

from rich.text import Text
from rich.tree import Tree

from cli.dialogs.trees import section
from cli.dialogs.words import MOST_NAMED, STATUSES, named, next_try, reason, span, standing, verdict
from cli.tracker.opening import shown
from cli.tracker.words import at, quoted
from crm_store.views.backlogs import BacklogView, OperatorNow, Waiting
from tracker.dialogs import DialogStatus
from tracker.presence import Availability


def story_of(backlog: BacklogView) -> Tree:
    """What waits, what everybody of the roster is doing, and when it is tried next."""
    tree = Tree(Text(f"open channel {quoted(backlog.open_channel.name)}: {verdict(backlog)}"))
    if not backlog.active:
        tree.add(Text("it is inactive: what comes in is kept, without a dialog (C5)"))
    total = backlog.queued + backlog.offered
    if total:
        tree.add(Text(next_try(backlog)))
        section(
            tree, f"what waits: {backlog.queued} in the backlog, {backlog.offered} offered", _dialogs(backlog, total)
        )
    section(tree, f"the roster, {backlog.distribution}", _roster(backlog))
    return tree


def _dialogs(backlog: BacklogView, total: int) -> Iterator[str]:
    for waiting in backlog.dialogs:
        yield _dialog(backlog, waiting)
    if more := total - len(backlog.dialogs):
        yield f"and {more} more"


def _dialog(backlog: BacklogView, waiting: Waiting) -> str:
    said = f"dialog {waiting.id}"
    said += f" with {quoted(waiting.customer)}" if waiting.customer else ""
    said += f": waits for {span(waiting.waiting_since, backlog.now)}"
    if waiting.status is DialogStatus.OFFERED:
        said += f", {STATUSES[waiting.status]}"
    if waiting.preferred is not None:
        his = next(one for one in backlog.operators if one.operator == waiting.preferred)
        state = reason(his.obstacle) if his.obstacle else "free"
        said += f", would go to {shown(waiting.preferred.name)} first (D9; {state})"
    if waiting.let_pass:
        said += f", let pass by {named(waiting.let_pass)}"
    return said + (f", the customer was told {at(waiting.noticed_at)}" if waiting.noticed_at else "")


def _roster(backlog: BacklogView) -> Iterator[str]:
    """Those who may be given something first: they are the ones to be asked about."""
    roster = [one for one in backlog.operators if one.position is not None]
    in_order = sorted(
        roster, key=lambda one: (one.obstacle is not None, one.availability is not Availability.AVAILABLE)
    )
    for one in in_order[:MOST_NAMED]:
        yield _operator(one, backlog)
    if len(in_order) > MOST_NAMED:
        yield f"and {len(in_order) - MOST_NAMED} more"


def _operator(one: OperatorNow, backlog: BacklogView) -> str:
    said = standing(one, backlog.now)
    if one.obstacle is None:
        said = f"may be given dialogs -- {said}"
    elif one.obstacle.value != one.availability.value:
        said = f"{reason(one.obstacle)} -- {said}"
    return f"{shown(one.operator.name)}: {said}"

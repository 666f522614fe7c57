"""Why a dialog is with whom it is, or with nobody. Pure: what is known in, a tree of text out."""

from collections.abc import Iterable, Iterator

from rich.text import Text
from rich.tree import Tree

from cli.dialogs.trees import branch, section
from cli.dialogs.words import STATUSES, by_reason, clock, due, named, next_try, obstacles, span, standing, verdict
from cli.tracker.opening import shown
from cli.tracker.words import at, quoted
from crm_store.views.backlogs import BacklogView, DialogNow
from crm_store.views.dialogs import DecisionRecord, Dialog, Event

_RULES = {
    "D2": "got it by D2 (evenly): of all who could have it, {who} has gone longest without being given one here",
    "D3": "got it by D3 (strictly): of all who could have it and had not let it pass, {who} is the first of the roster",
    "D4": "was the first to accept the offer (D4)",
    "D5": "keeps it (D5): nobody else could have it",
    "D9": "got it by D9: {who} is the customer's responsible person, and comes before the roster",
    "take": "took it, which nobody decided but the one who took it (D7)",
    "transfer": "was given it by a transfer (D10)",
    "reopen": "reopened it, after another had it",
}

_CAUSES = {
    "handover": "whoever had it before did not react in time",
    "skip": "whoever had it before skipped it",
}

_HAPPENED = {
    "message": "wrote",
    "handover": "no reaction in time: handed over",
    "kept": "no reaction in time, but nobody else can have it: kept",
    "skip": "skipped",
    "accept": "accepted",
    "answer": "answered",
    "take": "took it",
    "transfer": "transferred it",
    "pin": "pinned it",
    "unpin": "unpinned it",
    "spam": "marked it as spam",
    "unanswered": "nobody answered in time: marked as unanswered (S2)",
    "auto_close": "idle since the operator's last message: closed by itself (S3)",
    "closing_over": "the time for the customer to come back is over (S4)",
    "close": "closed",
    "reopen": "reopened",
    "operator_unavailable": "the operator was not there when the customer wrote: back to the backlog",
    "workday_ended": "the operator's workday ended: back to the backlog",
    "on_leave": "the operator went on leave: back to the backlog",
    "dismissed": "the operator was dismissed: back to the backlog",
    "off_roster": "the operator is off the roster: back to the backlog",
}

_OLDER = "what is older is not shown"


def story_of(found: DialogNow) -> Tree:
    """All that was decided about a dialog, what happened, and what is so now."""
    dialog = found.dialog
    customer = quoted(dialog.customer) if dialog.customer else "a customer"
    place = f"chat {dialog.chat_id}, {dialog.channel_kind}, {shown(dialog.channel_key)}"
    desk = f"open channel {quoted(dialog.open_channel.name)}"
    tree = Tree(Text(f"dialog {dialog.id} with {customer} ({place}), {desk}: {STATUSES[dialog.status]}"))
    section(tree, "now", _now(found))
    section(tree, "clocks", (f"{clock(one.kind)}: {due(one.due_at, found.now)}" for one in dialog.clocks))
    decisions = tree.add(Text("why", style="bold"))
    if dialog.decisions_more:
        decisions.add(Text(_OLDER))
    for decision in dialog.decisions:
        branch(decisions, f"{at(decision.at)}: {_decision(decision)}", _passed_over(decision))
    if not dialog.decisions:
        decisions.add(Text("nobody was given it so far"))
    names = _names(dialog)
    older = [_OLDER] if dialog.events_more else []
    section(tree, "what happened", [*older, *(_event(event, names) for event in dialog.events)])
    return tree


def _now(found: DialogNow) -> Iterator[str]:
    dialog, now = found.dialog, found.now
    if found.holder is not None:
        who = shown(found.holder.operator.name)
        since = dialog.accepted_at or dialog.assigned_at
        yield f"{who} has it" + (f" for {span(since, now)}" if since else "") + f": {standing(found.holder, now)}"
    if dialog.over_limit:
        yield "above a limit (D7)"
    if dialog.pinned:
        yield "pinned: it is not closed by itself, and stays with whoever has it"
    if dialog.spam:
        yield "marked as spam"
    if dialog.unanswered_at:
        yield f"marked as unanswered (S2), {at(dialog.unanswered_at)}"
    if found.backlog is not None:
        yield from _waits(found.backlog, found.place or 1)
    if dialog.closed_at:
        yield f"closed {span(dialog.closed_at, now)} ago"


def _waits(backlog: BacklogView, place: int) -> Iterator[str]:
    now = backlog.now
    yield f"nobody has it: {verdict(backlog)}"
    for waiting in backlog.dialogs:
        of_all = backlog.queued + backlog.offered
        yield f"it waits for {span(waiting.waiting_since, now)}, in place {place} of {of_all} of the backlog"
        if waiting.preferred is not None:
            his = next(one for one in backlog.operators if one.operator == waiting.preferred)
            yield f"it would go to {shown(waiting.preferred.name)} first, who is responsible (D9): {standing(his, now)}"
        if waiting.let_pass:
            yield f"let it pass so far: {named(waiting.let_pass)}"
        yield f"the customer was told {at(waiting.noticed_at)}" if waiting.noticed_at else "the customer was not told"
    yield from by_reason(obstacles([one for one in backlog.operators if one.position is not None]), {})
    free = [one.operator for one in backlog.operators if one.position is not None and one.obstacle is None]
    if free:
        yield f"may be given it: {named(free)}"
    yield next_try(backlog)


def _decision(decision: DecisionRecord) -> str:
    if decision.chosen is None:
        return f"offered to all who could have it ({shown(decision.rule)})"
    who = shown(decision.chosen.name)
    words = _RULES.get(decision.rule)
    said = f"{who} " + (
        words.format(who=who) if words else f"got it by {shown(decision.rule)}, {shown(decision.cause)}"
    )
    if decision.cause in _CAUSES:
        said += f"; {_CAUSES[decision.cause]}"
    return said + (" -- above a limit (D7)" if decision.over_limit else "")


def _passed_over(decision: DecisionRecord) -> Iterable[str]:
    return by_reason(decision.passed_over, decision.not_named)


def _event(event: Event, names: dict[str, str]) -> str:
    said = f"{at(event.at)} {names.get(event.actor, shown(event.actor))}: {_what(event)}"
    if event.became is not None and event.was is not event.became:
        became = STATUSES[event.became]
        said += f", {became}" if event.was is None else f", {STATUSES[event.was]} -> {became}"
    if event.was_operator != event.operator:
        before, after = (shown(one.name) if one else "nobody" for one in (event.was_operator, event.operator))
        said += f", {before} -> {after}"
    told = ", ".join(_detail(name, value) for name, value in event.details.items() if name != "rule")
    return f"{said} ({told})" if told else said


def _detail(name: str, value: object) -> str:
    match name:
        case "handover_after":
            return f"{shown(value)} s to react"
        case "over_limit":
            return "above a limit"
        case _:
            return f"{shown(name.replace('_', ' '))} {shown(value)}"


def _what(event: Event) -> str:
    if event.cause.startswith("D") and event.cause in _RULES:
        return f"{'offered' if event.operator is None else 'given'} by {event.cause}"
    return _HAPPENED.get(event.cause, shown(event.cause.replace("_", " ")))


def _names(dialog: Dialog) -> dict[str, str]:
    """Operators by the name that they have as actors."""
    people = [one for event in dialog.events for one in (event.was_operator, event.operator)]
    people += [decision.chosen for decision in dialog.decisions]
    return {f"operator:{one.id}": shown(one.name) for one in people if one is not None}

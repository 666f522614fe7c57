"""How the commands about dialogs and backlogs word what they show: for an operations lead at three in the morning."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from cli.tracker.opening import shown
from crm_store.views import Reference
from crm_store.views.backlogs import BacklogView, OperatorNow, Verdict
from tracker.dialogs import DialogStatus
from tracker.distribution import PassedOver
from tracker.presence import Availability

MOST_NAMED = 20
"""Operators who are named for one reason; of more only the number is told."""

STATUSES = {
    DialogStatus.QUEUED: "waits",
    DialogStatus.OFFERED: "offered",
    DialogStatus.ASSIGNED: "assigned",
    DialogStatus.ACCEPTED: "accepted",
    DialogStatus.AWAITING_CUSTOMER: "awaits the customer",
    DialogStatus.AWAITING_OPERATOR: "awaits the operator",
    DialogStatus.CLOSING: "closing",
    DialogStatus.CLOSED: "closed",
}

REASONS = {
    "dismissed": "dismissed",
    "on_leave": "on leave",
    "workday_not_started": "workday not started, or over",
    "workday_paused": "workday paused",
    "away": "away",
    "offline": "offline",
    "at_limit": "at the limit of this open channel",
    "at_personal_limit": "at the personal limit",
    "later_in_turn": "has the turn later",
    "later_in_roster": "stands further down the roster",
    "let_it_pass": "had it before, and let it pass",
    "not_reached": "not looked at: the decision was made before it came to them",
    "not_first": "it was offered to them too; another accepted first",
}

_CLOCKS = {
    "handover": "hand-over (D5)",
    "unanswered": "mark as unanswered (S2)",
    "auto_close": "auto-close (S3)",
    "closing": "full close (S4)",
}


def reason(code: str) -> str:
    """Why somebody was passed over (D12)."""
    return REASONS.get(code, code.replace("_", " "))


def clock(kind: str) -> str:
    """What happens when a clock runs out."""
    return _CLOCKS.get(kind, kind.replace("_", " "))


def span(since: datetime, until: datetime) -> str:
    """How long from one moment to another, in its two largest units."""
    seconds = max(0, round((until - since).total_seconds()))
    units = (("d", seconds // 86400), ("h", seconds // 3600 % 24), ("min", seconds // 60 % 60), ("s", seconds % 60))
    first = next((place for place, (_, number) in enumerate(units) if number), len(units) - 1)
    told = [f"{number} {unit}" for unit, number in units[first : first + 2] if number]
    return " ".join(told) or "0 s"


def due(at: datetime, now: datetime) -> str:
    """When something is due: in how long, or since when it should have happened."""
    return f"in {span(now, at)}" if at > now else f"overdue by {span(at, now)}" if at < now else "now"


def named(people: Sequence[Reference], not_named: int = 0) -> str:
    """The first of them by name, and how many more there are."""
    names = [shown(one.name) for one in people[:MOST_NAMED]]
    more = len(people) - len(names) + not_named
    if not names:
        return str(more)
    return ", ".join(names) + (f", and {more} more" if more else "")


def by_reason(passed_over: Mapping[str, Sequence[Reference]], not_named: Mapping[str, int]) -> Iterable[str]:
    """A line for each reason."""
    for code in dict.fromkeys((*passed_over, *not_named)):
        yield f"{reason(code)}: {named(passed_over.get(code, ()), not_named.get(code, 0))}"


def standing(one: OperatorNow, now: datetime) -> str:
    """What somebody is doing, and what he has."""
    said = f"available{_since(one, now)}" if one.availability is Availability.AVAILABLE else _absence(one, now)
    said += f", {_load(one.load, one.limit)} here"
    if one.personal_limit is not None or one.personal_load != one.load:
        said += f", {_load(one.personal_load, one.personal_limit)} over all"
    return said


def obstacles(operators: Sequence[OperatorNow]) -> dict[str, list[Reference]]:
    """Who may not be given a dialog now, by reason."""
    found: dict[str, list[Reference]] = {}
    for one in operators:
        if one.obstacle is not None:
            found.setdefault(one.obstacle, []).append(one.operator)
    return found


def verdict(backlog: BacklogView) -> str:
    """Why nothing moves, in one sentence."""
    on_roster = sum(one.position is not None for one in backlog.operators)
    match backlog.verdict:
        case Verdict.NOTHING_WAITS:
            return "nothing waits"
        case Verdict.NOBODY_ON_ROSTER:
            return "nobody is on its roster"
        case Verdict.NOBODY_AVAILABLE:
            counts = ", ".join(f"{number} {reason(code)}" for code, number in backlog.obstacles.items())
            return f"nobody is available: of {count(on_roster, 'operator')} on the roster {counts}"
        case Verdict.ALL_AT_LIMIT:
            return _full(backlog)
        case Verdict.OFFERED:
            return f"it is offered to {count(backlog.free, 'operator')}, and nobody has accepted yet"
        case Verdict.BEING_DISTRIBUTED:
            return f"it is being distributed: {count(backlog.free, 'operator')} may be given dialogs"


def next_try(backlog: BacklogView) -> str:
    """When what waits is tried again (D8)."""
    if backlog.next_try_at is None:
        return "it is tried again when something changes; no clock is set"
    if backlog.next_try_at <= backlog.now:
        late = span(backlog.next_try_at, backlog.now)
        return f"it is due to be tried since {late}; if that grows, see openchannel doctor"
    return f"it is tried again {due(backlog.next_try_at, backlog.now)}, and at once when a slot frees or somebody comes"


def count(number: int, what: str) -> str:
    """So many of something."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _full(backlog: BacklogView) -> str:
    full = [one for one in backlog.operators if one.obstacle in (PassedOver.AT_LIMIT, PassedOver.AT_PERSONAL_LIMIT)]
    full = [one for one in full if one.position is not None]
    who = "the only available operator is" if len(full) == 1 else f"all {len(full)} available operators are"
    limits = {(one.obstacle, one.limit if one.obstacle is PassedOver.AT_LIMIT else one.personal_limit) for one in full}
    if len(limits) == 1:
        ((code, limit),) = limits
        which = "limit" if code is PassedOver.AT_LIMIT else "personal limit"
        return f"{who} at {'the' if len(full) == 1 else 'their'} {which} of {limit}"
    return f"{who} at a limit, of this open channel or their own"


def _absence(one: OperatorNow, now: datetime) -> str:
    said = reason(one.availability) + _since(one, now)
    if one.availability is Availability.OFFLINE:
        said += f", last heard of {span(one.seen_at, now)} ago" if one.seen_at else ", never heard of"
    return said


def _since(one: OperatorNow, now: datetime) -> str:
    return f" for {span(one.since, now)}" if one.since else ""


def _load(load: int, limit: int | None) -> str:
    return count(load, "dialog") if limit is None else f"{load} of {count(limit, 'dialog')}"

"""Dialogs: who writes has one, whoever takes turns gets as many as the others (D13), and no limit is passed (D7)."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from loadgen.report_data import Finding
from loadgen.verdict.finding import found
from loadgen.verdict.inbox import name_of_item
from loadgen.verdict.seen import Event, OpenChannel, Seen
from loadgen.verdict.truth import Truth

PRESENCE = "presence"
EVENLY = "evenly"
FIRST_BY_TURNS = "D2"
BY_A_PERSON = frozenset({"take", "transfer", "reopen"})
"""Acts that may pass a limit (D7)."""


def distribution(truth: Truth, seen: Seen) -> Iterator[Finding]:
    """Messages without a dialog, unfairness, and limits that were passed."""
    messages = truth.messages
    done = (item for item in seen.items if item.dialog_id is None and item.stage == "done")
    without = (item for item in done if name_of_item(item) in messages)
    yield found("messages without a dialog", (f"{item.channel_key}/{item.external_id}" for item in without))
    unfair, over = [], []
    for open_channel in seen.open_channels:
        events = [event for event in seen.events if event.open_channel_id == open_channel.id]
        if open_channel.distribution == EVENLY and is_judged(open_channel, seen.events):
            unfair += list(_unfair(open_channel, events))
        if open_channel.max_dialogs is not None:
            over += list(_over_limit(open_channel, open_channel.max_dialogs, events))
    yield found("unfair: turns that differ by more than one", unfair)
    yield found("limits that were passed", over)


def judged(seen: Seen) -> int:
    """First assignments by turns that were looked at: those of open channels whose people were there throughout."""
    ids = {one.id for one in seen.open_channels if one.distribution == EVENLY and is_judged(one, seen.events)}
    return sum(event.open_channel_id in ids for event in _first_turns(seen.events))


def is_judged(open_channel: OpenChannel, events: Sequence[Event]) -> bool:
    """Whether D13 holds: no limit, and nobody of the roster came or went while dialogs were given out."""
    turns = [event.id for event in _first_turns(events) if event.open_channel_id == open_channel.id]
    if not turns or open_channel.max_dialogs is not None:
        return False
    moved = (event.id for event in events if event.cause == PRESENCE and event.operator_id in open_channel.roster)
    return not any(turns[0] < event_id < turns[-1] for event_id in moved)


def _first_turns(events: Sequence[Event]) -> Iterator[Event]:
    """The first assignments of dialogs, by turns."""
    assigned: set[int] = set()
    for event in events:
        if event.dialog_id is None or event.operator_id is None or event.dialog_id in assigned:
            continue
        assigned.add(event.dialog_id)
        if event.cause == FIRST_BY_TURNS:
            yield event


def _unfair(open_channel: OpenChannel, events: Sequence[Event]) -> Iterator[str]:
    turns = Counter(event.operator_id for event in _first_turns(events))
    loads = [turns[operator_id] for operator_id in open_channel.roster]
    if loads and max(loads) - min(loads) > 1:
        yield f"{open_channel.name}: between {min(loads)} and {max(loads)} first assignments"


def _over_limit(open_channel: OpenChannel, limit: int, events: Sequence[Event]) -> Iterator[str]:
    held: dict[int, set[int]] = defaultdict(set)
    for event in events:
        if event.dialog_id is None:
            continue
        if event.was_operator_id is not None:
            held[event.was_operator_id].discard(event.dialog_id)
        if event.operator_id is None or event.became == "closed":
            continue
        held[event.operator_id].add(event.dialog_id)
        if len(held[event.operator_id]) > limit and event.cause not in BY_A_PERSON:
            yield f"{open_channel.name}: operator {event.operator_id} had {len(held[event.operator_id])} of {limit}"

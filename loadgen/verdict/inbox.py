"""The inbox: what was answered 2xx is there once, all came to its end, and only the poison is dead."""

from collections import Counter
from collections.abc import Iterator, Mapping

from loadgen.report_data import Finding
from loadgen.streams.stream import MAKES_NOTHING
from loadgen.verdict.finding import found
from loadgen.verdict.seen import Item, Seen
from loadgen.verdict.truth import Name, Truth

OUTCOMES = ("done", "ignored", "dead", "discarded", "pending")
EDIT = "edit"


def name_of_item(item: Item) -> Name:
    """As `truth.name_of`."""
    return item.channel_key or "", item.external_id or "", item.kind == EDIT


def inbox(truth: Truth, seen: Seen) -> Iterator[Finding]:
    """Lost and doubled items, wrong ends, dead letters that are no poison, and a ledger that does not balance."""
    readable = [item for item in seen.items if item.external_id]
    counted = Counter(map(name_of_item, readable))
    lost = [name for name, one in truth.readable.items() if one.answered is not None and not counted[name]]
    yield found("answered 2xx and not in the inbox", map(_said, lost))
    yield found("more than once in the inbox", (_said(name) for name, n in counted.items() if n > 1))
    yield found("in the inbox and never sent", (_said(name) for name in counted if name not in truth.readable))
    yield found("not at its end, or at a wrong one", _wrong_ends(truth, readable))
    yield found("dead letters that are not the poison", _dead(truth, seen))
    yield found("refused or never answered", _unanswered(truth))
    yield found("the ledger does not balance", _ledger(truth, seen))


def _wrong_ends(truth: Truth, items: list[Item]) -> Iterator[str]:
    for item in items:
        sending = truth.readable.get(name_of_item(item))
        if sending is None:
            continue
        ends = {"ignored"} if sending.request.trouble in MAKES_NOTHING else {"done"}
        if sending.request.meaning.edits:
            ends = {"done", "ignored"}  # what became of an edit is looked for in the history
        if item.stage not in ends:
            yield f"{_said(name_of_item(item))} is {item.stage}"


def _dead(truth: Truth, seen: Seen) -> Iterator[str]:
    """By channel, as the desk cannot say which unreadable body is which."""
    planted = Counter(name[0] for name, one in truth.poison.items() if one.answered is not None)
    unsure = Counter(name[0] for name, one in truth.poison.items() if one.answered is None)
    dead = Counter(item.channel_key for item in seen.items if item.stage == "dead" and not item.external_id)
    for channel in sorted({*planted, *(key or "" for key in dead)}):
        if not planted[channel] <= dead[channel] <= planted[channel] + unsure[channel]:
            yield f"{channel}: {dead[channel]} unreadable bodies are dead, {planted[channel]} were sent"
    for item in seen.items:
        if item.stage == "dead" and item.external_id:
            yield f"{_said(name_of_item(item))} is dead"


def _unanswered(truth: Truth) -> Iterator[str]:
    for name, sending in (*truth.readable.items(), *truth.poison.items()):
        if sending.answered is None:
            yield _said(name)


def _ledger(truth: Truth, seen: Seen) -> Iterator[str]:
    books: Mapping[str, int] = seen.ledger
    if books["accepted"] != sum(books[outcome] for outcome in OUTCOMES):
        yield f"accepted is not the sum of its ends: {dict(books)}"
    if books["pending"]:
        yield f"{books['pending']} items are pending"
    answered = sum(one.answered is not None for one in (*truth.readable.values(), *truth.poison.values()))
    if not answered <= books["accepted"] <= len(truth.readable) + len(truth.poison):
        yield f"accepted {books['accepted']}, and {answered} different messages were answered 2xx"


def _said(name: Name) -> str:
    return f"{name[0]}/{name[1]}{' (edit)' if name[2] else ''}"

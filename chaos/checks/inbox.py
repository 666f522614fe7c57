"""The inbox: what was accepted is there once, all of it has come to an end, and only the poison is dead."""

from collections import Counter
from collections.abc import Iterator, Mapping

from chaos.checks.seen import Item, Seen, told
from chaos.record import Poison, Record, Sending

FINAL = ("done", "ignored", "dead", "discarded")


def ledger(seen: Seen) -> Iterator[str]:
    """accepted = done + ignored + dead + discarded, pending 0; and the ledger says what the items say."""
    books = seen.ledger
    if not books.balances:
        yield f"the ledger does not balance: {books}"
    if books.pending:
        yield f"pending is {books.pending}, not 0: {books}"
    stages = Counter(item.stage for item in seen.items)
    if books.accepted != len(seen.items):
        yield f"the ledger says accepted {books.accepted}, the inbox has {len(seen.items)} items"
    for stage in FINAL:
        entered = getattr(books, stage)
        if entered != stages[stage]:
            yield f"the ledger says {stage} {entered}, the inbox has {stages[stage]} such items"
    yield from told("ignored, although customers wrote it", [item.id for item in seen.items if item.stage == "ignored"])
    yield from told("discarded, although nobody did", [item.id for item in seen.items if item.stage == "discarded"])


def accepted(seen: Seen, record: Record) -> Iterator[str]:
    """What was answered 2xx is in the inbox once, what was not at most once, and nothing else is."""
    found = Counter(map(name_of, seen.items))
    sent = {name_of_sending(sending): sending for sending in record.sendings}
    yield from told("answered 2xx, and not in the inbox", [n for n, s in sent.items() if s.answered and not found[n]])
    yield from told("more than once in the inbox", [name for name, n in found.items() if n > 1])
    yield from told("in the inbox, and never sent", [name for name in found if name not in sent])
    refused = {status: n for status, n in record.statuses.items() if 400 <= status < 500}
    if refused:
        yield f"good requests were answered as if they were bad ones: {refused}"
    broken = {status: n for status, n in record.statuses.items() if status >= 500 and status != 503}
    if broken:
        yield f"webhooks were answered neither 2xx nor 503: {broken}"
    yield from told("never answered 2xx, although all was healed", [n for n, s in sent.items() if not s.answered])


def dead(seen: Seen, record: Record) -> Iterator[str]:
    """The dead are the planted poison, no more and no less, each with one dead letter."""
    planted = {name_of_sending(one) for one in record.sendings if one.message.poison is not None}
    lost = [f"{name_of(item)} ({item.reason})" for item in seen.items if is_dead(item) and name_of(item) not in planted]
    yield from told("dead, and not poison", lost)
    alive = [f"{name_of(item)} ({item.stage})" for item in seen.items if not is_dead(item) and name_of(item) in planted]
    yield from told("poison, and not dead", alive)
    wrong = [name_of(item) for item in seen.items if item.dead_letters != is_dead(item)]
    yield from told("dead letters do not fit the items", wrong)


def is_dead(item: Item) -> bool:
    """Whether it is a dead letter."""
    return item.stage == "dead"


def name_of(item: Item) -> str:
    """What an item is called in problems, and compared by: the message's id, or the bytes."""
    return item.external_id or f"{item.channel} {item.raw!r}"


def name_of_sending(sending: Sending) -> str:
    """The same of what was sent."""
    message = sending.message
    if message.poison is Poison.UNREADABLE:
        return f"{message.channel} {message.raw!r}"
    return message.external_id


def by_external_id(record: Record) -> Mapping[str, Sending]:
    """What was sent and can be read."""
    return {one.message.external_id: one for one in record.sendings if not one.message.raw}

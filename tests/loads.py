"""A desk that does everything right with a stream, for the verdict to be shown wrong ones."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, cycle

from loadgen.driving.driver import Sent
from loadgen.evaluation.reading import key_of
from loadgen.streams.desk import EVENLY, QUEUE, QUEUE_LIMIT
from loadgen.streams.stream import MAKES_NOTHING, Request, Stream, Trouble
from loadgen.verdict.seen import Entry, Event, Item, OpenChannel, Seen, SeenChat
from loadgen.verdict.truth import name_of

ANSWERED_AFTER = 0.01
TURNS = (1, 2, 3)
QUEUERS = (7, 8)


def sent_at_once(stream: Stream) -> Sent:
    """Everything went out at its time, and was answered soon."""
    times = [request.at for request in stream.requests]
    answered = [at + ANSWERED_AFTER for at in times]
    return Sent(times, answered, [200] * len(times), Counter({"200": len(times)}), len(times))


def first_requests(stream: Stream) -> list[Request]:
    """Without repeats."""
    return list({name_of(request): request for request in reversed(stream.requests)}.values())[::-1]


def right(stream: Stream, began: float = 1000.0) -> Seen:
    """What a desk shows that has done all of a stream as it must be."""
    requests = sorted(first_requests(stream), key=lambda request: request.at)
    cards = cards_by_what_joins(requests)
    chats: dict[tuple[str, str], SeenChat] = {}
    history: dict[int, list[Entry]] = defaultdict(list)
    items = []
    for number, request in enumerate(requests, 1):
        meaning, nothing = request.meaning, request.trouble in MAKES_NOTHING
        if request.trouble is Trouble.POISON:
            items.append(Item(number, request.channel, None, None, "dead", None, began + request.at, None))
            continue
        kind = "edit" if meaning.edits else "text"
        stage, dialog = ("ignored", None) if nothing else ("done", None if meaning.edits else number)
        at = began + request.at
        items.append(Item(number, request.channel, kind, meaning.message, stage, dialog, at, at + 0.1))
        if nothing:
            continue
        conversation = (request.channel, meaning.chat)
        chat = chats.setdefault(
            conversation, SeenChat(len(chats) + 1, request.channel, meaning.chat, cards[conversation])
        )
        entries = history[chat.id]
        if meaning.edits:
            place = next(at for at, entry in enumerate(entries) if entry.external_id == meaning.edits)
            entries[place] = Entry(chat.id, entries[place].seq, meaning.edits, meaning.text, edited=True)
        else:
            entries.append(Entry(chat.id, len(entries) + 1, meaning.message, meaning.text, edited=False))
    stages = Counter(item.stage for item in items)
    ends = {name: stages[name] for name in ("done", "ignored", "dead", "discarded", "pending")}
    return Seen(
        items=items,
        chats={chat.id: chat for chat in chats.values()},
        history=[entry for entries in history.values() for entry in entries],
        events=list(_events(chats.values())),
        open_channels=[
            OpenChannel(1, EVENLY, "evenly", None, TURNS),
            OpenChannel(2, QUEUE, "strictly", QUEUE_LIMIT, QUEUERS),
        ],
        ledger={"accepted": len(items), **ends},
    )


def _events(chats: Iterable[SeenChat]) -> Iterator[Event]:
    """Turns in the one open channel; in the other as many as the limit allows, the rest waits."""
    numbers = count(1)
    held, turns, last = 0, cycle(TURNS), 0
    for chat in chats:
        if "queue" in chat.channel_key:
            yield Event(next(numbers), chat.id, 2, "message", "queued", None, None)
            if held < QUEUE_LIMIT * len(QUEUERS):
                operator_id = QUEUERS[held // QUEUE_LIMIT]
                yield Event(next(numbers), chat.id, 2, "D3", "assigned", None, operator_id)
                held += 1
        else:
            yield Event(next(numbers), chat.id, 1, "message", "queued", None, None)
            yield Event(next(numbers), chat.id, 1, "D2", "assigned", None, next(turns))
            last = chat.id
    # An operator accepts two dialogs, answers one and closes it.
    for cause, became, dialog_id in (
        ("accept", "accepted", last),
        ("accept", "accepted", last - 1),
        ("answer", "awaiting_customer", last),
        ("close", "closed", last),
    ):
        yield Event(next(numbers), dialog_id, 1, cause, became, TURNS[0], TURNS[0])


def cards_by_what_joins(requests: Sequence[Request]) -> dict[tuple[str, str], int]:
    """One card for all conversations that have a phone or an e-mail in common, over any number of others."""
    card: dict[tuple[str, str], int] = {}
    owner: dict[object, int] = {}
    for request in requests:
        conversation = (request.channel, request.meaning.chat)
        if request.trouble in MAKES_NOTHING or not request.meaning.chat:
            continue
        card.setdefault(conversation, len(card) + 1)
        for given in request.meaning.gives:
            key = key_of(given, None)
            other = owner.setdefault(key, card[conversation])
            low, high = sorted((other, card[conversation]))
            card = {one: low if number == high else number for one, number in card.items()}
            owner = {one: low if number == high else number for one, number in owner.items()}
    return card

"""The oracle: what a side must have made of a stream, from the stream alone, and what is wrong with what it made."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.stream import Stream, tag_of

SHOWN = 5
"""Examples of each kind of fault that are told."""


@dataclass(frozen=True, slots=True)
class ChatSeen:
    """A chat as a side keeps it. history: tags in its order. card: id of its live card.

    dialogs: the operator of each of its dialogs, None for one that waits.
    """

    channel: str
    history: tuple[str, ...]
    card: int | None
    dialogs: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Effects:
    """All that a side made of a stream.

    accepted, done, unfinished: its ledger; unfinished is all that is neither done nor dropped as a repeat.
    cards: phones and e-mails (kind and key) of each live card that is a lead. operators: everybody on the roster.
    """

    accepted: int
    done: int
    unfinished: int
    chats: Sequence[ChatSeen]
    cards: Mapping[int, frozenset[tuple[str, str]]]
    operators: Sequence[int]


def expected(stream: Stream) -> Effects:
    """What is right; ids of cards are the customers' numbers, and the operators take turns."""
    histories: dict[int, list[str]] = defaultdict(list)
    given: dict[int, set[tuple[str, str]]] = defaultdict(set)
    for said in stream.messages:
        histories[said.chat].append(tag_of(said.number))
        given[stream.chats[said.chat].customer].update(said.gives)
    operators = range(50)
    return Effects(
        accepted=len(stream.messages),
        done=len(stream.messages),
        unfinished=0,
        chats=[
            ChatSeen(f"bench-{chat.kind}", tuple(histories[chat.number]), chat.customer, (operators[chat.number % 50],))
            for chat in stream.chats
        ],
        cards={chat.customer: frozenset(given[chat.customer]) for chat in stream.chats},
        operators=operators,
    )


def faults(stream: Stream, seen: Effects) -> list[str]:
    """What is missing, doubled, out of order, on the wrong card or unevenly distributed; empty if all is right."""
    right = expected(stream)
    return [
        *_ledger(right, seen),
        *_histories(right, seen),
        *_cards(right, seen),
        *_dialogs(seen),
    ]


def _ledger(right: Effects, seen: Effects) -> Iterator[str]:
    if (seen.accepted, seen.done, seen.unfinished) != (right.accepted, right.done, 0):
        yield (
            f"ledger: accepted {seen.accepted}, done {seen.done}, unfinished {seen.unfinished}; "
            f"should be {right.accepted}, {right.done}, 0"
        )


def _histories(right: Effects, seen: Effects) -> Iterator[str]:
    counted = Counter(tag for chat in seen.chats for tag in chat.history)
    known = {tag for chat in right.chats for tag in chat.history}
    yield from _told("message missing in the history", known - counted.keys())
    yield from _told("message more than once in the history", (tag for tag, n in counted.items() if n > 1))
    yield from _told("message that nobody wrote", counted.keys() - known)
    if counted.keys() != known or counted.total() != len(known):
        return
    wanted = {(chat.channel, frozenset(chat.history)): chat.history for chat in right.chats}
    for chat in seen.chats:
        history = wanted.pop((chat.channel, frozenset(chat.history)), None)
        if history is None:
            yield f"chat on {chat.channel} with messages that are not one conversation: {_some(chat.history)}"
        elif history != chat.history:
            yield f"chat on {chat.channel} out of order: {_some(chat.history)}, should be {_some(history)}"
    yield from _told("chat missing", (f"{channel} {_some(sorted(tags))}" for channel, tags in wanted))


def _cards(right: Effects, seen: Effects) -> Iterator[str]:
    if len(seen.cards) != len(right.cards):
        yield f"cards: {len(seen.cards)}, should be {len(right.cards)}"
    wanted = _by_customer(right)
    made = _by_customer(seen)
    yield from _told(
        "customer without one card for all his chats", (_some(sorted(tags)) for tags in wanted if tags not in made)
    )
    for tags, details in wanted.items():
        if tags in made and made[tags] != details:
            yield f"card of {_some(sorted(tags))} has {sorted(made[tags])}, should have {sorted(details)}"


def _by_customer(effects: Effects) -> dict[frozenset[str], frozenset[tuple[str, str]]]:
    """Phones and e-mails by all messages that hang on one card."""
    messages: dict[int | None, set[str]] = defaultdict(set)
    for chat in effects.chats:
        messages[chat.card].update(chat.history)
    return {
        frozenset(tags): effects.cards[card]
        for card, tags in messages.items()
        if card is not None and card in effects.cards
    }


def _dialogs(seen: Effects) -> Iterator[str]:
    wrong = (chat for chat in seen.chats if len(chat.dialogs) != 1)
    yield from _told(
        "chat that has not one dialog", (f"{len(chat.dialogs)} in {_some(chat.history)}" for chat in wrong)
    )
    taken = Counter(operator for chat in seen.chats for operator in chat.dialogs)
    waiting = taken.pop(None, 0)
    if waiting:
        yield f"dialogs without an operator: {waiting}"
    if strangers := taken.keys() - set(seen.operators):
        yield f"dialogs of operators who are not on the roster: {sorted(map(str, strangers))[:SHOWN]}"
    loads = [taken[operator] for operator in seen.operators]
    if loads and max(loads) - min(loads) > 1:
        yield f"operators were given between {min(loads)} and {max(loads)} dialogs; evenly is a difference of one"


def _told(what: str, found: Iterable[str]) -> Iterator[str]:
    named = sorted(found)
    if named:
        yield f"{what}: {len(named)}, as {', '.join(named[:SHOWN])}"


def _some(tags: Sequence[str]) -> str:
    return " ".join(tags[:SHOWN]) + (" …" if len(tags) > SHOWN else "")

"""Histories: each message once, in its own chat, as it was written, and in the order of the chat."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from chaos.checks.inbox import by_external_id
from chaos.checks.seen import Entry, Seen, told
from chaos.record import Record, Sending
from loadgen.verdict.order import behind_their_successors


def once(seen: Seen, record: Record) -> Iterator[str]:
    """What was answered 2xx is once in its chat's history; poison, and what was never answered, at most once."""
    sent = by_external_id(record)
    found = Counter(entry.external_id for entry in seen.history)
    missing = [
        name
        for name, one in sent.items()
        if one.answered is not None and one.message.poison is None and not found[name]
    ]
    yield from told("answered 2xx, and not in the history", missing)
    yield from told("more than once in the history", [name for name, n in found.items() if n > 1])
    yield from told("in the history, and never sent", [name for name in found if name not in sent])
    wrong_chat, wrong_text = [], []
    for entry in seen.history:
        one = sent.get(entry.external_id)
        if one is None:
            continue
        chat = seen.chats.get(entry.chat_id)
        if chat is None or (chat.channel, chat.external_id) != (one.message.channel, one.message.chat):
            wrong_chat.append(entry.external_id)
        if entry.text != one.message.text:
            wrong_text.append(entry.external_id)
    yield from told("in the history of another chat", wrong_chat)
    yield from told("not as it was written", wrong_text)


def order(seen: Seen, record: Record) -> Iterator[str]:
    """m1 precedes m2 if m1 was answered 2xx before m2 was first sent; and the history has the order of the inbox."""
    sent = by_external_id(record)
    items = {item.id: item for item in seen.items}
    late: list[str] = []
    unlike_inbox, elsewhere = [], []
    for history in _by_chat(seen.history).values():
        late += _out_of_order(history, sent)
        unlike_inbox += [b.external_id for a, b in pairwise(history) if _id(a) > _id(b)]
        for entry in history:
            item = items.get(_id(entry))
            if item is None or (item.chat_id, item.chat_seq) != (entry.chat_id, entry.seq):
                elsewhere.append(entry.external_id)
    yield from told("after a message that was sent only after its answer", late)
    yield from told("in another order than it was accepted", unlike_inbox)
    yield from told("not in the place that its first step has fixed", elsewhere)


def _out_of_order(history: Sequence[Entry], sent: Mapping[str, Sending]) -> Iterator[str]:
    known = ((entry.external_id, sent[entry.external_id]) for entry in history if entry.external_id in sent)
    return behind_their_successors((name, one.first_sent, one.answered) for name, one in known)


def _by_chat(history: Sequence[Entry]) -> dict[int, list[Entry]]:
    by_chat: dict[int, list[Entry]] = defaultdict(list)
    for entry in history:
        by_chat[entry.chat_id].append(entry)
    return by_chat


def _id(entry: Entry) -> int:
    return entry.inbox_id or 0

"""Histories: each message once, in its own chat, as it was written or edited, and in the order of the chat."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from loadgen.report_data import Finding
from loadgen.verdict.finding import found
from loadgen.verdict.order import behind_their_successors
from loadgen.verdict.seen import Entry, Seen
from loadgen.verdict.truth import Name, Sending, Truth


def name_of_entry(seen: Seen, entry: Entry) -> Name:
    """As `truth.name_of`."""
    return seen.chats[entry.chat_id].channel_key, entry.external_id, False


def histories(truth: Truth, seen: Seen) -> Iterator[Finding]:
    """Lost, doubled, reordered, in a wrong chat, not as it was written, and edits that were not made."""
    messages = truth.messages
    named = [(name_of_entry(seen, entry), entry) for entry in seen.history]
    counted = Counter(name for name, _ in named)
    lost = [name for name, one in messages.items() if one.answered is not None and not counted[name]]
    yield found("lost: answered 2xx and in no history", map(_said, lost))
    yield found("doubled: more than once in a history", (_said(name) for name, n in counted.items() if n > 1))
    yield found("in a history and never sent", (_said(name) for name in counted if name not in messages))
    yield found("reordered within a chat", _reordered(messages, named))
    yield found("in the history of another chat", _elsewhere(messages, named))
    yield found("texts that are not as they were written", _texts(truth, named))


def _reordered(messages: Mapping[Name, Sending], named: list[tuple[Name, Entry]]) -> Iterator[str]:
    by_chat: dict[int, list[tuple[str, float, float | None]]] = defaultdict(list)
    for name, entry in named:
        if sending := messages.get(name):
            by_chat[entry.chat_id].append((_said(name), sending.first_sent, sending.answered))
    for history in by_chat.values():
        yield from behind_their_successors(history)


def _elsewhere(messages: Mapping[Name, Sending], named: list[tuple[Name, Entry]]) -> Iterator[str]:
    """A chat of the desk is one conversation, and a conversation is one chat."""
    chats: dict[tuple[str, str], int] = {}
    conversations: dict[int, tuple[str, str]] = {}
    for name, entry in named:
        if sending := messages.get(name):
            conversation = sending.request.channel, sending.request.meaning.chat
            right = chats.setdefault(conversation, entry.chat_id) == entry.chat_id
            if not right or conversations.setdefault(entry.chat_id, conversation) != conversation:
                yield _said(name)


def _texts(truth: Truth, named: list[tuple[Name, Entry]]) -> Iterator[str]:
    edits = {
        (one.request.channel, one.request.meaning.edits): one
        for one in truth.readable.values()
        if one.request.meaning.edits
    }
    for name, entry in named:
        sending = truth.readable.get(name)
        if sending is None:
            continue
        allowed = _allowed(sending, edits.get(name[:2]))
        if (entry.text, entry.edited) not in allowed:
            yield _said(name)


def _allowed(sending: Sending, edit: Sending | None) -> set[tuple[str, bool]]:
    """The texts that it may have, and whether it is shown as edited. An edit that came too early finds nothing."""
    written = (sending.request.meaning.text, False)
    if edit is None:
        return {written}
    better = (edit.request.meaning.text, True)
    certain = edit.answered is not None and sending.answered is not None and sending.answered < edit.first_sent
    return {better} if certain else {written, better}


def _said(name: Name) -> str:
    return f"{name[0]}/{name[1]}"

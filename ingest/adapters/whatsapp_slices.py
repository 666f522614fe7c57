"""How a body of the WhatsApp Cloud API is cut: each event with what it needs of its change, and nothing is lost.

A slice is `{"waba", "field", "metadata"}` with `contact` where one is known, and one of `message`, `status`, `echo`,
`history` (with `thread`), `change` (all that is left of a change) or `entry` (one that is not understood).
"""

from collections.abc import Iterator

from ingest.adapters.reading import Json, mapping, mappings, missing, text

_PARTS = {"messages": "message", "statuses": "status", "message_echoes": "echo"}
_CONTEXT = frozenset({"messaging_product", "metadata", "contacts"})


def cut(body: Json) -> Iterator[Json]:
    """The slices of a body. Raises ParseError if it has no list of entries."""
    entries = body.get("entry")
    for entry in entries if isinstance(entries, list) else missing("entry"):
        changes = mapping(entry).get("changes")
        if not isinstance(changes, list):
            yield {"entry": entry}
            continue
        for change in changes:
            yield from _cut_change(entry, change)


def _cut_change(entry: Json, change: object) -> Iterator[Json]:
    value = mapping(mapping(change).get("value"))
    context = {
        "waba": text(entry.get("id")),
        "field": text(mapping(change).get("field")),
        "metadata": mapping(value.get("metadata")),
    }
    senders = _Senders(value)
    understood = set(_CONTEXT)
    for field, part in _PARTS.items():
        items = value.get(field)
        if isinstance(items, list):
            understood.add(field)
            for item in items:
                yield {**context, **senders.of(mapping(item)), part: item}
    if "history" in value and isinstance(value["history"], list):
        understood.add("history")
        for chunk in value["history"]:
            yield from _cut_history(context, chunk)
    rest = {name: left for name, left in value.items() if name not in understood}
    if rest or understood == _CONTEXT:
        # The time of an entry tells apart two events that have the same words and no id.
        yield {**context, "time": entry.get("time"), "change": rest if understood > _CONTEXT else change}


def _cut_history(context: Json, chunk: object) -> Iterator[Json]:
    threads = mapping(chunk).get("threads")
    if not isinstance(threads, list):
        yield {**context, "change": {"history": chunk}}
        return
    for thread in threads:
        messages = mapping(thread).get("messages")
        if not isinstance(messages, list):
            yield {**context, "change": {"thread": thread}}
            continue
        for message in messages:
            yield {**context, "thread": text(mapping(thread).get("id")), "history": message}


class _Senders:
    """The `contacts` of a change, found by phone or by user id.

    A single contact belongs to a single message even where the phones differ: Meta may write one of them with, the
    other without Brazil's ninth digit.
    """

    def __init__(self, value: Json) -> None:
        contacts = mappings(value.get("contacts"))
        events = sum(len(items) for field in _PARTS if isinstance(items := value.get(field), list))
        self._only = contacts[0] if len(contacts) == events == 1 else None
        self._known: dict[str, Json] = {}
        for contact in contacts:
            for name in ("wa_id", "user_id"):
                if known_as := text(contact.get(name)):
                    self._known[known_as] = contact

    def of(self, item: Json) -> Json:
        """`{"contact": ...}` for the sender of a message or the recipient of a status; empty if there is none."""
        for name in ("from", "from_user_id", "recipient_id", "recipient_user_id"):
            if contact := self._known.get(text(item.get(name))):
                return {"contact": contact}
        return {"contact": self._only} if self._only else {}

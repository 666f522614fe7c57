"""The sweep of an erase: whatever else holds one of the customer's phones or e-mails, in any writing (T5).

Other customers' messages, inbox items, dead letters, failures, names, notes. Chunk by chunk along the primary keys,
each found row rewritten in a transaction of milliseconds. It may be stopped at any point and run again.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from psycopg.rows import TupleRow

from crm_store import ledger
from crm_store.customers import Chat, Key
from crm_store.database import Connection, Session
from crm_store.errors import DatabaseAwayError
from crm_store.inbox import DEAD, DONE, IGNORED, digest
from crm_store.patience import patiently
from crm_store.queries import Queries
from tracker.identifiers import IdentifierKind
from tracker.traces import Traces

_SQL = Queries("sweeping")
_ERASURE = Queries("erasure")

DISCARDED = "discarded"

CHUNK = 2000
"""Rows that are looked at at once."""

MOST_READINGS = 100
"""How often a chunk is read again because somebody changes its rows, before the sweep waits for a better moment."""

Progress = Callable[[str, int], None]
"""Told of each chunk: the table, and how many of its rows have been looked at."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A table that is swept. first: below all keys. contents: its columns after the key; `json` for JSON."""

    name: str
    first: tuple[Any, ...]
    contents: tuple[str, ...]


_PLACES = (
    _Place("messages", (0, 0), ("text", "text", "text", "text", "json", "json")),
    _Place("chats", (0,), ("text", "text")),
    _Place("cards", (0,), ("text",)),
    _Place("failures", (0,), ("text", "text")),
    _Place("dead_letters", (0,), ("text", "text")),
    _Place("outbox", (0,), ("text",)),
    _Place("reviews", (0,), ("text", "text")),
    _Place("merges", (0,), ("text", "text", "text")),
    _Place("kept_apart", (0, 0), ("text",)),
    _Place("detached", (0, "", ""), ("text",)),
    _Place("claims", ("", "", "", ""), ("text",)),
    _Place("audit", (0,), ("json",)),
)
_MESSAGES = _PLACES[0]

_OWN = {"messages": "chats", "chats": "chats", "cards": "cards"}
"""Tables whose rows go with the customer, and by which ids they are told."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is looked for, and what needs no rewriting because it goes as a whole."""

    traces: Traces
    chats: Sequence[Chat] = ()
    card_ids: Collection[int] = ()

    @property
    def addresses(self) -> frozenset[tuple[int, str]]:
        """Channel and id of the conversations and of the customer in them."""
        both = {(chat.channel_id, external) for chat in self.chats for external in (chat.external_id, chat.customer_id)}
        return frozenset((channel_id, external) for channel_id, external in both if external)


@dataclass(slots=True)
class Swept:
    """What a sweep has done, and found.

    left: items of the customer that were pending. keys: e-mails of others that hold a trace. unbound: chats without a
    card whose address or whose waiting message holds one: they are about to be the customer's.
    """

    rewritten: dict[str, int] = field(default_factory=dict)
    deleted_items: int = 0
    left: set[int] = field(default_factory=set)
    keys: set[Key] = field(default_factory=set)
    unbound: set[int] = field(default_factory=set)


class Sweeper:
    """One sweep. session: in autocommit; every chunk is a transaction of its own."""

    def __init__(self, session: Session, target: Target, progress: Progress) -> None:
        self._session = session
        self._target = target
        self._progress = progress
        self._own_chats = {chat.id for chat in target.chats}
        self._addresses = target.addresses
        self.swept = Swept()

    def everything(self, inbox_to: int) -> None:
        """The inbox up to this item, then all other tables. Raises DatabaseAwayError."""
        if self._target.traces:
            self._unbound_chats()
        self.inbox(0, inbox_to)
        if not self._target.traces:
            return
        self._identifiers()
        for place in _PLACES:
            self._place(place)

    def inbox(self, after: int, to: int) -> None:
        """Items in (after, to]: the customer's finished ones are deleted, others' are rewritten.

        Raises DatabaseAwayError.
        """
        looked_at = 0
        while rows := patiently(self._inbox_chunk, after, to):
            after = rows[-1]
            looked_at += len(rows)
            self._progress("inbox", looked_at)

    def _inbox_chunk(self, after: int, to: int) -> list[int]:
        with self._session.connection() as connection:
            parameters = {"after": after, "to": to, "limit": CHUNK}
            rows = connection.execute(_SQL["read_inbox"], parameters).fetchall()
        own, gone, hits = self._sorted_out(rows)
        if own:
            with self._session.transaction() as connection:
                self.swept.deleted_items += sum(delete_items(connection, own).values())
        if gone:
            with self._session.transaction() as connection:
                self.swept.deleted_items += sum(delete_items(connection, gone).values())
        if hits:
            self._rewrite_items(hits)
        return [row[0] for row in rows]

    def _sorted_out(self, rows: Sequence[TupleRow]) -> tuple[list[int], list[int], list[TupleRow]]:
        """Finished items of the customer, unreadable bodies with a trace, and items of others with one."""
        own: list[int] = []
        unread: list[int] = []
        hits: list[TupleRow] = []
        for row in rows:
            inbox_id, channel_id, message, raw, headers, stage, chat_id, found, unbound = row
            if chat_id in self._own_chats:
                if stage in _FINISHED:
                    own.append(inbox_id)
                else:
                    self.swept.left.add(inbox_id)
            elif chat_id is None and message is not None and self._is_his(channel_id, message):
                own.append(inbox_id)
            elif self._target.traces and self._holds_trace(message, raw, headers, found):
                if message is None:
                    unread.append(inbox_id)  # nobody knows whose it is and what else it says
                elif unbound and self._speaks_for_itself(message):
                    self.swept.unbound.add(chat_id)
                else:
                    hits.append(row)
        return own, unread, hits

    def unbound_since(self, connection: Connection, after: int) -> set[int]:
        """Chats without a card that came in behind the sweep and are about to be the customer's."""
        if not self._target.traces:
            return set()
        found: set[int] = set()
        last = 2**62
        while rows := connection.execute(_SQL["read_inbox"], {"after": after, "to": last, "limit": CHUNK}).fetchall():
            after = rows[-1][0]
            found |= {
                chat_id
                for _, _, message, _, _, _, chat_id, _, unbound in rows
                if unbound and chat_id not in self._own_chats and message and self._speaks_for_itself(message)
            }
        return found

    def _speaks_for_itself(self, message: str) -> bool:
        """Whether a message, with the address that it came from, holds a trace; what is forwarded says nothing (T3)."""
        return self._target.traces.found_in(message) and not orjson.loads(message).get("forwarded", False)

    def _is_his(self, channel_id: int, message: str) -> bool:
        """Whether a message that makes no chat (an echo, a status) names his conversation."""
        if not any(address in message for of, address in self._addresses if of == channel_id):
            return False
        said = orjson.loads(message)
        return any((channel_id, said.get(name)) in self._addresses for name in ("chat_id", "customer_id"))

    def _holds_trace(self, message: str | None, raw: bytes, headers: str | None, found: str | None) -> bool:
        traces = self._target.traces
        return traces.found_in(_joined(message, headers, found)) or traces.found_in_bytes(raw)

    def _rewrite_items(self, hits: Sequence[TupleRow]) -> None:
        """Under the locks of their chats, with what has become of them in the histories."""
        traces = self._target.traces
        with self._session.transaction() as connection:
            chat_ids = sorted({row[6] for row in hits if row[6] is not None})
            connection.execute(_SQL["lock_chats"], {"chat_ids": chat_ids})
            rows = connection.execute(_SQL["reread_inbox"], {"inbox_ids": [row[0] for row in hits]}).fetchall()
            messages = [None if row[1] is None else traces.redact_json(row[1]) for row in rows]
            connection.execute(
                _SQL["write_inbox"],
                {
                    "inbox_ids": [row[0] for row in rows],
                    "messages": messages,
                    "digests": [None if message is None else digest(message) for message in messages],
                    "raws": [traces.redact_bytes(row[2]) for row in rows],
                    "headers": [None if row[3] is None else traces.redact_json(row[3]) for row in rows],
                },
            )
            founds = [(row[0], traces.redact_json(row[4])) for row in rows if row[4] is not None]
            connection.execute(
                _SQL["write_found"],
                {"inbox_ids": [inbox_id for inbox_id, _ in founds], "founds": [found for _, found in founds]},
            )
            placed = [(row[5], row[6]) for row in rows if row[6] is not None]
            parameters = {"chat_ids": [chat_id for chat_id, _ in placed], "seqs": [seq for _, seq in placed]}
            written = connection.execute(_SQL["messages_of_items"], parameters).fetchall()
            self._rewrite(connection, _MESSAGES, written)
        self._count("inbox", len(rows))

    # Tables of texts

    def _unbound_chats(self) -> None:
        after = 0
        while True:
            with self._session.connection() as connection:
                rows = connection.execute(_SQL["unbound_chats"], {"after": after, "limit": CHUNK}).fetchall()
            if not rows:
                return
            after = rows[-1][0]
            traces = self._target.traces
            self.swept.unbound.update(
                chat_id
                for chat_id, *address in rows
                if chat_id not in self._own_chats and traces.found_in(" ".join(address))
            )

    def _identifiers(self) -> None:
        after: tuple[Any, ...] = ("", "")
        while True:
            with self._session.connection() as connection:
                parameters = {"after_0": after[0], "after_1": after[1], "limit": CHUNK}
                rows = connection.execute(_SQL["read_identifiers"], parameters).fetchall()
            if not rows:
                return
            self.swept.keys.update(
                (kind, key) for kind, key in rows if kind == IdentifierKind.EMAIL and self._target.traces.found_in(key)
            )
            after = rows[-1]

    def _place(self, place: _Place) -> None:
        after = place.first
        looked_at = 0
        own_ids = {"chats": sorted(self._own_chats), "cards": sorted(self._target.card_ids)}
        own = {"own_ids": own_ids[_OWN[place.name]]} if place.name in _OWN else {}
        while rows := patiently(self._chunk, place, after, own):
            after = rows[-1][2 : 2 + len(place.first)]
            looked_at += len(rows)
            self._progress(place.name, looked_at)

    def _chunk(self, place: _Place, after: Sequence[Any], own: dict[str, list[int]]) -> list[TupleRow]:
        parameters = {f"after_{n}": key for n, key in enumerate(after)} | {"limit": CHUNK} | own
        for _ in range(MOST_READINGS):
            with self._session.connection() as connection:
                rows = connection.execute(_SQL[f"read_{place.name}"], parameters).fetchall()
                if self._rewrite(connection, place, rows):
                    return rows
        raise DatabaseAwayError(f"the rows of {place.name} change too fast; try again later")

    def _rewrite(self, connection: Connection, place: _Place, rows: Sequence[TupleRow]) -> bool:
        """Write what holds a trace without it. Returns whether all of it was still as it was read."""
        hits = [(row, redacted) for row in rows if (redacted := self._redacted(place, row)) is not None]
        if not hits:
            return True
        parameters: dict[str, Any] = {
            "places": [row[0] for row, _ in hits],
            "versions": [row[1] for row, _ in hits],
        }
        for n in range(len(place.contents)):
            parameters[f"c{n}"] = [redacted[n] for _, redacted in hits]
        written = connection.execute(_SQL[f"write_{place.name}"], parameters).rowcount
        self._count(place.name, written)
        return written == len(hits)

    def _redacted(self, place: _Place, row: TupleRow) -> list[str | None] | None:
        """The contents without the traces; None if there are none in them."""
        contents = row[2 + len(place.first) :]
        if place.name == "claims":
            return [None] if self._target.traces.found_in(_joined(*row[2:])) else None
        if not self._target.traces.found_in(_joined(*contents)):
            return None
        return list(self._without_traces(place, contents))

    def _without_traces(self, place: _Place, contents: Sequence[str | None]) -> Iterator[str | None]:
        traces = self._target.traces
        for kind, content in zip(place.contents, contents, strict=True):
            if content is None:
                yield None
            else:
                yield traces.redact_json(content) if kind == "json" else traces.redact(content)

    def _count(self, name: str, rows: int) -> None:
        self.swept.rewritten[name] = self.swept.rewritten.get(name, 0) + rows


def _joined(*texts: str | None) -> str:
    """One text to look at instead of several; no number goes from one into the next."""
    return " x ".join([text for text in texts if text])


_FINISHED = frozenset({DONE, IGNORED, DEAD, DISCARDED})


def delete_items(connection: Connection, inbox_ids: Collection[int]) -> dict[str, int]:
    """Delete inbox items with their failures and dead letters, in the caller's transaction; returns them by stage.

    Those that were pending or dead are discarded in the ledger; the others are entered there already.
    """
    rows = connection.execute(_ERASURE["delete_items"], {"inbox_ids": sorted(inbox_ids)}).fetchall()
    deleted = {"inbox_ids": [inbox_id for inbox_id, _ in rows]}
    for query in ("delete_slices", "delete_failures", "delete_dead_letters"):
        connection.execute(_ERASURE[query], deleted)
    stages: dict[str, int] = {}
    for _, stage in rows:
        stages[stage] = stages.get(stage, 0) + 1
    dead = stages.get(DEAD, 0)
    pending = sum(n for stage, n in stages.items() if stage not in _FINISHED)
    ledger.enter(connection, {DEAD: -dead, DISCARDED: dead + pending})
    return stages

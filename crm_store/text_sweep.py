"""The sweep through the tables of texts: names, histories, errors, notes. What holds a trace is written without it."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg.rows import TupleRow

from crm_store.customers import Chat, Key
from crm_store.database import Connection, Session
from crm_store.errors import DatabaseAwayError
from crm_store.patience import patiently
from crm_store.queries import Queries
from tracker.traces import Traces

_SQL = Queries("sweeping")

CHUNK = 2000
"""Rows that are looked at at once."""

MOST_READINGS = 100
"""How often a chunk is read again because somebody changes its rows, before the sweep waits for a better moment."""

Progress = Callable[[str, int], None]
"""Told of each chunk: the table, and how many of its rows have been looked at."""


@dataclass(frozen=True, slots=True)
class Place:
    """A table that is swept. first: below all keys. contents: its columns after the key; `json` for JSON."""

    name: str
    first: tuple[Any, ...]
    contents: tuple[str, ...]


MESSAGES = Place("messages", (0, 0), ("text", "text", "text", "text", "json", "json"))

PLACES = (
    MESSAGES,
    Place("chats", (0,), ("text", "text")),
    Place("cards", (0,), ("text",)),
    Place("failures", (0,), ("text", "text")),
    Place("dead_letters", (0,), ("text", "text")),
    Place("dead_letter_acts", (0,), ("text", "json")),
    Place("outbox", (0,), ("text",)),
    Place("reviews", (0,), ("text",)),
    Place("merges", (0,), ("text", "text")),
    Place("kept_apart", (0, 0), ("text",)),
    Place("detached", (0, "", ""), ("text",)),
    Place("claims", ("", "", "", ""), ("text",)),
    Place("audit", (0,), ("json",)),
)
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

    def count(self, table: str, rows: int) -> None:
        """So many rows were rewritten."""
        self.rewritten[table] = self.rewritten.get(table, 0) + rows


class TextSweep:
    """Through tables whose rows stay. session: in autocommit; every chunk is a transaction of its own."""

    def __init__(self, session: Session, target: Target, progress: Progress, swept: Swept) -> None:
        self._session = session
        self._target = target
        self._progress = progress
        self.swept = swept

    def place(self, place: Place) -> None:
        """One table, chunk by chunk. Raises DatabaseAwayError."""
        after = place.first
        looked_at = 0
        own_ids = {"chats": [chat.id for chat in self._target.chats], "cards": sorted(self._target.card_ids)}
        own = {"own_ids": own_ids[_OWN[place.name]]} if place.name in _OWN else {}
        while rows := patiently(self._chunk, place, after, own):
            after = rows[-1][2 : 2 + len(place.first)]
            looked_at += len(rows)
            self._progress(place.name, looked_at)

    def _chunk(self, place: Place, after: Sequence[Any], own: dict[str, list[int]]) -> list[TupleRow]:
        parameters = {f"after_{n}": key for n, key in enumerate(after)} | {"limit": CHUNK} | own
        for _ in range(MOST_READINGS):
            with self._session.connection() as connection:
                rows = connection.execute(_SQL[f"read_{place.name}"], parameters).fetchall()
                if self.rewrite(connection, place, rows):
                    return rows
        raise DatabaseAwayError(f"the rows of {place.name} change too fast; try again later")

    def rewrite(self, connection: Connection, place: Place, rows: Sequence[TupleRow]) -> bool:
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
        self.swept.count(place.name, written)
        return written == len(hits)

    def _redacted(self, place: Place, row: TupleRow) -> list[str | None] | None:
        """The contents without the traces; None if there are none in them."""
        contents = row[2 + len(place.first) :]
        if place.name == "claims":
            return [None] if self._target.traces.found_in(joined(*row[2:])) else None
        if not self._target.traces.found_in(joined(*contents)):
            return None
        return list(self._without_traces(place, contents))

    def _without_traces(self, place: Place, contents: Sequence[str | None]) -> Iterator[str | None]:
        traces = self._target.traces
        for kind, content in zip(place.contents, contents, strict=True):
            if content is None:
                yield None
            else:
                yield traces.redact_json(content) if kind == "json" else traces.redact(content)


def joined(*texts: str | None) -> str:
    """One text to look at instead of several; no number goes from one into the next."""
    return " x ".join([text for text in texts if text])

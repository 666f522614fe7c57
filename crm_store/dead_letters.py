"""Dead letters, as persons see and handle them: which are meant, and what was done with them.

How items and deliveries become dead letters: `failures`, `outbox`, `receipts`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import LiteralString

import orjson

from config.topology import Step
from crm_store import ledger
from crm_store.database import Connection
from crm_store.inbox import DEAD, digest
from crm_store.queries import Queries
from crm_store.removal import DISCARDED

_SQL = Queries("dead_letters")

STEPS = ("parse", "accept", *(step.value for step in Step))
"""Where something may die: before the first step a body cannot be read, or PostgreSQL refuses its row."""


class LetterState(StrEnum):
    """Where a letter stands, by the view `dead_letters_now`.

    dead: it waits for a person. replaying: it is on its way again. done: it went through after a replay.
    """

    DEAD = "dead"
    REPLAYING = "replaying"
    DONE = "done"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters are meant; what is None does not narrow.

    group: as `groups` of the views names a cause. since, until: died at or after, and before. text: occurs in the
    error, in the message or in a body that could not be read, in any case.
    """

    ids: Sequence[int] | None = None
    state: LetterState | None = None
    step: str | None = None
    reason: str | None = None
    fingerprint: str | None = None
    group: str | None = None
    channel_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None

    def parameters(self) -> dict[str, object]:
        """Of the queries that take a selection."""
        return {
            "ids": None if self.ids is None else list(self.ids),
            "state": self.state,
            "step": self.step,
            "reason": self.reason,
            "fingerprint": self.fingerprint,
            "group": self.group,
            "channel_id": self.channel_id,
            "since": self.since,
            "until": self.until,
            "text": None if self.text is None else _containing(self.text),
            "in_json": None if self.text is None else _containing(_in_json(self.text)),
            "escaped": None if self.text is None else _containing(_as_escaped(self.text)),
            "escaped_in_json": None if self.text is None else _containing(_as_escaped(_in_json(self.text))),
        }


def _containing(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _in_json(text: str) -> str:
    """As it stands within a string of JSON, with its quotes and line breaks."""
    return orjson.dumps(text).decode()[1:-1]


def _as_escaped(text: str) -> str:
    """As PostgreSQL writes bytes in its format `escape`."""
    return "".join(
        "\\\\" if byte == ord("\\") else chr(byte) if 0 < byte < 128 else f"\\{byte:03o}" for byte in text.encode()
    )


def channel_id(connection: Connection, key: str) -> int | None:
    """The id of a channel; None if there is none of this key."""
    row = connection.execute(_SQL["channel_id"], {"key": key}).fetchone()
    return row[0] if row else None


def selected(connection: Connection, selection: Selection, limit: int | None = None) -> list[int]:
    """Ids of the letters that are meant, in the order in which their messages came."""
    rows = connection.execute(of(_SQL["selected"]), {**selection.parameters(), "limit": limit}).fetchall()
    return [letter_id for (letter_id,) in rows]


def states(connection: Connection, selection: Selection) -> dict[LetterState, int]:
    """How many of those that are meant stand where."""
    rows = connection.execute(of(_SQL["states"]), selection.parameters()).fetchall()
    return {LetterState(state): n for state, n in rows}


def of(query: LiteralString) -> LiteralString:
    """A query on the letters `meant`; it takes the parameters of a selection besides its own."""
    return f"WITH meant AS (\n{_SQL['meant']}\n)\n{query}"


def region_of(connection: Connection, channel_id: int) -> str | None:
    """The country in which national phones of a channel are read."""
    row = connection.execute(_SQL["region_of"], {"channel_id": channel_id}).fetchone()
    return row[0] if row else None


def note_acts(
    connection: Connection,
    letter_ids: Collection[int],
    actor: str,
    act: str,
    reason: str = "",
    details: str | None = None,
) -> None:
    """Write into the letters' own records what was done with them. details: JSON, the same for all of them."""
    connection.execute(
        _SQL["note_acts"],
        {"letter_ids": list(letter_ids), "actor": actor, "act": act, "reason": reason, "details": details},
    )


def by_cause_and_state(connection: Connection) -> dict[tuple[str, str], dict[LetterState, int]]:
    """How many letters there are, by step and reason, and then by where they stand."""
    counts: dict[tuple[str, str], dict[LetterState, int]] = {}
    for step, reason, state, count in connection.execute(_SQL["by_cause_and_state"]).fetchall():
        counts.setdefault((step, reason), {})[LetterState(state)] = count
    return counts


def oldest_dead(connection: Connection) -> float:
    """Seconds since the first death of the letter that has waited longest for a person; 0 if none waits."""
    row = connection.execute(_SQL["oldest_dead"]).fetchone()
    return row[0] if row else 0.0


# Discarding, and taking it back


def discard(connection: Connection, letter_ids: Collection[int], actor: str, reason: str) -> int:
    """Nobody needs them any more: those of these letters that are dead. Returns how many."""
    items = _moved(connection, "discard_items", letter_ids)
    ledger.enter(connection, {DEAD: -len(items), DISCARDED: len(items)})
    discarded = [*items, *_moved(connection, "discard_deliveries", letter_ids)]
    note_acts(connection, discarded, actor, "discard", reason)
    return len(discarded)


def restore(connection: Connection, letter_ids: Collection[int], actor: str, reason: str) -> int:
    """They are dead again: those of these letters that were discarded. Returns how many."""
    items = _moved(connection, "restore_items", letter_ids)
    ledger.enter(connection, {DEAD: len(items), DISCARDED: -len(items)})
    restored = [*items, *_moved(connection, "restore_deliveries", letter_ids)]
    note_acts(connection, restored, actor, "restore", reason)
    return len(restored)


def _moved(connection: Connection, query: str, letter_ids: Collection[int]) -> list[int]:
    return [letter_id for (letter_id,) in connection.execute(_SQL[query], {"ids": list(letter_ids)}).fetchall()]


# Editing


@dataclass(frozen=True, slots=True)
class LockedLetter:
    """A letter whose item and chat this transaction has locked.

    dead: whether it waits for a person; a delivery's letter has no item and is not locked. message, headers: as
    JSON; None where it could not be read, or came without. looked_up: crm_lookup has found something in the message.
    """

    id: int
    inbox_id: int | None
    outbox_id: int | None
    channel_id: int
    step: str
    reason: str
    dead: bool
    received_at: datetime
    message: str | None
    headers: str | None
    raw: bytes
    chat_id: int | None
    looked_up: bool


def lock(connection: Connection, letter_id: int) -> LockedLetter | None:
    """One letter, to be edited; None if there is none."""
    parameters = {"id": letter_id}
    chat = connection.execute(_SQL["chat_of"], parameters).fetchone()
    if chat and chat[0] is not None:
        connection.execute(_SQL["lock_chat"], {"chat_id": chat[0]})
    if chat:
        place = connection.execute(_SQL["letter"], parameters).fetchone()
        connection.execute(_SQL["lock_item"], {"inbox_id": place[1] if place else 0})
    row = connection.execute(_SQL["letter"], parameters).fetchone()
    return LockedLetter(*row) if row else None


def write_message(connection: Connection, letter: LockedLetter, message: str, found: str | None) -> None:
    """What the item says from now on. message: as JSON. found: as crm_lookup writes it; None: not yet."""
    parameters = {"inbox_id": letter.inbox_id, "message": message, "digest": digest(message)}
    connection.execute(_SQL["write_message"], parameters)
    if found is not None:
        connection.execute(_SQL["write_found"], {"inbox_id": letter.inbox_id, "found": found})

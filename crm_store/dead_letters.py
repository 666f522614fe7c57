"""Dead letters, as persons see and handle them: which are meant, and what was done with them.

How items and deliveries become dead letters: `failures`, `outbox`, `receipts`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from config.topology import Step
from crm_store.database import Connection
from crm_store.queries import Queries

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
            "escaped": None if self.text is None else _containing(_as_escaped(self.text)),
        }


def _containing(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


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
    rows = connection.execute(_SQL["selected"], {**selection.parameters(), "limit": limit}).fetchall()
    return [letter_id for (letter_id,) in rows]


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

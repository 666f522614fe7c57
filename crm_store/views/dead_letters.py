"""Dead letters, as they are kept: what is shown of a customer's words is decided by those who show it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crm_store.database import Connection
from crm_store.dead_letters import LetterState, Selection, of
from crm_store.queries import Queries

_SQL = Queries("letter_views")


@dataclass(frozen=True, slots=True)
class LetterSummary:
    """A letter in a list. group: its cause, for selections. channel: null where it is gone.

    deaths: the first, and one for each replay that failed. attempts: in all. inbox_id or delivery_id: what died.
    chat_id: null where nobody could read whose it is.
    """

    id: int
    state: LetterState
    step: str
    reason: str
    group: str
    fingerprint: str
    channel: str | None
    channel_kind: str | None
    deaths: int
    attempts: int
    first_died_at: datetime
    died_at: datetime
    inbox_id: int | None
    delivery_id: int | None
    chat_id: int | None
    error: str


@dataclass(frozen=True, slots=True)
class LetterGroup:
    """Letters of one cause: a step, a reason and a fingerprint. letters: in all, and by where they stand.

    first_at, last_at: of deaths. latest_id: of the letter that came last.
    """

    group: str
    step: str
    reason: str
    fingerprint: str
    letters: int
    dead: int
    replaying: int
    done: int
    discarded: int
    channels: list[str]
    first_at: datetime
    last_at: datetime
    latest_id: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Of a part of the letters. last_hour, last_day: died in it. oldest_dead_at: of what waits for a person."""

    letters: int
    dead: int
    last_hour: int
    last_day: int
    oldest_dead_at: datetime | None
    last_died_at: datetime | None


@dataclass(frozen=True, slots=True)
class LetterStats:
    """Figures of all letters that were meant, and by state, step, reason and channel."""

    all: Figures
    states: dict[str, Figures]
    steps: dict[str, Figures]
    reasons: dict[str, Figures]
    channels: dict[str, Figures]


@dataclass(frozen=True, slots=True)
class DeadItem:
    """The inbox item that died. stage: where it stands now. message: normalised, as JSON; headers: as JSON."""

    stage: str
    received_at: datetime
    chat_seq: int | None
    card_id: int | None
    dialog_id: int | None
    message: str | None
    headers: str | None
    raw: bytes


@dataclass(frozen=True, slots=True)
class DeadDelivery:
    """The message of ours that was not delivered. key: its idempotency key. operator_id: who wrote it, if a person."""

    state: str
    key: str
    seq: int
    dialog_id: int | None
    text: str
    written_at: datetime
    operator_id: int | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A failed attempt."""

    step: str
    attempt: int
    failed_at: datetime
    worker: str
    reason: str
    error: str
    traceback: str


@dataclass(frozen=True, slots=True)
class LetterAct:
    """What a person did with a letter. details: of an edit, what was changed."""

    at: datetime
    actor: str
    act: str
    reason: str
    details: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class KeptLetter:
    """Everything that is kept of a letter; item or delivery is what died."""

    summary: LetterSummary
    traceback: str
    item: DeadItem | None
    delivery: DeadDelivery | None
    attempts: list[Attempt]
    acts: list[LetterAct]


def page(
    connection: Connection, selection: Selection, limit: int, before: tuple[datetime, int] | None = None
) -> list[LetterSummary]:
    """Letters, the latest deaths first. before: time and id of the last of the page before."""
    at, letter_id = before or (None, None)
    parameters = {**selection.parameters(), "limit": limit, "before_at": at, "before_id": letter_id}
    return [_summary(row) for row in connection.execute(of(_SQL["page"]), parameters).fetchall()]


def groups(connection: Connection, selection: Selection, limit: int) -> list[LetterGroup]:
    """By cause, the largest first."""
    rows = connection.execute(of(_SQL["groups"]), {**selection.parameters(), "limit": limit}).fetchall()
    return [LetterGroup(*[*row[:9], row[9] or [], *row[10:]]) for row in rows]


def stats(connection: Connection, selection: Selection) -> LetterStats:
    """Figures; a look at every letter that is meant."""
    found: dict[str, dict[str, Figures]] = {}
    for what, name, *figures in connection.execute(of(_SQL["stats"]), selection.parameters()).fetchall():
        found.setdefault(what, {})[name] = Figures(*figures)
    everything = found.get("all", {}).get("", Figures(0, 0, 0, 0, None, None))
    return LetterStats(everything, *(found.get(what, {}) for what in ("state", "step", "reason", "channel")))


def read(connection: Connection, letter_ids: Collection[int]) -> list[KeptLetter]:
    """These letters in the order given; those that are not there are left out."""
    named = {"ids": list(letter_ids)}
    attempts: dict[int, list[Attempt]] = {}
    for letter_id, *attempt in connection.execute(_SQL["failures"], named).fetchall():
        attempts.setdefault(letter_id, []).append(Attempt(*attempt))
    acts: dict[int, list[LetterAct]] = {}
    for letter_id, *act in connection.execute(_SQL["acts"], named).fetchall():
        acts.setdefault(letter_id, []).append(LetterAct(*act))
    return [
        KeptLetter(
            summary=_summary(row[:16]),
            traceback=row[16],
            item=None if row[12] is None or row[17] is None else DeadItem(*[*row[17:24], bytes(row[24])]),
            delivery=None if row[13] is None else DeadDelivery(*row[25:]),
            attempts=attempts.get(row[0], []),
            acts=acts.get(row[0], []),
        )
        for row in connection.execute(_SQL["letters"], named).fetchall()
    ]


def _summary(row: Any) -> LetterSummary:
    return LetterSummary(row[0], LetterState(row[1]), *row[2:])

"""The inbox: accepting items, claiming them for a step, moving them on."""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby, takewhile
from typing import Any

from config.topology import INBOX_STEPS, Step
from crm_store import ledger, receipts
from crm_store.database import Connection
from crm_store.errors import StaleClaimError
from crm_store.queries import Queries
from crm_store.receipts import Receipt

_SQL = Queries("inbox")

DONE = "done"
IGNORED = "ignored"
DEAD = "dead"
FIRST_STAGE = INBOX_STEPS[0].value


@dataclass(frozen=True, slots=True)
class NewItem:
    """An event that is to be accepted.

    key_hash: what makes a second delivery recognisable. received_at: by the clock of who read it. chat: external id
    of its conversation, None where it has none. message: normalised, as JSON; None if it could not be read. headers:
    of its request, as JSON, without secrets. stage: the first step, `ignored` or `dead`. failed_in, error,
    fingerprint, traceback: why it is dead. whole_body: raw is no slice, because the body could not be cut. receipt:
    what it reports of a message of ours (S5).
    """

    channel_id: int
    key_hash: bytes
    received_at: datetime
    raw: bytes
    message: str | None = None
    headers: str | None = None
    chat: str | None = None
    customer_id: str = ""
    name: str = ""
    stage: str = FIRST_STAGE
    reason: str | None = None
    failed_in: str = ""
    error: str = ""
    fingerprint: str = ""
    traceback: str = ""
    whole_body: bool = False
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True)
class ClaimedItem:
    """An item whose chat this transaction has locked.

    batch_limit: under suspicion of having crashed a worker, so run it with at most so many items in all.
    """

    inbox_id: int
    chat_id: int
    chat_seq: int | None
    batch_limit: int | None = None
    card_id: int | None = None
    dialog_id: int | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """What a step may take now.

    lines: per chat, the items that may enter, in the chat's order; a batch takes any of the lines' beginnings.
    full: whether more items wait than were looked at. left: items whose chat another worker has for other work.
    """

    lines: tuple[tuple[ClaimedItem, ...], ...] = ()
    full: bool = False
    left: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ItemHead:
    """Who wrote a claimed item, when, and what crm_lookup found in it, as JSON. message: as JSON, where asked for."""

    kind: str
    name: str
    customer_id: str
    received_at: datetime
    found: str | None
    message: str | None


@dataclass(frozen=True, slots=True)
class Move:
    """Where an item goes from here; None leaves a column as it is."""

    inbox_id: int
    stage: str
    reason: str | None = None
    chat_seq: int | None = None
    found: str | None = None
    card_id: int | None = None
    dialog_id: int | None = None


def accept(
    connection: Connection, items: Sequence[NewItem], day: date, received_at: datetime | None = None
) -> list[int | None]:
    """Insert items in the order given, as part of the caller's transaction.

    received_at: when what they were cut from came in, if that was not now, by the database's clock.
    Returns the inbox id of each, or None for one that had been accepted before.
    """
    fresh = insert_keys(connection, items, day)
    accepted = [item for item in items if fresh.pop((item.channel_id, item.key_hash), None) is item]
    if not accepted:
        return [None] * len(items)
    insert_chats(connection, [item for item in accepted if item.chat is not None])
    cursor = connection.execute(
        _SQL["insert_items"],
        {
            "channel_ids": [item.channel_id for item in accepted],
            "chats": [item.chat for item in accepted],
            "received_at": received_at,
            "messages": [item.message for item in accepted],
            "digests": [digest(item.message) if item.message is not None else None for item in accepted],
            "raws": [item.raw for item in accepted],
            "headers": [item.headers for item in accepted],
            "stages": [item.stage for item in accepted],
            "reasons": [item.reason for item in accepted],
        },
    )
    ledger.enter(
        connection,
        {
            "accepted": len(accepted),
            IGNORED: sum(item.stage == IGNORED for item in accepted),
            DEAD: sum(item.stage == DEAD for item in accepted),
        },
    )
    receipts.insert(connection, [item.receipt for item in accepted if item.receipt is not None])
    ids = {id(item): inbox_id for item, (inbox_id,) in zip(accepted, cursor.fetchall(), strict=True)}
    _insert_unread(connection, [(ids[id(item)], item) for item in accepted if item.stage == DEAD])
    return [ids.get(id(item)) for item in items]


def digest(message: str) -> bytes:
    """By which a message that came with a task is known to be the one in the inbox."""
    return hashlib.blake2b(message.encode(), digest_size=8).digest()


def insert_keys(connection: Connection, items: Sequence[NewItem], day: date) -> dict[tuple[int, bytes], NewItem]:
    """Note what is accepted; returns, by channel and key, the first item of each key that was not known before."""
    first: dict[tuple[int, bytes], NewItem] = {}
    for item in items:
        first.setdefault((item.channel_id, item.key_hash), item)
    rows = connection.execute(
        _SQL["insert_keys"],
        {
            "channel_ids": [channel_id for channel_id, _ in first],
            "key_hashes": [key_hash for _, key_hash in first],
            "days": [day] * len(first),
        },
    ).fetchall()
    return {(channel_id, bytes(key_hash)): first[channel_id, bytes(key_hash)] for channel_id, key_hash in rows}


def insert_chats(connection: Connection, items: Sequence[NewItem]) -> None:
    """Make the chats that items name and that are not there yet."""
    connection.execute(
        _SQL["insert_chats"],
        {
            "channel_ids": [item.channel_id for item in items],
            "chats": [item.chat for item in items],
            "customers": [item.customer_id for item in items],
            "names": [item.name for item in items],
        },
    )


def _insert_unread(connection: Connection, dead: Sequence[tuple[int, NewItem]]) -> None:
    if dead:
        connection.execute(
            _SQL["insert_unread"],
            {
                "inbox_ids": [inbox_id for inbox_id, _ in dead],
                "channel_ids": [item.channel_id for _, item in dead],
                "steps": [item.failed_in for _, item in dead],
                "reasons": [item.reason for _, item in dead],
                "fingerprints": [item.fingerprint for _, item in dead],
                "errors": [item.error for _, item in dead],
                "tracebacks": [item.traceback for _, item in dead],
                "whole_bodies": [item.whole_body for _, item in dead],
            },
        )


def claim(connection: Connection, step: Step, named: Collection[int], limit: int, waiting: int) -> Claim:
    """Lock whole chats and read what of them may enter `step` now, as part of the caller's transaction.

    Looks at the chats of the named items, and of up to `waiting` others that have waited longest; reads up to `limit`
    items of each, and no more than MOST_OF_CHAT, or, where items are named, MOST_BESIDES.
    An item may enter only if no item of its chat stands before it that is unfinished in an earlier step or is
    being retried in this one; what stands behind a retried item is deferred to that item's time.
    """
    locked, missed, full = _lock_chats(connection, step, named, waiting)
    lines: list[tuple[ClaimedItem, ...]] = []
    retried: list[int] = []
    cap = MOST_BESIDES if named and waiting else MOST_OF_CHAT
    most = min(limit, cap)
    for _, chat_rows in groupby(_pending(connection, step, locked, most), key=lambda row: row.item.chat_id):
        rows = list(chat_rows)
        line = tuple(row.item for row in takewhile(lambda row: row.may_enter(step), rows))
        if line:
            lines.append(line)
            full = full or len(rows) == cap
        behind = rows[len(line) :]
        if behind and behind[0].stage == step:
            retried.append(behind[0].item.inbox_id)
    if retried:
        connection.execute(_SQL["defer_behind"], {"step": step, "inbox_ids": retried, "most": MOST_DEFERRED})
    return Claim(tuple(lines), full, _left_behind(connection, step, missed, locked) if missed else ())


@dataclass(frozen=True, slots=True)
class _PendingRow:
    item: ClaimedItem
    stage: str
    is_due: bool

    def may_enter(self, step: Step) -> bool:
        return self.stage == step and self.is_due


def _lock_chats(
    connection: Connection, step: Step, named: Collection[int], limit: int
) -> tuple[list[int], list[int], bool]:
    """Ids of the chats that could be locked, items of those that could not, and if more wait than were looked at."""
    locked: set[int] = set()
    missed: set[int] = set()
    full = False
    for window in range(_WINDOWS):
        row = connection.execute(
            _SQL["lock_chats"],
            {
                "step": step,
                "named": list(named) if window == 0 else [],
                "limit": limit,
                "offset": window * limit,
            },
        ).fetchone()
        assert row is not None  # noqa: S101  aggregates
        got, items, candidates, not_got = row
        locked.update(got)
        missed.update(not_got)
        full = 0 < limit <= items
        # A stopped worker may hold the chats that have waited longest: look behind them.
        if not full or 2 * len(got) >= candidates:
            break
    return sorted(locked), sorted(missed), full


_WINDOWS = 3

MOST_OF_CHAT = 50
"""Items of one chat that one batch takes: nobody else waits long behind a flood in one chat."""

MOST_BESIDES = 10
"""The same where a batch has items of its own to do."""

MOST_DEFERRED = 1000
"""Items that one claim defers behind each that is retried; the next claim goes on."""


def _pending(connection: Connection, step: Step, chat_ids: Sequence[int], limit: int) -> list[_PendingRow]:
    if not chat_ids:
        return []
    rows = connection.execute(_SQL["pending_of_chats"], {"chat_ids": chat_ids, "step": step, "limit": limit}).fetchall()
    return [
        _PendingRow(ClaimedItem(inbox_id, chat_id, chat_seq, batch_limit, card_id, dialog_id), stage, is_due)
        for inbox_id, chat_id, chat_seq, stage, is_due, batch_limit, card_id, dialog_id in rows
    ]


def _left_behind(
    connection: Connection, step: Step, inbox_ids: Sequence[int], locked: Sequence[int]
) -> tuple[int, ...]:
    parameters = {"inbox_ids": inbox_ids, "step": step, "locked": locked}
    return tuple(inbox_id for (inbox_id,) in connection.execute(_SQL["left_behind"], parameters).fetchall())


def read_messages(connection: Connection, inbox_ids: Sequence[int], carried: Mapping[int, str]) -> dict[int, str]:
    """Messages of claimed items by inbox id, as JSON.

    carried: messages that came with the task. One is used only if it is to the letter what the inbox holds: the
    inbox is the truth, whatever an old task message says.
    """

    def parameters(wanted: Sequence[int]) -> dict[str, Any]:
        digests = [digest(carried[inbox_id]) if inbox_id in carried else None for inbox_id in wanted]
        return {"inbox_ids": list(wanted), "digests": digests}

    rows = _read_items(connection, "read_messages", inbox_ids, parameters)
    return {inbox_id: carried[inbox_id] if message is None else message for inbox_id, message in rows}


def read_heads(connection: Connection, inbox_ids: Sequence[int], whole_kinds: Collection[str]) -> dict[int, ItemHead]:
    """What is to be known of claimed items, by inbox id. whole_kinds: of which the whole message is read."""
    kinds = sorted(whole_kinds)
    rows = _read_items(connection, "read_heads", inbox_ids, lambda wanted: {"inbox_ids": list(wanted), "kinds": kinds})
    return {inbox_id: ItemHead(*rest) for inbox_id, *rest in rows}


def _read_items(
    connection: Connection,
    query: str,
    inbox_ids: Sequence[int],
    parameters: Callable[[Sequence[int]], Mapping[str, Any]],
) -> list[tuple[Any, ...]]:
    """Rows that begin with the inbox id; found by the moment of their accepting, which tells the partition."""
    rows = connection.execute(_SQL[query], parameters(inbox_ids)).fetchall()
    if len(rows) < len(inbox_ids):
        missing = list(set(inbox_ids).difference(row[0] for row in rows))
        connection.execute(_SQL["agree_on_times"], {"inbox_ids": missing})
        rows += connection.execute(_SQL[query], parameters(missing)).fetchall()
    return rows


def move(
    connection: Connection, step: Step, moves: Sequence[Move], batch_id: int | None = None, seconds: float = 0.0
) -> None:
    """Move claimed items out of `step`, enter the finished ones into the ledger, and end the batch.

    batch_id: as it was written down. seconds: that it took. Raises StaleClaimError if an item is no longer in `step`.
    """
    row = connection.execute(
        _SQL["move_items"],
        {
            "step": step,
            "inbox_ids": [move.inbox_id for move in moves],
            "stages": [move.stage for move in moves],
            "reasons": [move.reason for move in moves],
            "chat_seqs": [move.chat_seq for move in moves],
            "found": [move.found for move in moves],
            "card_ids": [move.card_id for move in moves],
            "dialog_ids": [move.dialog_id for move in moves],
            "batch_id": batch_id,
            "seconds": seconds,
        },
    ).fetchone()
    moved = row[0] if row else 0
    if moved != len(moves):
        raise StaleClaimError(f"{len(moves) - moved} of {len(moves)} items have left {step}")


def oldest_due(connection: Connection) -> dict[Step, float]:
    """Seconds for which the oldest due item of each step has waited; steps with none are left out."""
    return {Step(stage): waited for stage, waited in connection.execute(_SQL["oldest_due"]).fetchall()}


def forget_keys(connection: Connection, days: int, limit: int) -> int:
    """Delete up to `limit` keys of webhooks accepted more than `days` days ago; returns how many."""
    return connection.execute(_SQL["forget_keys"], {"days": days, "limit": limit}).rowcount

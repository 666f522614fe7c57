"""Dead letters that are put back where they died, each on condition that it is dead at that moment.

An item goes back into its step with its place in the chat's history; one that never came so far is accepted anew, as
it is read today; a delivery is due again. Lock order: see sql/put_back.sql.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from config.topology import INBOX_STEPS
from crm_store import inbox, ledger, receipts
from crm_store.database import Connection
from crm_store.inbox import DEAD, FIRST_STAGE, IGNORED, NewItem
from crm_store.queries import Queries
from tracker.messages import CHANGE_KINDS

_SQL = Queries("put_back")

ACCEPT = "accept"
"""The step of a letter whose row PostgreSQL refused."""

CRASHED = "worker_crashed"
REPORTED_FAILED = "reported_failed"
DUPLICATE = "duplicate"
"""Why an item is ignored that was accepted in another delivery, and done, before it could be read."""

SPLIT = "split"
"""Why a body is ignored whose events were accepted as items of their own."""

NO_EVENTS = "no_events"
"""Why a body is ignored that has none."""


@dataclass(frozen=True, slots=True)
class DeadItem:
    """A locked letter of an inbox item. step: where it died. channel_id: by which it came."""

    letter_id: int
    inbox_id: int
    step: str
    reason: str
    deaths: int
    channel_id: int

    @property
    def stage(self) -> str | None:
        """The stage that it goes back to; None if it has to be accepted anew."""
        return self.step if self.step in INBOX_STEPS else None


@dataclass(frozen=True, slots=True)
class DeadDelivery:
    """A locked letter of a delivery."""

    letter_id: int
    outbox_id: int
    step: str
    reason: str
    deaths: int


@dataclass(frozen=True, slots=True)
class KeptItem:
    """What was kept of an item that did not come as far as the first step.

    message: normalised, as JSON, if it was edited. whole_body: raw is a body that could not be cut.
    """

    inbox_id: int
    channel_id: int
    received_at: datetime
    raw: bytes
    message: str | None
    headers: Mapping[str, str]
    step: str
    whole_body: bool


@dataclass(frozen=True, slots=True)
class NextDeath:
    """Why a letter could not be put back. Masked already."""

    letter_id: int
    reason: str
    fingerprint: str
    error: str
    traceback: str


def wait_briefly(connection: Connection, seconds: float) -> None:
    """To the end of the transaction: wait for no lock longer than that; then it is a BusyError."""
    connection.execute(_SQL["wait_briefly"], {"lock_timeout": f"{round(seconds * 1000)}ms"})


def hold_off_erases(connection: Connection) -> None:
    """To the end of the transaction, as who accepts messages does; before any lock of `put_back`."""
    connection.execute(_SQL["no_erase"])


def lock_items(connection: Connection, letter_ids: Collection[int]) -> list[DeadItem]:
    """Those of these letters that are items and dead now, locked, in the order in which they came."""
    rows = connection.execute(_SQL["lock_items"], {"letter_ids": list(letter_ids)}).fetchall()
    return [DeadItem(*row) for row in rows]


def lock_deliveries(connection: Connection, letter_ids: Collection[int]) -> list[DeadDelivery]:
    """Those of these letters that are deliveries and dead now, locked."""
    rows = connection.execute(_SQL["lock_deliveries"], {"letter_ids": list(letter_ids)}).fetchall()
    return [DeadDelivery(*row) for row in rows]


def kept(connection: Connection, inbox_ids: Collection[int]) -> dict[int, KeptItem]:
    """What was kept of items, by inbox id."""
    rows = connection.execute(_SQL["kept"], {"inbox_ids": list(inbox_ids)}).fetchall()
    return {
        inbox_id: KeptItem(inbox_id, channel_id, received_at, bytes(raw), message, headers or {}, step, whole_body)
        for inbox_id, channel_id, received_at, raw, message, headers, step, whole_body in rows
    }


def into_steps(connection: Connection, items: Sequence[tuple[DeadItem, int]], crashes: int) -> None:
    """Put locked items back into their steps, each with the size of batches that it may run in.

    crashes: how many one may bring along.
    """
    if not items:
        return
    connection.execute(
        _SQL["into_steps"],
        {
            "inbox_ids": [item.inbox_id for item, _ in items],
            "stages": [item.stage for item, _ in items],
            "batch_limits": [batch_limit for _, batch_limit in items],
            "crashes": crashes,
        },
    )
    ledger.enter(connection, {DEAD: -len(items)})


def into_inbox(
    connection: Connection, items: Sequence[tuple[DeadItem, NewItem]], batch_limit: int
) -> dict[int, tuple[str, str | None]]:
    """Accept locked items anew as they are read now; returns the stage of each, by inbox id, and why it is ignored.

    The key of a message that is there already says that it was accepted in another delivery: nothing else is to be
    done. A row that PostgreSQL refused has its key itself. Keys are forgotten after a month, letters are not: then the
    chat's history says it.
    """
    if not items:
        return {}
    given = [new for _, new in items]
    fresh = inbox.insert_keys(connection, given, datetime.now(UTC).date())
    known = {
        dead.inbox_id
        for dead, new in items
        if fresh.get((new.channel_id, new.key_hash)) is not new and dead.step != ACCEPT
    }
    known |= _in_history(connection, items)
    accepted = [(dead, new) for dead, new in items if dead.inbox_id not in known]
    with_chat = [new for _, new in accepted if new.chat is not None]
    if with_chat:
        inbox.insert_chats(connection, with_chat)
    placed = {dead.inbox_id: (new.stage, new.reason) for dead, new in accepted}
    placed |= dict.fromkeys(known, (IGNORED, DUPLICATE))
    accepted_ids = {dead.inbox_id for dead, _ in accepted}
    messages = [new.message if dead.inbox_id in accepted_ids else None for dead, new in items]
    connection.execute(
        _SQL["into_inbox"],
        {
            "inbox_ids": [dead.inbox_id for dead, _ in items],
            "channel_ids": [new.channel_id for _, new in items],
            "chats": [new.chat if dead.inbox_id in accepted_ids else None for dead, new in items],
            "messages": messages,
            "digests": [None if message is None else inbox.digest(message) for message in messages],
            "stages": [placed[dead.inbox_id][0] for dead, _ in items],
            "reasons": [placed[dead.inbox_id][1] for dead, _ in items],
            "batch_limits": [batch_limit if placed[dead.inbox_id][0] == FIRST_STAGE else None for dead, _ in items],
        },
    )
    ignored = sum(stage == IGNORED for stage, _ in placed.values())
    ledger.enter(connection, {DEAD: -len(items), IGNORED: ignored})
    receipts.insert(connection, [new.receipt for _, new in accepted if new.receipt is not None])
    return placed


def _in_history(connection: Connection, items: Sequence[tuple[DeadItem, NewItem]]) -> set[int]:
    rows = connection.execute(
        _SQL["in_history"],
        {
            "inbox_ids": [dead.inbox_id for dead, _ in items],
            "channel_ids": [new.channel_id for _, new in items],
            "chats": [new.chat for _, new in items],
            "messages": [new.message for _, new in items],
            "change_kinds": sorted(CHANGE_KINDS),
        },
    ).fetchall()
    return {inbox_id for (inbox_id,) in rows}


def split(connection: Connection, item: DeadItem, events: Sequence[NewItem]) -> list[int]:
    """A body that can be cut now: its events are accepted as items of their own. Returns those for the first step.

    They have come in when it came.
    """
    ids = inbox.accept(connection, events, datetime.now(UTC).date(), events[0].received_at) if events else []
    connection.execute(
        _SQL["into_inbox"],
        {
            "inbox_ids": [item.inbox_id],
            "channel_ids": [item.channel_id],
            "chats": [None],
            "messages": [None],
            "digests": [None],
            "stages": [IGNORED],
            "reasons": [SPLIT if events else NO_EVENTS],
            "batch_limits": [None],
        },
    )
    ledger.enter(connection, {DEAD: -1, IGNORED: 1})
    return [
        inbox_id
        for inbox_id, event in zip(ids, events, strict=True)
        if inbox_id is not None and event.stage == FIRST_STAGE
    ]


def into_outbox(connection: Connection, deliveries: Sequence[DeadDelivery]) -> None:
    """Locked deliveries are due again."""
    if deliveries:
        connection.execute(_SQL["into_outbox"], {"outbox_ids": [delivery.outbox_id for delivery in deliveries]})


def died_again(connection: Connection, deaths: Sequence[NextDeath], worker: str) -> None:
    """Note further deaths of locked letters that could not be put back."""
    if not deaths:
        return
    connection.execute(
        _SQL["died_again"],
        {
            "letter_ids": [death.letter_id for death in deaths],
            "reasons": [death.reason for death in deaths],
            "fingerprints": [death.fingerprint for death in deaths],
            "errors": [death.error for death in deaths],
            "tracebacks": [death.traceback for death in deaths],
            "worker": worker,
        },
    )

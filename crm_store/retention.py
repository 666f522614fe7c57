"""Retention: what is deleted because it is old, in short commits; the clock goes on while there is more.

Row by row to the day, and months of the history as whole partitions: see `partition_retention`.
The ledger balances throughout: it has counted finished items already, and counts a dead letter that goes as discarded.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from crm_store import ledger, replays
from crm_store.database import Connection
from crm_store.inbox import DEAD
from crm_store.partition_retention import PartitionRetention
from crm_store.queries import Queries

_SQL = Queries("retention")

ITEMS_AT_ONCE = 5000
CHATS_AT_ONCE = 500
MESSAGES_OF_CHAT = 50
"""How many of a chat's oldest messages are looked at at once."""


@dataclass(frozen=True, slots=True)
class RetentionOptions:
    """Days; None is for ever. raw: what providers sent, once it is finished. history: of the chats' messages.

    event: events and decisions of dialogs that were closed before, and of operators' presence.
    """

    raw_days: int | None = 30
    dead_letter_days: int | None = None
    history_days: int | None = None
    event_days: int | None = None
    audit_days: int | None = None


class Retention:
    """One round through all that may be old, in parts. A new round begins when the last part is done."""

    def __init__(self, options: RetentionOptions) -> None:
        self._options = options
        self._round: Iterator[str] | None = None
        self._connection: Connection | None = None
        self._partitions = PartitionRetention(lambda: self._here)
        self.deleted: dict[str, int] = {}

    @property
    def dropped(self) -> list[str]:
        """Partitions that the round has dropped so far."""
        return self._partitions.dropped

    def part(self, connection: Connection) -> bool:
        """Delete some rows in the caller's transaction. Returns whether the round goes on.

        `deleted` is what the round has deleted so far, by table.
        """
        if self._round is None:
            self.deleted = {}
            self._partitions = PartitionRetention(lambda: self._here)
            self._round = self._parts()
        self._connection = connection
        try:
            next(self._round)
        except StopIteration:
            self._round = None
            return False
        except BaseException:
            self._round = None
            raise
        finally:
            self._connection = None
        return True

    def _parts(self) -> Iterator[str]:
        options = self._options
        if options.raw_days is not None:
            yield from self._items(options.raw_days)
            yield from self._deliveries("forget_settled_deliveries", options.raw_days)
        if options.dead_letter_days is not None:
            yield from self._dead_letters(options.dead_letter_days)
            yield from self._deliveries("forget_dead_deliveries", options.dead_letter_days)
        if options.history_days is not None:
            yield from self._messages(options.history_days)
        if options.event_days is not None:
            yield from self._events(options.event_days)
        if options.audit_days is not None:
            yield from self._audit(options.audit_days)
            yield from self._replays(options.audit_days)

    def _items(self, days: int) -> Iterator[str]:
        after: int | None = 0
        while after is not None:
            after, deleted, _ = self._row("forget_items", days=days, after=after, limit=ITEMS_AT_ONCE)
            yield self._count("inbox", deleted)
        for _ in self._partitions.inbox(days):
            yield self._count("inbox", 0)

    def _dead_letters(self, days: int) -> Iterator[str]:
        deleted = ITEMS_AT_ONCE
        while deleted == ITEMS_AT_ONCE:
            (deleted,) = self._row("forget_dead_letters", days=days, limit=ITEMS_AT_ONCE)
            ledger.enter(self._here, {DEAD: -deleted, "discarded": deleted})
            yield self._count("dead_letters", deleted)

    def _deliveries(self, query: str, days: int) -> Iterator[str]:
        """Their letters; they themselves go with the history."""
        deleted = ITEMS_AT_ONCE
        while deleted == ITEMS_AT_ONCE:
            (deleted,) = self._row(query, days=days, limit=ITEMS_AT_ONCE)
            yield self._count("dead_letters", deleted)

    def _messages(self, days: int) -> Iterator[str]:
        for dropped in self._partitions.messages(days):
            yield self._count("messages", dropped)
        after: int | None = 0
        while after is not None:
            limits = {"chats": CHATS_AT_ONCE, "each": MESSAGES_OF_CHAT}
            last, deleted, more = self._row("forget_messages", days=days, after=after, **limits)
            yield self._count("messages", deleted)
            after = after if more else last

    def _events(self, days: int) -> Iterator[str]:
        after: int | None = 0
        while after is not None:
            after, deleted = self._row("forget_events", days=days, after=after, limit=ITEMS_AT_ONCE)
            yield self._count("events", deleted)
        explained: set[int] = set()
        after = 0
        while after is not None:
            parameters = {"days": days, "after": after, "limit": ITEMS_AT_ONCE}
            after, deleted, plan_ids = self._row("forget_decisions", **parameters)
            explained.update(plan_ids)
            yield self._count("decisions", deleted)
        after = 0
        while after is not None:
            after, deleted = self._plans(days, after, explained)
            yield self._count("plans", deleted)

    def _plans(self, days: int, after: int, explained: Collection[int]) -> tuple[int | None, int]:
        """Plans that explain none of the old decisions that stayed."""
        last, old = self._row("old_plans", days=days, after=after, limit=ITEMS_AT_ONCE)
        useless = [plan_id for plan_id in old if plan_id not in explained]
        return last, self._here.execute(_SQL["forget_plans"], {"ids": useless}).rowcount

    def _audit(self, days: int) -> Iterator[str]:
        deleted = ITEMS_AT_ONCE
        while deleted == ITEMS_AT_ONCE:
            deleted = self._here.execute(_SQL["forget_audit"], {"days": days, "limit": ITEMS_AT_ONCE}).rowcount
            yield self._count("audit", deleted)

    def _replays(self, days: int) -> Iterator[str]:
        """One at a time: it has as many rows as it had letters."""
        while replays.forget(self._here, days, 1):
            yield self._count("replays", 1)

    @property
    def _here(self) -> Connection:
        assert self._connection is not None  # noqa: S101  within a part
        return self._connection

    def _row(self, query: str, **parameters: int) -> tuple[Any, ...]:
        row = self._here.execute(_SQL[query], parameters).fetchone()
        assert row is not None  # noqa: S101  aggregates
        return row

    def _count(self, table: str, deleted: int) -> str:
        self.deleted[table] = self.deleted.get(table, 0) + deleted
        return table

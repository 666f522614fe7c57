"""Retention: what is deleted because it is old, in short commits; the clock goes on while there is more.

The ledger balances throughout: it has counted finished items already, and counts a dead letter that goes as discarded.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from crm_store import ledger
from crm_store.database import Connection
from crm_store.inbox import DEAD
from crm_store.queries import Queries

_SQL = Queries("retention")

ITEMS_AT_ONCE = 5000
CHATS_AT_ONCE = 500
MESSAGES_OF_CHAT = 50
"""How many of a chat's oldest messages are looked at at once."""


@dataclass(frozen=True, slots=True)
class RetentionOptions:
    """Days; None is for ever. raw: what providers sent, once it is finished. history: of the chats' messages."""

    raw_days: int | None = 30
    dead_letter_days: int | None = None
    history_days: int | None = None
    audit_days: int | None = None


class Retention:
    """One round through all that may be old, in parts. A new round begins when the last part is done."""

    def __init__(self, options: RetentionOptions) -> None:
        self._options = options
        self._round: Iterator[str] | None = None
        self._connection: Connection | None = None
        self.deleted: dict[str, int] = {}

    def part(self, connection: Connection) -> bool:
        """Delete some rows in the caller's transaction. Returns whether the round goes on.

        `deleted` is what the round has deleted so far, by table.
        """
        if self._round is None:
            self.deleted = {}
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
        if options.dead_letter_days is not None:
            yield from self._dead_letters(options.dead_letter_days)
        if options.history_days is not None:
            yield from self._messages(options.history_days)
        if options.audit_days is not None:
            yield from self._audit(options.audit_days)

    def _items(self, days: int) -> Iterator[str]:
        after: int | None = 0
        while after is not None:
            after, deleted, _ = self._row("forget_items", days=days, after=after, limit=ITEMS_AT_ONCE)
            yield self._count("inbox", deleted)

    def _dead_letters(self, days: int) -> Iterator[str]:
        deleted = ITEMS_AT_ONCE
        while deleted == ITEMS_AT_ONCE:
            (deleted,) = self._row("forget_dead_letters", days=days, limit=ITEMS_AT_ONCE)
            ledger.enter(self._here, {DEAD: -deleted, "discarded": deleted})
            yield self._count("dead_letters", deleted)

    def _messages(self, days: int) -> Iterator[str]:
        after: int | None = 0
        while after is not None:
            limits = {"chats": CHATS_AT_ONCE, "each": MESSAGES_OF_CHAT}
            last, deleted, more = self._row("forget_messages", days=days, after=after, **limits)
            yield self._count("messages", deleted)
            after = after if more else last

    def _audit(self, days: int) -> Iterator[str]:
        deleted = ITEMS_AT_ONCE
        while deleted == ITEMS_AT_ONCE:
            deleted = self._here.execute(_SQL["forget_audit"], {"days": days, "limit": ITEMS_AT_ONCE}).rowcount
            yield self._count("audit", deleted)

    @property
    def _here(self) -> Connection:
        assert self._connection is not None  # noqa: S101  within a part
        return self._connection

    def _row(self, query: str, **parameters: int) -> tuple[int, ...]:
        row = self._here.execute(_SQL[query], parameters).fetchone()
        assert row is not None  # noqa: S101  aggregates
        return row

    def _count(self, table: str, deleted: int) -> str:
        self.deleted[table] = self.deleted.get(table, 0) + deleted
        return table

"""The sweep of an erase: whatever else holds one of the customer's phones or e-mails, in any writing (T5).

Other customers' messages, inbox items, dead letters, failures, names, notes. Chunk by chunk along the primary keys,
each found row rewritten in a transaction of milliseconds. It may be stopped at any point and run again.
"""

from collections.abc import Sequence
from typing import Any

import orjson
from psycopg.rows import TupleRow

from crm_store.database import Connection, Session
from crm_store.inbox import digest
from crm_store.patience import patiently
from crm_store.queries import Queries
from crm_store.removal import FINISHED, delete_items
from crm_store.text_sweep import CHUNK, MESSAGES, PLACES, Progress, Swept, Target, TextSweep, joined
from tracker.identifiers import IdentifierKind

_SQL = Queries("sweeping")


class Sweeper:
    """One sweep. session: in autocommit; every chunk is a transaction of its own."""

    def __init__(self, session: Session, target: Target, progress: Progress, swept: Swept) -> None:
        """swept: of former rounds of the same erase, to be continued."""
        self._session = session
        self._target = target
        self._progress = progress
        self._own_chats = {chat.id for chat in target.chats}
        self._addresses = target.addresses
        self.swept = swept
        self._texts = TextSweep(session, target, progress, swept)

    def everything(self, inbox_to: int) -> None:
        """The inbox up to this item, then all other tables. Raises DatabaseAwayError."""
        if self._target.traces:
            self._unbound_chats()
        self.inbox(0, inbox_to)
        if not self._target.traces:
            return
        self._identifiers()
        for place in PLACES:
            self._texts.place(place)

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
                if stage in FINISHED:
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
        return traces.found_in(joined(message, headers, found)) or traces.found_in_bytes(raw)

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
            placed = [row for row in rows if row[6] is not None]
            parameters = {
                "chat_ids": [row[5] for row in placed],
                "seqs": [row[6] for row in placed],
                "targets": [row[7] for row in placed],
            }
            written = connection.execute(_SQL["messages_of_items"], parameters).fetchall()
            self._texts.rewrite(connection, MESSAGES, written)
        self.swept.count("inbox", len(rows))

    # Chats and identifiers

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

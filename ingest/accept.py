"""Accepting: requests that come in together are one commit, and what is committed is answered 2xx."""

import asyncio
import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog

from crm_store import inbox
from crm_store.database import Session
from crm_store.errors import DatabaseAwayError, RowRefusedError
from crm_store.inbox import NewItem

log = structlog.get_logger(__name__)

Accepted = list[int | None]
"""The inbox id of each item, or None for one that had been accepted before."""

OnCommit = Callable[[list[tuple[int, str]]], None]
"""Told of the items that the pipeline has to do: inbox id and normalised message. Must not block or raise."""


BACKLOG_BYTES = 128 * 1024 * 1024
"""Of raw slices that may wait for a commit."""

GROUP_BYTES = 16 * 1024 * 1024
"""Of raw slices in one commit."""


class BacklogFullError(DatabaseAwayError):
    """More messages wait for a commit than may: answer 503, and the provider comes again."""

    reason = "accept_backlog_full"


@dataclass(frozen=True, slots=True)
class AcceptOptions:
    """window: seconds between two commits in a crowd, that is, where the last one had more than one request.

    limit: items of one commit. backlog: items waiting.
    """

    window: float = 0.02
    limit: int = 500
    backlog: int = 20_000


@dataclass(frozen=True, slots=True)
class _Request:
    items: Sequence[NewItem]
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Accepted]"


class Acceptor:
    """Group commits into the inbox, by a thread of its own; safe to call from any thread or event loop.

    A request's items are accepted together or not at all. That `accept` returns means that they are in PostgreSQL;
    it does not mean that anything was done with them.
    """

    def __init__(self, session: Session, on_commit: OnCommit, options: AcceptOptions) -> None:
        """session: for this acceptor alone. With PostgreSQL away it fails at once, and finds it again at once."""
        self._session = session
        self._on_commit = on_commit
        self._options = options
        self._queue: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._waiting = 0
        self._waiting_bytes = 0
        self._crowded = False
        self._collected_at = -math.inf
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="acceptor", daemon=True)

    def start(self) -> None:
        """Begin to commit."""
        self._thread.start()

    def close(self) -> None:
        """Commit what was handed over, then end."""
        self._queue.put(None)
        self._thread.join(timeout=10)
        self._session.close()

    async def accept(self, items: Sequence[NewItem]) -> Accepted:
        """Wait until the items are committed.

        Raises DatabaseAwayError if they are not, or if the outcome is unknown.
        """
        if not items:
            return []
        loop = asyncio.get_running_loop()
        request = _Request(items, loop, loop.create_future())
        weight = _weight(request)
        with self._lock:
            full = self._waiting >= self._options.backlog or self._waiting_bytes + weight > BACKLOG_BYTES
            if full and self._waiting:
                raise BacklogFullError("too many messages wait for a commit")
            self._waiting += len(items)
            self._waiting_bytes += weight
        # From here on it cannot be cancelled: the commit goes on, whether or not the caller still waits.
        self._queue.put(request)
        return await request.future

    def _run(self) -> None:
        closing = False
        while not closing:
            group, closing = self._collect()
            if group:
                self._commit(group)

    def _collect(self) -> tuple[list[_Request], bool]:
        """The requests of one commit, and whether it is the last."""
        first = self._queue.get()
        if first is None:
            return [], True
        group, size, weight = [first], len(first.items), _weight(first)
        if self._crowded and self._queue.qsize() < self._options.limit:
            time.sleep(max(0.0, self._collected_at + self._options.window - time.monotonic()))
        self._collected_at = time.monotonic()
        while size < self._options.limit and weight < GROUP_BYTES:
            try:
                request = self._queue.get_nowait()
            except queue.Empty:
                break
            if request is None:
                return group, True
            group.append(request)
            size += len(request.items)
            weight += _weight(request)
        self._crowded = len(group) > 1
        return group, False

    def _commit(self, group: Sequence[_Request]) -> None:
        try:
            accepted = self._insert_group(group)
        except Exception as error:
            if not isinstance(error, DatabaseAwayError):
                log.exception("accept_failed")
            _tell(group, [DatabaseAwayError(str(error)) for _ in group])
        else:
            _tell(group, accepted)
        finally:
            with self._lock:
                self._waiting -= sum(len(request.items) for request in group)
                self._waiting_bytes -= sum(map(_weight, group))

    def _insert_group(self, group: Sequence[_Request]) -> list[Accepted]:
        try:
            ids = self._insert([item for request in group for item in request.items])
        except RowRefusedError:
            log.warning("row_refused", requests=len(group))
            return [self._insert_each(request.items) for request in group]
        accepted: list[Accepted] = []
        for request in group:
            accepted.append(ids[: len(request.items)])
            ids = ids[len(request.items) :]
        return accepted

    def _insert_each(self, items: Sequence[NewItem]) -> Accepted:
        """One by one, so that an item that PostgreSQL refuses fails no other; it is kept as bytes."""
        ids: Accepted = []
        for item in items:
            try:
                ids += self._insert([item])
            except RowRefusedError as error:
                ids += self._insert_bytes(_as_bytes(item, error))
        return ids

    def _insert_bytes(self, item: NewItem) -> Accepted:
        try:
            return self._insert([item])
        except RowRefusedError:  # its headers, then
            return self._insert([replace(item, headers=None)])

    def _insert(self, items: Sequence[NewItem]) -> Accepted:
        with self._session.transaction() as connection:
            ids = inbox.accept(connection, items, datetime.now(UTC).date())
        pending = [
            (inbox_id, item.message)
            for inbox_id, item in zip(ids, items, strict=True)
            if inbox_id is not None and item.message is not None and item.stage == inbox.FIRST_STAGE
        ]
        if pending:
            self._on_commit(pending)
        return ids


def _tell(group: Sequence[_Request], outcomes: Sequence[Accepted | Exception]) -> None:
    """Answer the callers, each in its own event loop, which is woken once for all of them."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Request, Accepted | Exception]]] = {}
    for request, outcome in zip(group, outcomes, strict=True):
        by_loop.setdefault(request.loop, []).append((request, outcome))
    for loop, answers in by_loop.items():
        with suppress(RuntimeError):  # the loop was closed: nobody waits there any more
            loop.call_soon_threadsafe(_answer, answers)


def _answer(answers: Sequence[tuple[_Request, Accepted | Exception]]) -> None:
    for request, outcome in answers:
        if request.future.done():
            continue  # its caller was cancelled; the items are committed all the same
        if isinstance(outcome, Exception):
            request.future.set_exception(outcome)
        else:
            request.future.set_result(outcome)


def _weight(request: _Request) -> int:
    return sum(len(item.raw) for item in request.items)


def _as_bytes(item: NewItem, error: RowRefusedError) -> NewItem:
    return replace(
        item,
        message=None,
        chat=None,
        customer_id="",
        name="",
        stage=inbox.DEAD,
        reason=error.reason,
        failed_in="accept",
        error=str(error),
        fingerprint=str(error),
        receipt=None,
    )

"""The streams of one web process: the log is tailed once for all who follow it.

All of it lives in the event loop; PostgreSQL is read in threads of its own, so that neither waits for the other, nor
the streams for the API's threads. Nothing runs while nobody follows.

A stream that cannot go on is closed, and loses nothing by it: its screen comes again with the id of what it saw last.
"""

import asyncio
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import TypeVar

import structlog

from console import event_frames
from console.problems import RETRY_AFTER, ProblemError
from crm_store import following
from crm_store.database import Connection, Database
from crm_store.errors import DatabaseAwayError
from crm_store.following import LoggedEvent, Page, Position
from tracker.events import EVERYTHING, Circle, Circles, circles_of_event

log = structlog.get_logger(__name__)

POLL = 0.2
"""Seconds between two looks at the log."""

AWAY_PAUSE = 1.0
"""Seconds until the next look while PostgreSQL is away."""

REFRESH = 5.0
"""Seconds for which it is taken for true who has which token, and sees what."""

PAGE = 500
"""Events that are read at once."""

BUFFER = 2000
"""Events that wait for one screen; it is closed if there are more. A page of the log must fit in."""

RECENT = 2000
"""Events that are remembered for those who come or come again, so that most of them need no page of the log."""

MOST_AWAY = 3600
"""Seconds: who was away for longer loads afresh. Retention, counted in days, deletes nothing so young."""

MOST_PER_TOKEN = 20
MOST_PER_PROCESS = 2000

READERS = 2
"""Threads for the screens that come or come again; the tail has one of its own."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Interest:
    """What a follower is told of. mark: stands for it in ids."""

    circles: Circles
    mark: int

    @classmethod
    def of(cls, circles: Circles) -> "Interest":
        """With its mark."""
        return cls(circles, event_frames.mark_of(circles))


@dataclass(frozen=True, slots=True)
class Item:
    """Something that waits for a screen. position None: of the stream itself, not of the log.

    interest: what he sees from here on, if that has changed.
    """

    position: Position | None
    read_at: datetime
    body: bytes
    interest: Interest | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """What a screen that comes is: interest None if nobody has its token; and where the log is now."""

    interest: Interest | None
    present: Position
    now: datetime


class Follower:
    """A screen, as the tail knows it: what it sees and what waits for it."""

    def __init__(self, token_hash: bytes, interest: Interest, *, service: bool) -> None:
        self.token_hash = token_hash
        self.interest = interest
        self.service = service
        self.ended = asyncio.Event()
        self.wake = asyncio.Event()
        self._waiting: list[Item] = []

    def give(self, item: Item) -> None:
        """One more; too many end it."""
        if len(self._waiting) >= BUFFER:
            log.info("event_stream_too_slow")
            self.ended.set()
            return
        self._waiting.append(item)
        self.wake.set()

    def take(self) -> list[Item]:
        """All that waits, in order."""
        self.wake.clear()
        taken, self._waiting = self._waiting, []
        return taken


class Streams:
    """See the module. Belongs to the event loop in which it is used first."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tail_thread = ThreadPoolExecutor(1, "events-tail")
        self._reading_threads = ThreadPoolExecutor(READERS, "events-read")
        self._open: Counter[bytes] = Counter()
        self._followers: set[Follower] = set()
        self._by_circle: dict[tuple[Circle, int], set[Follower]] = defaultdict(set)
        self._recent: deque[LoggedEvent] = deque()
        self._recent_after = Position(0, 0)
        self._tailing: asyncio.Task[None] | None = None
        self._refresh_at = 0.0
        self.stopping = asyncio.Event()
        self.tail: tuple[Position, datetime] | None = None
        self.away = False

    async def close(self) -> None:
        """End all streams, and open none any more."""
        self.stopping.set()
        if self._tailing is not None:
            self._tailing.cancel()
        for threads in (self._tail_thread, self._reading_threads):
            threads.shutdown(wait=False)

    @contextmanager
    def place(self, token_hash: bytes) -> Iterator[None]:
        """One stream more of this token. Raises ProblemError."""
        if self.stopping.is_set():
            raise ProblemError(503, "stopping", "this process stops; come again", {"retry-after": RETRY_AFTER})
        if self._open[token_hash] >= MOST_PER_TOKEN:
            detail = f"a token may have {MOST_PER_TOKEN} streams"
            raise ProblemError(429, "too_many_streams", detail, {"retry-after": RETRY_AFTER})
        if self._open.total() >= MOST_PER_PROCESS:
            raise ProblemError(503, "no_stream_free", "this process has no stream free", {"retry-after": RETRY_AFTER})
        self._open[token_hash] += 1
        try:
            yield
        finally:
            self._open[token_hash] -= 1
            if not self._open[token_hash]:
                del self._open[token_hash]

    async def opening(self, token_hash: bytes, *, service: bool) -> Opening:
        """What a new stream begins with, read now. Raises DatabaseAwayError."""

        def read(connection: Connection) -> Opening:
            # Before the position: what is seen may have changed since, and is then told by the tail.
            return Opening(_interest_of(connection, token_hash, service=service), *following.present(connection))

        return await self._in(self._reading_threads, read)

    async def page(self, after: Position, follower: Follower) -> tuple[Page, Interest | None]:
        """For a screen that catches up, with what its follower sees by now; None if his token is void.

        Raises DatabaseAwayError.
        """

        def read(connection: Connection) -> tuple[Page, Interest | None]:
            # After the page: what happened later than what he sees here is in none of its events.
            page = following.read(connection, after, PAGE)
            return page, _interest_of(connection, follower.token_hash, service=follower.service)

        return await self._in(self._reading_threads, read)

    def attach(self, follower: Follower, position: Position, read_at: datetime) -> Position:
        """The follower gets all that comes after the returned position; he himself has come as far as `position`."""
        if self.tail is None:
            self.tail = (position, read_at)
            self._recent.clear()
            self._recent_after = position
            self._refresh_at = time.monotonic()
            self._tailing = asyncio.create_task(self._keep_tailing())
        self._followers.add(follower)
        self._enter(follower)
        return self.tail[0]

    def recent(self, after: Position) -> list[LoggedEvent] | None:
        """What the tail has read since a position; None if it does not remember all of it."""
        if self.tail is None or after < self._recent_after:
            return None
        found = list(takewhile(lambda logged: logged.position > after, reversed(self._recent)))
        return found[::-1]

    def detach(self, follower: Follower) -> None:
        """He follows no more."""
        self._followers.discard(follower)
        self._leave(follower)

    async def _keep_tailing(self) -> None:
        try:
            while self._followers:  # noqa: ASYNC110  PostgreSQL tells nobody
                await asyncio.sleep(await self._turn())
        finally:
            self._tailing = self.tail = None

    async def _turn(self) -> float:
        """Look once; returns the seconds until the next look."""
        try:
            if time.monotonic() >= self._refresh_at:
                await self._refresh()
                self._refresh_at = time.monotonic() + REFRESH
            more = await self._look()
        except DatabaseAwayError as error:
            if not self.away:
                log.warning("event_streams_without_database", error=error)
            self.away = True
            return AWAY_PAUSE
        except Exception:
            log.exception("event_streams_failed")
            return AWAY_PAUSE
        self.away = False
        return 0.0 if more else POLL

    async def _look(self) -> bool:
        assert self.tail is not None  # noqa: S101  while it tails
        after = self.tail[0]
        page = await self._in(self._tail_thread, lambda connection: following.read(connection, after, PAGE))
        if page.last and page.end < after:
            # The server is another one, or was set back: what was seen is not in its log.
            self._end_all()
        for logged in page.events:
            self._hand_out(logged, page.read_at)
        self._recent.extend(page.events)
        while len(self._recent) > RECENT:
            self._recent_after = self._recent.popleft().position
        self.tail = (page.end, page.read_at)
        return not page.last

    def _hand_out(self, logged: LoggedEvent, read_at: datetime) -> None:
        circles = circles_of_logged(logged)
        found = [followers for circle in circles if (followers := self._by_circle.get(circle))]
        if not found:
            return
        item = Item(logged.position, read_at, event_frames.body_of(logged))
        for follower in found[0].union(*found[1:]):
            follower.give(item)

    async def _refresh(self) -> None:
        """Who was dismissed or has another token by now loses the stream; who sees other things loads afresh."""
        assert self.tail is not None  # noqa: S101  while it tails
        read_at = self.tail[1]
        followers = [follower for follower in self._followers if not follower.service]
        if not followers:
            return
        hashes = {follower.token_hash for follower in followers}
        found = await self._in(self._tail_thread, lambda connection: following.followers(connection, hashes))
        interests = {token_hash: Interest.of(circles) for token_hash, circles in found.items()}
        for follower in followers:
            interest = interests.get(follower.token_hash)
            if interest is None:
                follower.ended.set()
            elif interest != follower.interest and follower in self._followers:
                self._leave(follower)
                follower.interest = interest
                self._enter(follower)
                follower.give(Item(None, read_at, event_frames.note("reset", reason="scope_changed"), interest))

    def _end_all(self) -> None:
        # Where everybody was means nothing in this log: each comes again, and is told to load afresh.
        log.warning("event_log_changed")
        for follower in self._followers:
            follower.ended.set()

    def _enter(self, follower: Follower) -> None:
        for circle in follower.interest.circles:
            self._by_circle[circle].add(follower)

    def _leave(self, follower: Follower) -> None:
        for circle in follower.interest.circles:
            followers = self._by_circle.get(circle)
            if followers is not None:
                followers.discard(follower)
                if not followers:
                    del self._by_circle[circle]

    async def _in(self, threads: ThreadPoolExecutor, work: Callable[[Connection], T]) -> T:
        def in_transaction() -> T:
            with self._database.transaction() as connection:
                return work(connection)

        return await asyncio.get_running_loop().run_in_executor(threads, in_transaction)


def _interest_of(connection: Connection, token_hash: bytes, *, service: bool) -> Interest | None:
    circles = EVERYTHING if service else following.followers(connection, [token_hash]).get(token_hash)
    return None if circles is None else Interest.of(circles)


def circles_of_logged(logged: LoggedEvent) -> Circles:
    """Whom a logged event concerns."""
    event = logged.event
    before = event.details.get("was_open_channel_id")
    return circles_of_event(
        event.open_channel_id, event.was, event.became, event.was_operator_id, event.operator_id, before
    )


def seen(events: Sequence[LoggedEvent], interest: Interest) -> list[LoggedEvent]:
    """Those that somebody sees."""
    return [logged for logged in events if not interest.circles.isdisjoint(circles_of_logged(logged))]

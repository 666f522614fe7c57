"""How a screen comes from the database to the tail: in the moments that no race meets reliably."""

import asyncio
from datetime import UTC, datetime
from typing import Literal, cast

import pytest

from console import event_routes, streams
from console.event_frames import write_id
from console.event_routes import Screen
from console.streams import Follower, Interest, Item, Opening, Streams
from crm_store.errors import DatabaseAwayError
from crm_store.events import Event
from crm_store.following import LoggedEvent, Page, Position
from tracker.events import EVERYTHING

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 1, tzinfo=UTC)
INTEREST = Interest.of(EVERYTHING)


def logged(xid: int) -> LoggedEvent:
    """The event of a transaction, about the dialog of the same number."""
    return LoggedEvent(Position(xid, 1), NOW, Event(xid, 1, "system", "kept"))


class Process:
    """A log that grows when the test says so. at_attach: transactions that end just before a screen is attached.

    tail_lags: what the tail had not read by then; it gives the rest to the screen at once.
    """

    def __init__(self, last: int, at_attach: int = 0, tail_lags: int = 0) -> None:
        self.last = last
        self.tail: tuple[Position, datetime] | None = None
        self.away = False
        self.failures = 0
        self.reads: list[int] = []
        self._at_attach = at_attach
        self._tail_lags = tail_lags

    def recent(self, _after: Position) -> list[LoggedEvent] | None:
        """It has just begun, and remembers nothing."""
        return None

    async def page(self, after: Position, follower: Follower) -> tuple[Page, Interest | None]:
        """Two at a time."""
        if self.failures:
            self.failures -= 1
            raise DatabaseAwayError("away")
        self.reads.append(after.xid)
        first = after.xid if after.id == 0 else after.xid + 1
        events = tuple(logged(xid) for xid in range(first, self.last + 1))[:2]
        last = len(events) < 2
        page = Page(events, Position(self.last + 1, 0) if last else events[-1].position, last, NOW)
        return page, follower.interest

    def attach(self, follower: Follower, _position: Position, _read_at: datetime) -> Position:
        """As `Streams.attach`."""
        self.last += self._at_attach
        tail = Position(self.last + 1 - self._tail_lags, 0)
        for xid in range(self.last + 1 - self._tail_lags, self.last + 1):
            give(follower, xid)
        self.tail = (tail, NOW)
        return tail


def give(follower: Follower, xid: int) -> None:
    """What the tail does with an event."""
    follower.give(Item(Position(xid, 1), NOW, b"data: %d\n\n" % xid))


def told(process: Process, last_id: str | None, count: int) -> list[int]:
    """The dialogs of the first events that a screen is sent, in order."""

    async def follow() -> list[int]:
        follower = Follower(b"", INTEREST, service=True)
        opening = Opening(INTEREST, Position(process.last + 1, 0), NOW)
        screen = Screen(cast(Streams, process), follower, opening, last_id)
        ids: list[int] = []
        async for chunk in screen.chunks():
            for frame in chunk.split(b"\n\n"):
                position, _, body = frame.removeprefix(b"id: ").partition(b"\n")
                if b"data: " in body and b"event: hello" not in body:
                    ids.append(int(position.split(b"-")[0]))
            if len(ids) >= count:
                return ids
        raise AssertionError("a stream does not end by itself")

    return asyncio.run(asyncio.wait_for(follow(), 10))


def id_at(xid: int) -> str:
    """The id of an event."""
    return write_id(Position(xid, 1), NOW, INTEREST.mark).decode()


def test_what_the_tail_has_read_before_it_was_attached_is_read_too() -> None:
    """It ended between the last page and the tail: the tail will not tell it."""
    assert told(Process(5, at_attach=3), id_at(2), 6) == [3, 4, 5, 6, 7, 8]
    assert told(Process(5, at_attach=3), None, 3) == [6, 7, 8]


def test_what_the_tail_tells_again_is_not_sent_again() -> None:
    """The tail lags: it tells what the pages held already."""
    assert told(Process(9, at_attach=1, tail_lags=5), id_at(2), 8) == [3, 4, 5, 6, 7, 8, 9, 10]


def test_postgresql_that_goes_away_while_it_catches_up_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the page is read again."""
    monkeypatch.setattr(streams, "AWAY_PAUSE", 0.0)
    process = Process(5)
    process.failures = 3
    assert told(process, id_at(1), 4) == [2, 3, 4, 5]


def test_what_comes_as_the_heartbeat_is_due_is_not_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tail has moved on and something waits: the heartbeat must not move on with it."""
    monkeypatch.setattr(event_routes, "HEARTBEAT", 0.001)

    process = Process(1)

    async def follow() -> bytes:
        follower = Follower(b"", INTEREST, service=True)

        class Wake(asyncio.Event):
            async def wait(self) -> Literal[True]:
                """Something comes, and the time is over before it was noticed."""
                give(follower, 2)
                process.tail = (Position(3, 0), NOW)
                await asyncio.sleep(60)
                return True

        follower.wake = Wake()
        opening = Opening(INTEREST, Position(2, 0), NOW)
        found = b""
        async for chunk in Screen(cast(Streams, process), follower, opening, None).chunks():
            found += chunk
            if b"data: 2" in found or b"id: 3-" in found:
                break
        return found

    assert b"data: 2\n\n" in asyncio.run(asyncio.wait_for(follow(), 10))


def test_a_full_buffer_ends_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for it stays as it is."""
    monkeypatch.setattr(streams, "BUFFER", 2)
    follower = Follower(b"", INTEREST, service=True)
    for xid in (1, 2):
        give(follower, xid)
        assert not follower.ended.is_set()
    give(follower, 3)
    assert follower.ended.is_set()
    assert [item.position for item in follower.take()] == [Position(1, 1), Position(2, 1)]

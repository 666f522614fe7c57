"""`GET /api/events`: what happens at the desk, as server-sent events."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from starlette.types import Receive, Scope, Send

from console import event_frames, streams
from console.dependencies import Needs
from console.problems import ProblemError, documented
from console.security import AnyCaller, Service
from console.streams import Follower, Opening, Streams
from crm_store.errors import DatabaseAwayError
from crm_store.following import LoggedEvent, Position

router = APIRouter(prefix="/api", tags=["events"], responses=documented(401, 422, 429, 503))

HEARTBEAT = 15.0
"""Seconds without an event after which a screen is told that the stream lives."""

MEDIA_TYPE = "text/event-stream"

_HEADERS = (
    (b"content-type", MEDIA_TYPE.encode() + b"; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would keep events back
)

_LastEventId = Annotated[
    str | None, Header(alias="Last-Event-ID", description="Go on after this one; none: from now on.")
]


class EventStream(Response):
    """One screen's stream, from its head to its end. Its place is taken when it begins and given back in any case.

    Whatever fails before the head is a problem document.
    """

    media_type = MEDIA_TYPE

    def __init__(self, of_process: Streams, token_hash: bytes, last_event_id: str | None, *, service: bool) -> None:
        super().__init__()
        self._streams = of_process
        self._token_hash = token_hash
        self._last_event_id = last_event_id
        self._service = service
        self._sending = False

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Serve it. Raises ProblemError and DatabaseAwayError before anything was sent."""
        with self._streams.place(self._token_hash):
            opening = await self._streams.opening(self._token_hash, service=self._service)
            if opening.interest is None:
                raise ProblemError(401, "unknown_token", "nobody has this token", {"www-authenticate": "Bearer"})
            follower = Follower(self._token_hash, opening.interest, service=self._service)
            await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
            screen = Screen(self._streams, follower, opening, self._last_event_id)
            writing = asyncio.create_task(self._write(screen, send))
            ends = (
                writing,
                asyncio.create_task(_gone(receive)),
                asyncio.create_task(follower.ended.wait()),
                asyncio.create_task(self._streams.stopping.wait()),
            )
            try:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._streams.detach(follower)
                for task in ends:
                    task.cancel()
                outcomes = await asyncio.gather(*ends, return_exceptions=True)
            failure = outcomes[0]
            if isinstance(failure, Exception) and not self._streams.stopping.is_set():
                raise failure
            if not self._sending:  # else the screen does not read, and would not read the end either
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, screen: "Screen", send: Send) -> None:
        async for chunk in screen.chunks():
            if chunk:
                self._sending = True
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                self._sending = False


class Screen:
    """What one screen is sent, in order: how it begins, what it has missed, then what happens."""

    def __init__(self, of_process: Streams, follower: Follower, opening: Opening, last_event_id: str | None) -> None:
        self._streams = of_process
        self._follower = follower
        self._opening = opening
        self._last_event_id = last_event_id
        self._position: Position = opening.present
        self._read_at: datetime = opening.now
        self._interest = follower.interest

    async def chunks(self) -> AsyncIterator[bytes]:
        """Whole frames. Goes on until it is cancelled, or the follower's stream is to end."""
        yield event_frames.retry() + self._begin()
        if self._last_event_id and self._streams.recent(self._position) is None:
            async for chunk in self._catch_up(None):
                yield chunk
            if self._follower.ended.is_set():
                return
        tail = self._streams.attach(self._follower, self._position, self._read_at)
        recent = self._streams.recent(self._position)
        if recent is not None:
            yield self._told(recent)
        else:
            async for chunk in self._catch_up(tail):
                yield chunk
            if self._follower.ended.is_set():
                return
        while True:
            chunk = self._taken()
            if chunk:
                yield chunk
                continue
            try:
                async with asyncio.timeout(HEARTBEAT):
                    await self._follower.wake.wait()
            except TimeoutError:
                if not self._follower.wake.is_set():  # else something came in that very moment
                    yield self._heartbeat()

    def _begin(self) -> bytes:
        """`hello`, `reset`, or nothing where it can go on after what it saw last."""
        if not self._last_event_id:
            return self._framed(event_frames.note("hello"))
        last = event_frames.read_id(self._last_event_id)
        if last is None:
            return self._reset("unknown_id")
        if last.position > self._position:
            return self._reset("log_changed")
        if last.read_at < self._read_at.timestamp() - streams.MOST_AWAY:
            return self._reset("too_old")
        if last.interest != self._interest.mark:
            return self._reset("scope_changed")
        self._position = last.position
        self._read_at -= timedelta(seconds=max(0, int(self._read_at.timestamp()) - last.read_at))
        return b""

    async def _catch_up(self, until: Position | None) -> AsyncIterator[bytes]:
        """From the database up to a position of the tail; until: None for up to the end of the log.

        With each page it is read again what the follower sees; if that is no longer so, his stream is ended.
        """
        while until is None or self._position < until:
            try:
                page, interest = await self._streams.page(self._position, self._follower)
            except DatabaseAwayError:
                yield event_frames.AWAY
                await asyncio.sleep(streams.AWAY_PAUSE)
                continue
            if interest != self._interest:
                # Void, or he sees other things: coming again he is told so, and what he may not see he is not shown.
                self._follower.ended.set()
                return
            chunk = self._told(page.events)
            self._position = page.end
            if page.last:
                self._read_at = page.read_at
            yield chunk or self._marked()
            if until is None and page.last:
                return

    def _told(self, logged: Sequence[LoggedEvent]) -> bytes:
        """Those that concern it."""
        frames = []
        for each in streams.seen(logged, self._interest):
            self._position = each.position
            frames.append(self._framed(event_frames.body_of(each)))
        return b"".join(frames)

    def _taken(self) -> bytes:
        """What waits, without what was read from the database already."""
        frames = []
        for item in self._follower.take():
            if item.position is not None:
                if item.position <= self._position:
                    continue
                self._position = item.position
                self._read_at = item.read_at
            self._interest = item.interest or self._interest
            frames.append(self._framed(item.body))
        return b"".join(frames)

    def _heartbeat(self) -> bytes:
        if self._streams.away:
            return event_frames.AWAY
        tail = self._streams.tail
        if tail is not None and tail[0] > self._position:  # nothing waits: all up to there was for others
            self._position, self._read_at = tail
        return self._marked()

    def _reset(self, reason: str) -> bytes:
        return self._framed(event_frames.note("reset", reason=reason))

    def _framed(self, body: bytes) -> bytes:
        return event_frames.frame(self._id(), body)

    def _marked(self) -> bytes:
        return event_frames.heartbeat(self._id())

    def _id(self) -> bytes:
        return event_frames.write_id(self._position, self._read_at, self._interest.mark)


@router.get(
    "/events",
    response_class=Response,
    responses={200: {"description": "Events without end.", "content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}},
)
async def get_events(
    request: Request, needs: Needs, caller: AnyCaller, last_event_id: _LastEventId = None
) -> EventStream:
    """Follow what happens: server-sent events, which go on after `Last-Event-ID`.

    First `hello`, or `reset` where it cannot go on after that id: load what the screen shows afresh, then follow.
    """
    of_process: Streams = request.app.state.streams
    token_hash = needs.service_token_hash if isinstance(caller, Service) else caller.token_hash
    return EventStream(of_process, token_hash, last_event_id, service=isinstance(caller, Service))


async def _gone(receive: Receive) -> None:
    """Until the screen has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass

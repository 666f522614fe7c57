"""Sends a world's webhooks: at their planned times whatever the answers (an open model), and until they are taken."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from loadgen.wire import webhook
from loadgen.world import Planned, World
from tracker.channels import Channel

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 5.0
CONNECTIONS = 100


@dataclass(slots=True)
class Sent:
    """What became of the webhooks. planned = accepted + refused + given_up + under_way, repeats apart.

    repeats: webhooks that were taken a second time. tries_again: requests that were answered 503, or not at all.
    statuses: answers that no provider tries again after, by status. given_up: never answered until the end.
    """

    planned: int = 0
    accepted: int = 0
    repeats: int = 0
    tries_again: int = 0
    given_up: int = 0
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def refused(self) -> int:
        """Answered with another status than 2xx and 503."""
        return self.statuses.total()

    @property
    def under_way(self) -> int:
        """Sent, or waiting to be sent again."""
        return self.planned - self.accepted - self.refused - self.given_up


class Customers:
    """All providers that send a world's messages."""

    def __init__(self, base_url: str, world: World, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """transport: another way to the server than by TCP."""
        self.sent = Sent()
        self._base_url = base_url
        self._transport = transport
        self._world = world
        self._channels: Mapping[str, Channel] = {channel.key: channel for channel in world.channels}
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event, give_up: asyncio.Event) -> None:
        """Send until `stop`, then wait for what is under way, at most until `give_up`."""
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        timeout = httpx.Timeout(10.0, pool=None)
        # A proxy that the environment names is for the world outside, not for this machine.
        async with httpx.AsyncClient(
            base_url=self._base_url, limits=limits, timeout=timeout, trust_env=False, transport=self._transport
        ) as client:
            began, began_at = time.monotonic(), time.time()
            for planned in self._world.plan():
                if await _passed(stop, began + planned.at - time.monotonic()):
                    break
                self._note_planned(planned)
                task = asyncio.create_task(self._send(client, planned, began_at + planned.written_at))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
            await self._wind_up(give_up)

    def _note_planned(self, planned: Planned) -> None:
        if not planned.repeat:
            self.sent.planned += 1

    async def _send(self, client: httpx.AsyncClient, planned: Planned, written_at: float) -> None:
        """As providers do: 503 and broken connections are tried again, other answers are final."""
        channel, pause = self._channels[planned.writing.channel], FIRST_PAUSE
        while True:
            made = webhook(channel, planned.writing, written_at, time.time())
            wait = pause
            try:
                response = await client.post(made.path, content=made.body, headers=made.headers)
            except httpx.TransportError:
                pass
            else:
                if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    self._note(planned, response)
                    return
                wait = min(_retry_after(response, pause), LONGEST_PAUSE)
            self.sent.tries_again += 1
            await asyncio.sleep(wait)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _note(self, planned: Planned, response: httpx.Response) -> None:
        taken = response.is_success or response.has_redirect_location
        if planned.repeat:
            self.sent.repeats += taken
        elif taken:
            self.sent.accepted += 1
        else:
            self.sent.statuses[response.status_code] += 1

    async def _wind_up(self, give_up: asyncio.Event) -> None:
        waiting = asyncio.create_task(give_up.wait())
        while self._under_way and not give_up.is_set():
            await asyncio.wait({waiting, *self._under_way}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        for task in self._under_way:
            task.cancel()
        failed = [one for one in await asyncio.gather(*self._under_way, return_exceptions=True) if one is not None]
        self.sent.given_up += self.sent.under_way
        for error in failed:
            if not isinstance(error, asyncio.CancelledError):
                raise error


async def _passed(event: asyncio.Event, seconds: float) -> bool:
    """Wait for so long; True at once when the event is set."""
    if event.is_set():
        return True
    if seconds <= 0:
        await asyncio.sleep(0)  # others have to get on, however late we are
        return event.is_set()
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


def _retry_after(response: httpx.Response, otherwise: float) -> float:
    try:
        return max(0.0, float(response.headers["retry-after"]))
    except (KeyError, ValueError):
        return otherwise

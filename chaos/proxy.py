"""A network that can be broken: TCP proxies between processes and servers, on an event loop of their own thread."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from enum import StrEnum
from types import TracebackType
from typing import Any, Self, TypeVar

from runtime.ports import LOOPBACK

CHUNK = 65536
SLOW_DELAY = 0.06
"""Seconds for which each chunk is held back, in each direction."""
SLOW_RATE = 100_000
"""Bytes per second of one direction of one connection."""
PATIENCE = 10.0
"""Seconds that the loop may take to do what another thread asks of it."""

_T = TypeVar("_T")


class Mode(StrEnum):
    """What a proxy does to what goes through it."""

    PASS = "pass"  # noqa: S105  no password
    CUT = "cut"
    """Connections are reset, and new ones at once."""
    SLOW = "slow"
    """Held back and throttled, in both directions."""
    DEAF = "deaf"
    """What the client says is swallowed, its end too; the server goes on being heard."""
    MUTE = "mute"
    """What the server says is swallowed, its end too; the client goes on being heard."""


class Network:
    """Makes proxies, as a context; at its end all connections are gone."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="chaos-network", daemon=True)
        self._proxies: list[Proxy] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with suppress(TimeoutError):
            self.ask(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)

    def proxy(self, name: str, target: int) -> Proxy:
        """A proxy in front of this port of 127.0.0.1, which need not be open yet."""
        proxy = Proxy(self, name, target)
        self.ask(proxy.open())
        self._proxies.append(proxy)
        return proxy

    def ask(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Have the loop run it, and wait for the result. Raises TimeoutError."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)

    async def _close(self) -> None:
        for proxy in self._proxies:
            proxy.close()
        await asyncio.sleep(0)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.05))
        self._loop.close()


class Proxy:
    """One listening port in front of one server; it stays the same when the server comes again."""

    def __init__(self, network: Network, name: str, target: int) -> None:
        self.name = name
        self.port = 0
        self.touched = 0
        """How many connections or chunks a mode other than `pass` has met."""
        self._network = network
        self._target = target
        self._mode = Mode.PASS
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None

    @property
    def mode(self) -> Mode:
        """What it does at present."""
        return self._mode

    def is_cut(self) -> bool:
        """Whether nobody comes through at all."""
        return self._mode is Mode.CUT

    @property
    def connections(self) -> int:
        """Connections that are open through it."""
        return len(self._links)

    def set_mode(self, mode: Mode) -> None:
        """From any thread; in force when it returns.

        A connection that has lost something does not outlive the fault: TCP never goes on with a gap.
        """
        self._network.ask(self._set_mode(mode))

    async def _set_mode(self, mode: Mode) -> None:
        self._mode = mode
        for link in list(self._links):
            if mode is Mode.CUT:
                self.touched += 1
                link.reset()
            elif link.lost:
                link.reset()

    async def open(self) -> None:
        """On the loop: listen."""
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """On the loop: listen no more, and drop all connections."""
        if self._server is not None:
            self._server.close()
        for link in list(self._links):
            link.reset()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut():
            self.touched += 1
            _reset(writer)
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(LOOPBACK, self._target)
        except OSError:
            _reset(writer)
            return
        link = _Link(writer, far_writer)
        self._links.add(link)
        if self.is_cut():  # meanwhile
            link.reset()
        try:
            await asyncio.gather(
                self._pump(link, reader, far_writer, Mode.DEAF), self._pump(link, far_reader, writer, Mode.MUTE)
            )
        finally:
            self._links.discard(link)
            writer.close()
            far_writer.close()

    async def _pump(
        self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, swallowing: Mode
    ) -> None:
        """One direction, until its end; `swallowing` is the mode in which this direction is swallowed."""
        with suppress(OSError):
            while chunk := await reader.read(CHUNK):
                if self._mode is Mode.SLOW:
                    self.touched += 1
                    await asyncio.sleep(SLOW_DELAY + len(chunk) / SLOW_RATE)
                if self._mode is swallowing or link.lost is swallowing:
                    self.touched += 1
                    link.lost = swallowing
                    continue
                writer.write(chunk)
                await writer.drain()
        if self._mode is swallowing:
            # Nobody is told that this side has gone, until the fault is over and the connection is reset.
            link.lost = swallowing
            await link.over.wait()
        with suppress(OSError, RuntimeError):
            writer.write_eof()


class _Link:
    """One connection through a proxy."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.lost: Mode | None = None
        """The mode that swallowed something of it."""
        self.over = asyncio.Event()
        self._near = near
        self._far = far

    def reset(self) -> None:
        """Both ends learn at once that it is over."""
        _reset(self._near)
        _reset(self._far)
        self.over.set()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    link: socket.socket | None = writer.get_extra_info("socket")
    if link is not None:
        with suppress(OSError):
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()

"""The network that can be broken."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from chaos.proxy import SLOW_DELAY, Mode, Network, Proxy
from tests.processes import wait_for

pytestmark = pytest.mark.integration

PATIENCE = 60.0
SOON = 0.5
"""Seconds in which nothing comes where nothing is to come."""


class Echo:
    """A server that sends back what it hears, in capitals; `heard` is all of it."""

    def __init__(self) -> None:
        self.heard = b""
        self.ends = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # whoever waits in accept() would keep it open
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                link, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=(link,), daemon=True).start()

    def _answer(self, link: socket.socket) -> None:
        with suppress(OSError), link:
            while said := link.recv(4096):
                self.heard += said
                link.sendall(said.upper())
        self.ends += 1


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with Network() as network:
        yield network.proxy("echo", echo.port)


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE)


def asked(link: socket.socket, text: bytes) -> bytes:
    link.sendall(text)
    return link.recv(4096)


def says_nothing(link: socket.socket) -> bool:
    link.settimeout(SOON)
    try:
        link.recv(4096)
    except TimeoutError:
        return True
    finally:
        link.settimeout(PATIENCE)
    return False


def is_reset(link: socket.socket) -> bool:
    try:
        return link.recv(4096) == b""
    except ConnectionResetError:
        return True


def test_what_comes_goes_through(proxy: Proxy, echo: Echo) -> None:
    """Both directions, large and small, and the end of one of them."""
    with connected(proxy) as link:
        assert asked(link, b"hello") == b"HELLO"
        large = b"x" * 300_000
        threading.Thread(target=link.sendall, args=(large,)).start()
        back = b""
        while len(back) < len(large):
            back += link.recv(65536)
        assert back == large.upper()
        link.shutdown(socket.SHUT_WR)
        assert link.recv(10) == b""
    assert wait_for(lambda: echo.ends == 1, PATIENCE)
    assert proxy.touched == 0


def test_a_cut_resets_what_is_there_and_what_comes(proxy: Proxy) -> None:
    """Nobody waits for a time limit; healed, it is as before."""
    with connected(proxy) as link:
        assert asked(link, b"hello") == b"HELLO"
        proxy.set_mode(Mode.CUT)
        assert is_reset(link)
    assert wait_for(lambda: proxy.connections == 0, PATIENCE)
    with suppress(ConnectionError), connected(proxy) as link:
        assert is_reset(link)
    assert proxy.touched >= 1
    proxy.set_mode(Mode.PASS)
    with connected(proxy) as link:
        assert asked(link, b"hello") == b"HELLO"


def test_slow_is_late_and_whole(proxy: Proxy) -> None:
    """Each chunk is held back in each direction, and nothing of it is lost."""
    proxy.set_mode(Mode.SLOW)
    with connected(proxy) as link:
        link.sendall(b"hello")
        link.settimeout(SLOW_DELAY)  # there and back takes two of them
        with pytest.raises(TimeoutError):
            link.recv(4096)
        link.settimeout(PATIENCE)
        assert link.recv(4096) == b"HELLO"
    assert proxy.touched == 2


def test_the_client_is_not_heard(proxy: Proxy, echo: Echo) -> None:
    """What it says is swallowed; the connection does not outlive the fault, because TCP never goes on with a gap."""
    with connected(proxy) as link:
        assert asked(link, b"before") == b"BEFORE"
        proxy.set_mode(Mode.DEAF)
        link.sendall(b"lost")
        assert says_nothing(link)
        proxy.set_mode(Mode.PASS)
        assert is_reset(link)
    assert echo.heard == b"before"
    assert proxy.touched == 1


def test_the_server_is_not_heard(proxy: Proxy, echo: Echo) -> None:
    """As when a commit has happened, and its answer never comes."""
    with connected(proxy) as link:
        proxy.set_mode(Mode.MUTE)
        link.sendall(b"done")
        assert wait_for(lambda: echo.heard == b"done", PATIENCE)
        assert says_nothing(link)
        proxy.set_mode(Mode.PASS)
        assert is_reset(link)


def test_an_end_is_swallowed_too(proxy: Proxy, echo: Echo) -> None:
    """A server does not learn that its client has gone: its session, and its locks, stay."""
    with connected(proxy) as link:
        assert asked(link, b"before") == b"BEFORE"
        proxy.set_mode(Mode.DEAF)
    assert not wait_for(lambda: echo.ends > 0, SOON)
    proxy.set_mode(Mode.PASS)
    assert wait_for(lambda: echo.ends == 1, PATIENCE)


def test_what_lost_nothing_outlives_the_fault(proxy: Proxy) -> None:
    """A connection that was silent meanwhile has no gap."""
    with connected(proxy) as link:
        assert asked(link, b"before") == b"BEFORE"
        proxy.set_mode(Mode.MUTE)
        proxy.set_mode(Mode.PASS)
        assert asked(link, b"after") == b"AFTER"


def test_no_server_is_a_reset(proxy: Proxy, echo: Echo) -> None:
    """The way stays the same when the server behind it is killed."""
    echo.close()
    with suppress(ConnectionError), connected(proxy) as link:
        assert is_reset(link)

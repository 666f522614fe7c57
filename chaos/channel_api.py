"""The receiver of our answers: a custom channel's server, which can be slow, fail, or take a message and say nothing.

It remembers every delivery by its `webhook-id`: a receiver that does so has each answer once in effect.
"""

import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Self

from chaos.desk import SECRET
from loadgen.wire import standard_signature

SLOW_SECONDS = 1.5
SILENT_SECONDS = 20.0
"""Longer than a delivery waits for an answer."""

TOLERANCE = 300
LARGEST_BODY = 1024 * 1024


class Mode(StrEnum):
    """What it does with a delivery."""

    OK = "ok"
    SLOW = "slow"
    FAILING = "failing"
    SILENT = "silent"
    """Takes it, and lets the caller run into its time limit."""


@dataclass(slots=True)
class Arrival:
    """A delivery, by its id. place: among all first arrivals. text, chat: of its first body.

    times: how often it came. accepted: how often it was answered 2xx. changed: it came again with another body.
    """

    place: int
    chat: str
    text: str
    digest: bytes
    times: int = 0
    accepted: int = 0
    changed: bool = False


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    """Connections that may wait to be accepted; the five of the base class make callers wait for seconds."""

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that was killed in the middle of it is no news; a defect of ours would show in the verdict."""


class ChannelApi:
    """On 127.0.0.1 and a free port, in threads of its own. Use it as a context, or `start` and `stop` it.

    arrivals: by `webhook-id`. unproved: refused, because the signature is not ours. failed, silent: how often it has
    answered 500, or not at all.
    """

    def __init__(self) -> None:
        self.arrivals: dict[str, Arrival] = {}
        self.unproved = 0
        self.failed = 0
        self.silent = 0
        self._mode = Mode.OK
        self._over = Event()
        self._lock = Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), name="channel-api", daemon=True)

    @property
    def url(self) -> str:
        """Where it wants to be called."""
        return f"http://127.0.0.1:{self._server.server_port}/messages"

    @property
    def mode(self) -> Mode:
        """What it does with deliveries that come in from now on."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._mode = mode

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer nothing more."""
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def take(self, message_id: str, timestamp: str, signature: str, body: bytes) -> int:
        """The status with which a delivery is answered, 0 for no answer."""
        mode = self._mode
        with self._lock:
            if not _is_proved(message_id, timestamp, signature, body):
                self.unproved += 1
                return 401
            arrival = self._noted(message_id, body)
            if mode is Mode.FAILING:
                self.failed += 1
                return 500
            if mode is not Mode.SILENT:
                arrival.accepted += 1
        if mode is Mode.SLOW:
            self._over.wait(SLOW_SECONDS)
        if mode is Mode.SILENT:
            self.silent += 1
            self._over.wait(SILENT_SECONDS)
            return 0
        return 200

    def _noted(self, message_id: str, body: bytes) -> Arrival:
        digest = hashlib.sha256(body).digest()
        arrival = self.arrivals.get(message_id)
        if arrival is None:
            said = json.loads(body)
            arrival = Arrival(len(self.arrivals), said["chat_id"], said["text"], digest)
            self.arrivals[message_id] = arrival
        arrival.times += 1
        arrival.changed = arrival.changed or arrival.digest != digest
        return arrival

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def do_POST(self) -> None:
                length = self.headers.get("content-length", "")
                if not length.isdecimal() or int(length) > LARGEST_BODY:
                    self._answer(413)
                    return
                body = self.rfile.read(int(length))
                if len(body) < int(length):  # its sender was killed in the middle of it
                    self.close_connection = True
                    return
                given = self.headers.get
                status = server.take(
                    given("webhook-id", ""), given("webhook-timestamp", ""), given("webhook-signature", ""), body
                )
                if status:
                    self._answer(status)
                else:
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Nothing: what is received is counted."""

            def _answer(self, status: int) -> None:
                try:
                    self.send_response(status)
                    self.send_header("content-length", "0")
                    self.end_headers()
                except OSError:  # its caller is gone
                    self.close_connection = True

        return Handler


def _is_proved(message_id: str, timestamp: str, signature: str, body: bytes) -> bool:
    if not message_id or not timestamp.isdigit() or abs(time.time() - int(timestamp)) > TOLERANCE:
        return False
    right = standard_signature(SECRET, message_id, int(timestamp), body)
    return any(hmac.compare_digest(one.encode(), right.encode()) for one in signature.split(" "))

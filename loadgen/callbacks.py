"""What a custom channel's own server would be: it takes our answers to customers, and checks who sends them."""

import hmac
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Self

from loadgen.wire import standard_signature

TOLERANCE = 300
LARGEST_BODY = 1024 * 1024
MOST_REMEMBERED = 50_000


class CallbackServer:
    """On 127.0.0.1 and a free port, in threads of its own.

    received: messages, each once. repeated: deliveries of a message that had come before. unproved: refused, because
    the signature is not ours.
    """

    def __init__(self, secret: str) -> None:
        self.received = 0
        self.repeated = 0
        self.unproved = 0
        self._secret = secret
        self._lock = Lock()
        self._seen: set[str] = set()
        self._in_order: deque[str] = deque()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, name="callbacks", daemon=True)

    @property
    def url(self) -> str:
        """Where it wants to be called."""
        return f"http://127.0.0.1:{self._server.server_port}/messages"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, message_id: str, timestamp: str, signature: str, body: bytes) -> int:
        """The status with which a delivery is answered."""
        with self._lock:
            if not self._is_proved(message_id, timestamp, signature, body):
                self.unproved += 1
                return 401
            if message_id in self._seen:
                self.repeated += 1
                return 200
            self.received += 1
            self._seen.add(message_id)
            self._in_order.append(message_id)
            if len(self._in_order) > MOST_REMEMBERED:
                self._seen.discard(self._in_order.popleft())
            return 200

    def _is_proved(self, message_id: str, timestamp: str, signature: str, body: bytes) -> bool:
        if not message_id or not timestamp.isdigit() or abs(time.time() - int(timestamp)) > TOLERANCE:
            return False
        right = standard_signature(self._secret, message_id, int(timestamp), body)
        return any(hmac.compare_digest(one.encode(), right.encode()) for one in signature.split(" "))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def do_POST(self) -> None:
                length = self.headers.get("content-length", "")
                if not length.isdecimal() or int(length) > LARGEST_BODY:
                    self.close_connection = True
                    self._answer(413)
                    return
                body = self.rfile.read(int(length))
                given = self.headers.get
                self._answer(
                    server.take(
                        given("webhook-id", ""), given("webhook-timestamp", ""), given("webhook-signature", ""), body
                    )
                )

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Nothing: what is received is counted."""

            def _answer(self, status: int) -> None:
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

        return Handler

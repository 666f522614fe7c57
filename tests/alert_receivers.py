"""Somebody who is told of alerts: a local HTTP server, on which a test looks at what it got."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "whsec_" + "YWxlcnRzLW9mLXRoZS10ZXN0cy0zMi1ieXRlcy1sb25n"


@dataclass
class AlertReceiver:
    """answers: status and body of the next calls; afterwards 200."""

    url: str = ""
    calls: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[tuple[int, bytes]] = field(default_factory=list)

    def told(self) -> list[dict[str, Any]]:
        """The bodies."""
        return [json.loads(body) for _, body in self.calls]

    def ids(self) -> list[str]:
        """The `webhook-id`s."""
        return [headers["webhook-id"] for headers, _ in self.calls]


@contextmanager
def listening() -> Iterator[AlertReceiver]:
    """A receiver on a free port."""
    state = AlertReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            state.calls.append(({name.lower(): value for name, value in self.headers.items()}, body))
            status, said = state.answers.pop(0) if state.answers else (200, b"")
            self.send_response(status)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/alerts?token=hush"
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

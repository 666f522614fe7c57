"""A screen that follows `GET /api/events` from a thread, as a browser would, and a desk to follow.

The log is written by `crm_store.events.log` and the desk past the product, so that the stream is tested by itself.
"""

import contextlib
import itertools
import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Self

import httpx
import psycopg

from console.app import make_api
from console.dependencies import Dependencies
from crm_store import events
from crm_store.database import Connection, Database, DatabaseOptions
from crm_store.events import Event
from crm_store.secrets import hash_token
from tests.desks import SERVICE_TOKEN, serving
from tests.processes import wait_for
from tracker.dialogs import DialogStatus

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Received:
    """An event as it arrived."""

    name: str
    id: str
    data: dict[str, Any]


class Screen:
    """Follows until it is closed or the stream ends. error: why reading failed; None after a clean end."""

    def __init__(self, url: str, token: str, last_id: str | None = None) -> None:
        self.received: list[Received] = []
        self.comments: list[str] = []
        self.last_id = last_id
        self.retry: str | None = None
        self.status = 0
        self.headers = httpx.Headers()
        self.body = b""
        self.error: Exception | None = None
        self.reading = threading.Event()
        self.reading.set()
        self._url = url
        self._token = token
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        assert wait_for(lambda: bool(self.status) or self.ended), "it is answered"
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def ended(self) -> bool:
        """The server has ended it, or it was closed."""
        return not self._thread.is_alive()

    def close(self) -> None:
        """Go away."""
        self.reading.set()
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(20)
        assert self.ended

    def names(self) -> list[str]:
        """Of what has arrived."""
        return [received.name for received in self.received]

    def dialogs(self) -> list[int]:
        """Of the events that have arrived, in order."""
        return [received.data["dialog_id"] for received in list(self.received) if "dialog_id" in received.data]

    def saw(self, *names: str) -> bool:
        """Whether these are the names of all that arrives, sooner or later."""
        return wait_for(lambda: self.names() == list(names))

    def has(self, number: int, seconds: float = 20) -> bool:
        """Whether so many have arrived in time, or it has ended."""
        return wait_for(lambda: self.ended or len(self.received) >= number, seconds) and len(self.received) >= number

    def shows(self, dialog_id: int) -> bool:
        """Whether an event of this dialog arrives."""
        return wait_for(lambda: dialog_id in self.dialogs())

    def is_ended(self) -> bool:
        """Whether the server ends it, cleanly."""
        return wait_for(lambda: self.ended) and self.error is None

    def _run(self) -> None:
        headers = {b"authorization": f"Bearer {self._token}".encode()}
        if self.last_id is not None:
            headers[b"last-event-id"] = self.last_id.encode("latin-1")
        try:
            with (
                httpx.Client(timeout=60, trust_env=False) as client,
                client.stream("GET", f"{self._url}/api/events", headers=headers) as response,
            ):
                self._socket = response.extensions["network_stream"].get_extra_info("socket")
                self.headers = response.headers
                if response.status_code != 200:
                    self.body = response.read()
                self.status = response.status_code
                if self.status == 200:
                    self._read(response)
        except (httpx.HTTPError, OSError) as error:
            self.error = error

    def _read(self, response: httpx.Response) -> None:
        name, data, event_id = "", "", self.last_id
        for line in response.iter_lines():
            self.reading.wait()
            field, _, value = line.partition(": ")
            match field:
                case "":
                    if line:
                        self.comments.append(value)
                        continue
                    self.last_id = event_id
                    if data:
                        assert event_id is not None
                        self.received.append(Received(name, event_id, json.loads(data)))
                    name, data = "", ""
                case "event":
                    name = value
                case "data":
                    data = value
                case "id":
                    event_id = value
                case "retry":
                    self.retry = value
                case _:
                    raise AssertionError(line)


class StreamedDesk:
    """A database with a desk in it, and API instances in front of it."""

    def __init__(self, url: str, instances: int = 1) -> None:
        self.url = url
        self._instances = instances
        self._stack = ExitStack()
        self.urls: list[str] = []

    def __enter__(self) -> Self:
        self.options = DatabaseOptions(self.url, "openchannel tests")
        self.database = self._stack.enter_context(Database(self.options))
        for _ in range(self._instances):
            options = DatabaseOptions(self.url, "openchannel streams", connect_timeout=2.0)
            database = self._stack.enter_context(Database(options))
            needs = Dependencies(database, lambda _step: None, dict, hash_token(SERVICE_TOKEN))
            self.urls.append(self._stack.enter_context(serving(make_api(needs))))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def screen(self, token: str = SERVICE_TOKEN, last_id: str | None = None, instance: int = 0) -> Screen:
        """A screen that follows; use it as a context."""
        return Screen(self.urls[instance], token, last_id)

    @contextmanager
    def following(self, token: str = SERVICE_TOKEN, last_id: str | None = None) -> Iterator[Screen]:
        """A screen that has begun: `hello`, or `reset`, has arrived."""
        with self.screen(token, last_id) as screen:
            assert wait_for(lambda: bool(screen.received)), screen.body
            yield screen

    # The desk, past the product

    def execute(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """What the database says."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []

    def operator(self, name: str, role: str = "operator", scope: str | None = None) -> int:
        """Make an operator; his token is `token of <name>`."""
        rows = self.execute(
            "INSERT INTO operators (name, token_hash, role, scope) VALUES (%s, %s, %s, %s) RETURNING id",
            *(name, hash_token(f"token of {name}"), role, scope),
        )
        return int(rows[0][0])

    def open_channel(self, *operator_ids: int) -> int:
        """Make an open channel with this roster."""
        ((made,),) = self.execute(
            "INSERT INTO open_channels (name, settings) VALUES (%s, '{}') RETURNING id", f"desk {next(_numbers)}"
        )
        for position, operator_id in enumerate(operator_ids):
            self.seat(made, operator_id, position)
        return int(made)

    def seat(self, open_channel_id: int, operator_id: int, position: int = 0) -> None:
        """Put him on the roster."""
        self.execute(
            "INSERT INTO seats (open_channel_id, operator_id, position, turn, given) VALUES (%s, %s, %s, 0, 0)",
            *(open_channel_id, operator_id, position),
        )

    def department(self, supervisors: Sequence[int], members: Sequence[int]) -> int:
        """Make a department."""
        ((made,),) = self.execute(
            "INSERT INTO departments (name) VALUES (%s) RETURNING id", f"department {next(_numbers)}"
        )
        for operator_id in supervisors:
            self.execute("INSERT INTO department_supervisors VALUES (%s, %s)", made, operator_id)
        for position, operator_id in enumerate(members):
            self.execute(
                "INSERT INTO department_members (department_id, operator_id, position) VALUES (%s, %s, %s)",
                *(made, operator_id, position),
            )
        return int(made)

    def log(self, *logged: Event) -> None:
        """Log events in one transaction."""
        with self.database.transaction() as connection:
            events.log(connection, logged)

    def in_order(self) -> list[int]:
        """The dialogs of all events, in the order of the log."""
        return [row[0] for row in self.execute("SELECT dialog_id FROM events ORDER BY xid, id")]


def message(dialog_id: int, operator_id: int | None = None, open_channel_id: int = 1) -> Event:
    """A customer wrote in a dialog that somebody has accepted, or in none's."""
    status = DialogStatus.QUEUED if operator_id is None else DialogStatus.ACCEPTED
    return Event(dialog_id, open_channel_id, "customer", "message", status, status, operator_id, operator_id)


@contextmanager
def uncommitted(url: str, *logged: Event) -> Iterator[Connection]:
    """A transaction that has logged events, and is left open; commits at the end of the block."""
    with psycopg.connect(url) as connection, connection.transaction():
        events.log(connection, logged)
        yield connection

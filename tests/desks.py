"""A desk in a test's database, with the API in front of it on a real port and the real steps behind it.

Customers' messages are accepted without an adapter (`say`), and taken through the steps in this process (`drain`).
"""

import itertools
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

import httpx
import psycopg
import uvicorn
from celery import Celery
from fastapi import FastAPI

from config.topology import INBOX_STEPS, Step
from console.app import make_api
from console.dependencies import Dependencies
from console.serving import StreamingServer
from crm_store import desks, inbox, presence
from crm_store.database import Database, DatabaseOptions, Session
from crm_store.desks import RosterMember
from crm_store.inbox import NewItem
from crm_store.secrets import SecretBox, hash_token
from tests.processes import wait_for
from tracker.access import Role, Scope
from tracker.channels import Channel, OpenChannelSettings
from tracker.identifiers import Evidence, Identifier, email, phone
from tracker.messages import InboundMessage, MessageKind
from worker.handlers import BESIDES, HANDLERS
from worker.hints import Hints
from worker.runner import Limits, StepRunner, Workplace, nothing_besides

SERVICE_TOKEN = "the service token of the tests"
BOX = SecretBox("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Knows no certificates, and takes no time to make: the servers of tests speak plain HTTP."""

_numbers = itertools.count(1)


class NoHints(Hints):
    """Publishes nothing: the tests run the steps themselves."""

    def __init__(self) -> None:
        super().__init__(Celery(set_as_current=False))

    def publish(self, step: Step, items: Sequence[Any] = (), tries: int = 0) -> bool:
        """As if the broker had taken it."""
        return True


@dataclass
class Desk:
    """See the module. depths: what the broker is said to hold; hinted: what the API hinted."""

    url: str
    depths: dict[str, int] = field(default_factory=lambda: dict.fromkeys(map(str, Step), 0))
    hinted: list[Step] = field(default_factory=list)

    def __enter__(self) -> Self:
        options = DatabaseOptions(self.url, "openchannel tests", pool_size=10)
        self._session, self._witness = Session(options), Session(options)
        self._database = Database(options)
        self._database.__enter__()
        workplace = Workplace("test", self._session, self._witness, NoHints(), Limits())
        self._runners = {
            step: StepRunner(step, HANDLERS[step], workplace, BESIDES.get(step, nothing_besides))
            for step in INBOX_STEPS
        }
        dependencies = Dependencies(
            self._database, self.hinted.append, lambda: self.depths, hash_token(SERVICE_TOKEN), BOX
        )
        self._serving = serving(make_api(dependencies))
        self.base_url = self._serving.__enter__()
        self._clients: dict[str, httpx.Client] = {}
        self._of_thread = threading.local()
        self._looking: list[psycopg.Connection[Any]] = []
        self.channel_ids: dict[str, int] = {}
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients.values():
            client.close()
        self._serving.__exit__(None, None, None)
        self._database.__exit__()
        self._session.close()
        self._witness.close()
        for connection in self._looking:
            connection.close()

    # The API

    @property
    def service(self) -> httpx.Client:
        """Calls with the service token."""
        return self.with_token(SERVICE_TOKEN)

    def as_operator(self, name: str) -> httpx.Client:
        """Calls with this operator's token."""
        return self.with_token(f"token of {name}")

    def with_token(self, token: str) -> httpx.Client:
        """Calls with this token; none if it is empty."""
        if token not in self._clients:
            headers = {"authorization": f"Bearer {token}"} if token else {}
            self._clients[token] = httpx.Client(
                base_url=self.base_url, headers=headers, timeout=30, trust_env=False, verify=NO_TLS
            )
        return self._clients[token]

    def get(self, path: str, **parameters: Any) -> Any:
        """A look-up with the service token."""
        response = self.service.get(path, params=parameters)
        assert response.status_code == 200, response.text
        return response.json()

    def act(self, name: str, path: str, body: Mapping[str, str] | None = None) -> Any:
        """An operator's act that is done; a refused one is an error."""
        response = self.as_operator(name).post(path, json=body)
        assert response.is_success, response.text
        return response.json()

    def refusal(self, name: str, path: str, body: Mapping[str, str] | None = None) -> str:
        """The reason for which an operator's act is refused by the rules."""
        response = self.as_operator(name).post(path, json=body)
        assert response.status_code == 409, response.text
        return str(problem_of(response)["reason"])

    def was_hinted(self, step: Step) -> bool:
        """Whether the step was hinted since the last look; hints follow the response."""
        found = wait_for(lambda: step in self.hinted, 3)
        self.hinted.clear()
        return found

    # The desk

    def operator(
        self,
        name: str,
        *,
        online: bool = True,
        personal_limit: int | None = None,
        role: Role = Role.OPERATOR,
        scope: Scope | None = Scope.ANY,
    ) -> int:
        """Make an operator; his token is `token of <name>`. scope: None is the default of his role."""
        with self._database.transaction() as connection:
            operator_id = desks.put_operator(connection, name, hash_token(f"token of {name}"), personal_limit)
            connection.execute("UPDATE operators SET role = %s, scope = %s WHERE id = %s", [role, scope, operator_id])
            desks.set_online(connection, operator_id, online=online)
            presence.settle(connection, operator_id, "test")
        return operator_id

    def department(self, name: str, members: Sequence[int], supervisors: Sequence[int] = ()) -> int:
        """Make a department."""
        with self._database.transaction() as connection:
            department_id = desks.put_department(connection, name, members)
        for supervisor_id in supervisors:
            self.rows("INSERT INTO department_supervisors VALUES (%s, %s)", department_id, supervisor_id)
        return department_id

    def open_channel(
        self, name: str, operators: Sequence[int] = (), kinds: Sequence[str] = ("telegram",), **settings: Any
    ) -> int:
        """Make an open channel with a roster and channels; a channel's key is `<name>-<kind>`."""
        with self._database.transaction() as connection:
            open_channel_id = desks.put_open_channel(connection, name, OpenChannelSettings(**settings))
            for kind in kinds:
                key = f"{name}-{kind}"
                channel = Channel(0, key, kind, f"{name} {kind}", open_channel_id, secrets=("secret",))
                self.channel_ids[key] = desks.put_channel(connection, channel, BOX)
            desks.put_roster(connection, open_channel_id, [RosterMember(operator_id=one) for one in operators])
        return open_channel_id

    # Customers

    def say(
        self,
        channel_key: str,
        chat: str,
        text: str = "hello",
        *,
        name: str = "",
        given: Sequence[Identifier | None] = (),
        kind: MessageKind = MessageKind.TEXT,
    ) -> int:
        """Accept a message; returns its inbox id."""
        number = next(_numbers)
        now = datetime.now(UTC)
        message = InboundMessage(
            channel=channel_key,
            kind=kind,
            external_id=f"message-{number}",
            key=f"message-{number}",
            chat_id=chat,
            customer_id=chat,
            name=name,
            text=text,
            identifiers=tuple(identifier for identifier in given if identifier is not None),
            sent_at=now,
            received_at=now,
        )
        item = NewItem(
            channel_id=self.channel_ids[channel_key],
            key_hash=BOX.hash(message.key),
            received_at=now,
            raw=b"{}",
            message=message.model_dump_json(exclude_defaults=True),
            chat=chat if message.from_customer else None,
            customer_id=chat,
            name=name,
            stage=inbox.FIRST_STAGE if message.from_customer else inbox.IGNORED,
            reason=None if message.from_customer else kind.value,
        )
        with self._database.transaction() as connection:
            (inbox_id,) = inbox.accept(connection, [item], now.date())
        assert inbox_id is not None
        return inbox_id

    def drain(self) -> None:
        """Take everything that is pending through the steps, and try the backlogs that are due."""
        for step in INBOX_STEPS:
            ids = [row[0] for row in self.rows("SELECT inbox_id FROM inbox_state WHERE stage = %s::stage", step.value)]
            if ids or step in BESIDES:
                self._runners[step].run(ids, {}, 0)

    def dialog(self, channel_key: str, chat: str, text: str = "hello", **said: Any) -> int:
        """A customer writes, and all steps are done; returns the dialog's id."""
        inbox_id = self.say(channel_key, chat, text, **said)
        self.drain()
        return int(self.value("SELECT dialog_id FROM inbox_state WHERE inbox_id = %s", inbox_id))

    # Past the product

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """What the database says."""
        cursor = self._look().execute(query, parameters)
        return cursor.fetchall() if cursor.description else []

    def _look(self) -> "psycopg.Connection[Any]":
        """A connection of this thread's own: others may wait for a lock."""
        connection: psycopg.Connection[Any] | None = getattr(self._of_thread, "connection", None)
        if connection is None or connection.closed:
            connection = self._of_thread.connection = psycopg.connect(self.url, autocommit=True)
            self._looking.append(connection)
        return connection

    def value(self, query: str, *parameters: Any) -> Any:
        """The only value of a query."""
        ((value,),) = self.rows(query, *parameters)
        return value


def typed_phone(written: str) -> Identifier | None:
    """A phone that a visitor wrote."""
    return phone(written, Evidence.TYPED)


def typed_email(written: str) -> Identifier | None:
    """An e-mail that a visitor wrote."""
    return email(written, Evidence.TYPED)


def problem_of(response: httpx.Response) -> dict[str, Any]:
    """The problem document of an error, which every error has."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    document: dict[str, Any] = response.json()
    assert document["status"] == response.status_code
    assert document["type"] == f"urn:openchannel:{document['reason']}"
    assert document["title"]
    assert document["detail"]
    return document


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serve an app on a free port from a thread; gives its URL."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=2)
    server = StreamingServer(config, app.state.streams)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        assert wait_for(lambda: server.started, 10)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()

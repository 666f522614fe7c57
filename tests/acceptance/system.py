"""The product's processes, started, killed and watched by a test."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psycopg

from crm_store import desks
from crm_store.database import DatabaseOptions, Session
from crm_store.desks import RosterMember
from crm_store.ledger import Ledger
from crm_store.secrets import SecretBox, hash_token
from runtime.ports import free_port
from tests.webhooks import Webhook, channel
from tracker.channels import OpenChannelSettings

SECRET_KEY = "b3BlbmNoYW5uZWwtdGVzdHMtMzItYnl0ZXMtbG9uZyE="
API_TOKEN = "service-token-of-the-tests"
PATIENCE = 60.0


class System:
    """Web, workers and clock on given servers. Use it as a context; all is killed at the end."""

    def __init__(self, folder: Path, database_url: str, broker_url: str, *, workers: int = 2) -> None:
        self.database_url = database_url
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._workers = workers
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._session = Session(DatabaseOptions(database_url, "test"))
        self._box = SecretBox(SECRET_KEY)
        self.environment = {
            "OPENCHANNEL_DATABASE__URL": database_url,
            "OPENCHANNEL_BROKER__URL": broker_url,
            "OPENCHANNEL_BROKER__VISIBILITY_TIMEOUT": "6",
            "OPENCHANNEL_SECRET_KEY": SECRET_KEY,
            "OPENCHANNEL_API_TOKEN": API_TOKEN,
            "OPENCHANNEL_WEB__PORT": str(self.port),
            "OPENCHANNEL_LOG__FORMAT": "json",
        }

    def __enter__(self) -> Self:
        self.start("web")
        self.start("clock")
        for number in range(self._workers):
            self.start(f"worker-{number}")
        wait_until(self._answers, "the web process answers")
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.wait()
        self._session.close()

    def start(self, name: str, module: str = "cli", port: int | None = None) -> subprocess.Popen[bytes]:
        """Start a process by name: `web`, `clock`, or `worker-...`; its log is `<name>.log`. port: of another web."""
        command = [sys.executable, "-m", module]
        if module == "cli":
            command.append(name.partition("-")[0])
        with (self._folder / f"{name}.log").open("ab") as log:
            environment = {**os.environ, **self.environment, "OPENCHANNEL_WEB__PORT": str(port or self.port)}
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self._processes[name] = process
        return process

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal, and wait for the end if it is one that ends it."""
        process = self._processes[name]
        process.send_signal(number)
        if number in (signal.SIGKILL, signal.SIGTERM):
            process.wait(timeout=20)

    def process(self, name: str) -> subprocess.Popen[bytes]:
        """A process by name."""
        return self._processes[name]

    def log(self, name: str) -> str:
        """What a process has logged."""
        return (self._folder / f"{name}.log").read_text()

    # The desk

    def open_channel(
        self,
        name: str,
        kinds: Iterable[str],
        operators: Sequence[int] = (),
        config: dict[str, Any] | None = None,
        **settings: Any,
    ) -> int:
        """Make an open channel with channels of these kinds (their keys are the kinds) and a roster."""
        with self._session.transaction() as connection:
            open_channel_id = desks.put_open_channel(connection, name, OpenChannelSettings(**settings))
            for kind in kinds:
                desks.put_channel(connection, channel(kind, open_channel_id, config=config), self._box)
            desks.put_roster(connection, open_channel_id, [RosterMember(operator_id=o) for o in operators])
        return open_channel_id

    def operator(self, name: str, *, online: bool = True) -> int:
        """Make an operator, whose token is `token of <name>`."""
        with self._session.transaction() as connection:
            operator_id = desks.put_operator(connection, name, hash_token(f"token of {name}"))
            desks.set_online(connection, operator_id, online=online)
        return operator_id

    # Looking and waiting

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """What the database says, past the product."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(query, parameters).fetchall()

    def value(self, query: str, *parameters: Any) -> Any:
        """The only value of a query."""
        ((value,),) = self.rows(query, *parameters)
        return value

    def get(self, path: str, token: str = API_TOKEN) -> Any:
        """A look-up over the API."""
        response = httpx.get(f"{self.url}{path}", headers={"authorization": f"Bearer {token}"}, timeout=10)
        response.raise_for_status()
        return response.json()

    def act(self, path: str, operator: str, json: Any = None) -> httpx.Response:
        """An operator's act over the API."""
        headers = {"authorization": f"Bearer token of {operator}"}
        return httpx.post(f"{self.url}{path}", headers=headers, json=json, timeout=20)

    def ledger(self) -> Ledger:
        """The ledger, over the API."""
        found = self.get("/api/ledger")
        return Ledger(**{name: found[name] for name in Ledger.__dataclass_fields__})

    def drained(self, patience: float = PATIENCE) -> Ledger:
        """Wait until nothing is pending; returns the ledger, which balances."""
        wait_until(lambda: self.ledger().pending == 0, "nothing is pending", patience)
        ledger = self.ledger()
        assert ledger.balances, ledger
        return ledger

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    # Webhooks

    def post(self, webhook: Webhook) -> httpx.Response:
        """One webhook call."""
        return httpx.post(self._target(webhook), content=webhook.body, headers=dict(webhook.headers), timeout=20)

    def post_all(self, webhooks: Sequence[Webhook], *, at_once: int = 50, again: bool = True) -> list[int]:
        """Many webhook calls, `at_once` at a time; like a provider it comes again after a 503 or no answer."""
        return asyncio.run(self._post_all(webhooks, at_once, again))

    async def _post_all(self, webhooks: Sequence[Webhook], at_once: int, again: bool) -> list[int]:
        limits = httpx.Limits(max_connections=at_once)
        places = asyncio.Semaphore(at_once)
        async with httpx.AsyncClient(limits=limits, timeout=20) as client:

            async def post(webhook: Webhook) -> int:
                async with places:
                    for _ in range(100):
                        status = await self._try(client, webhook)
                        if not again or status not in (0, 503):
                            return status
                        await asyncio.sleep(0.2)
                    return status

            return list(await asyncio.gather(*map(post, webhooks)))

    async def _try(self, client: httpx.AsyncClient, webhook: Webhook) -> int:
        try:
            response = await client.post(self._target(webhook), content=webhook.body, headers=dict(webhook.headers))
        except httpx.HTTPError:
            return 0
        return response.status_code

    def _target(self, webhook: Webhook) -> str:
        return f"{self.url}/webhooks/{webhook.key}"


def wait_until(condition: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Poll until the condition holds; fails the test after `patience` seconds."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"after {patience:.0f} s still not: {what}")
        time.sleep(0.1)

"""Operators at the API: they are there, accept, answer, and close now and then.

Every act has an idempotency key and is asked for again, at any web process, until it is known what became of it: so
what was acknowledged must be there, once, and what never was at most once.
"""

import asyncio
import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httpx

from chaos.desk import Desk
from loadgen.operators import ANSWERS, OperatorAccount

HEARTBEAT_SECONDS = 10.0
ACTS_PER_LOOK = 8
CALL_SECONDS = 8.0
PAUSE_AFTER_FAILURE = 0.3
PATIENCE = 60.0


@dataclass(slots=True)
class Act:
    """What an operator asked for. kind: `accept`, `answer`, `close` or `skip`. text: of an answer, unique.

    status: of the answer that said what became of it, 0 while none has. tries: how often it was asked for.
    """

    operator: str
    kind: str
    dialog_id: int
    key: str
    text: str = ""
    status: int = 0
    tries: int = 0

    @property
    def acknowledged(self) -> bool:
        """Whether it was said to be done."""
        return 200 <= self.status < 300

    @property
    def is_uncertain(self) -> bool:
        """Whether an earlier try may have done it: who may see the dialog no more is not told."""
        return self.status == 0 or (not self.acknowledged and self.tries > 1)


@dataclass(slots=True)
class _Operator:
    account: OperatorAccount
    rng: random.Random
    online: bool = False
    heartbeat_at: float = 0.0


class People:
    """All operators of a desk, in a thread of their own, from `start` to `stop`; `acts` tells what they asked for."""

    def __init__(self, desk: Desk, urls: Sequence[str], seed: int, pace: float = 0.4) -> None:
        """urls: of the web processes. pace: seconds between two looks of an operator, on average."""
        self.acts: list[Act] = []
        self._urls = urls
        self._pace = pace
        rng = random.Random(seed)
        self._operators = [_Operator(account, random.Random(rng.getrandbits(64))) for account in desk.operators]
        self._seed = seed
        self._stopping = threading.Event()
        self._given_up = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="people", daemon=True)

    def start(self) -> None:
        """Come to work."""
        self._thread.start()

    def stop(self, patience: float = PATIENCE) -> None:
        """Begin nothing new; returns when it is known what became of every act, or after `patience` seconds.

        Raises what they themselves failed with.
        """
        self._stopping.set()
        self._thread.join(patience)
        self._given_up.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    # In the thread

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for operator in self._operators:
                    group.create_task(self._work(operator))
        except BaseExceptionGroup as errors:
            self._failure = errors

    async def _work(self, operator: _Operator) -> None:
        headers = {"authorization": f"Bearer {operator.account.token}"}
        async with httpx.AsyncClient(headers=headers, timeout=CALL_SECONDS, trust_env=False) as client:
            while not self._stopping.is_set():
                try:
                    await self._look(client, operator)
                    pause = self._pace * operator.rng.uniform(0.4, 1.6)
                except (httpx.HTTPError, _AwayError):
                    pause = PAUSE_AFTER_FAILURE
                await asyncio.sleep(pause)

    async def _look(self, client: httpx.AsyncClient, operator: _Operator) -> None:
        if operator.account.restless and operator.online and operator.rng.random() < 0.02:
            await self._call(client, operator, "POST", "/api/operator/offline")
            operator.online = False
            await asyncio.sleep(operator.rng.uniform(1.0, 4.0))
        if not operator.online or time.monotonic() > operator.heartbeat_at:
            path = "heartbeat" if operator.online else "online"
            came = await self._call(client, operator, "POST", f"/api/operator/{path}")
            operator.online = came.is_success
            operator.heartbeat_at = time.monotonic() + HEARTBEAT_SECONDS
        shown = await self._call(client, operator, "GET", "/api/operator/dialogs")
        dialogs = shown.json()["items"] if shown.is_success else []
        operator.rng.shuffle(dialogs)
        for dialog in dialogs[:ACTS_PER_LOOK]:
            await self._handle(client, operator, dialog)

    async def _handle(self, client: httpx.AsyncClient, operator: _Operator, dialog: Mapping[str, object]) -> None:
        chance, dialog_id = operator.rng.random(), int(str(dialog["id"]))
        match dialog["status"]:
            case "assigned" if chance < 0.08:
                await self._act(client, operator, "skip", dialog_id)
            case "offered" | "assigned":
                await self._act(client, operator, "accept", dialog_id)
            case "accepted" | "awaiting_operator" if chance < 0.7:
                await self._act(client, operator, "answer", dialog_id)
            case "awaiting_customer" if chance < 0.25:
                await self._act(client, operator, "close", dialog_id)
            case _:
                pass

    async def _act(self, client: httpx.AsyncClient, operator: _Operator, kind: str, dialog_id: int) -> None:
        """Ask for it until it is known what became of it."""
        number = len(self.acts)
        text = f"{operator.rng.choice(ANSWERS)} ~{self._seed}-{number}" if kind == "answer" else ""
        act = Act(operator.account.name, kind, dialog_id, f"{self._seed}-{number}", text)
        self.acts.append(act)
        path, body = f"/api/dialogs/{dialog_id}/{kind}", {"text": text} if text else None
        while not self._given_up.is_set():
            act.tries += 1
            try:
                response = await self._call(client, operator, "POST", path, body, act.key)
            except (httpx.HTTPError, _AwayError):
                await asyncio.sleep(PAUSE_AFTER_FAILURE)
                continue
            act.status = response.status_code
            return

    async def _call(
        self,
        client: httpx.AsyncClient,
        operator: _Operator,
        method: str,
        path: str,
        body: Mapping[str, str] | None = None,
        key: str = "",
    ) -> httpx.Response:
        """One try. Raises _AwayError for an answer that says nothing of the act."""
        url = f"{operator.rng.choice(self._urls)}{path}"
        headers = {"idempotency-key": key} if key else {}
        response = await client.request(method, url, json=body, headers=headers)
        if response.is_server_error:
            raise _AwayError
        return response


class _AwayError(Exception):
    """The web process could not do it now."""

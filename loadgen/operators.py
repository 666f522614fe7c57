"""Synthetic operators at the API: they come, look at their dialogs, accept, answer, close, and sometimes go."""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import httpx

from loadgen.phrases import PHRASES

HEARTBEAT_SECONDS = 10.0
ACTS_PER_LOOK = 6
MOST_REMEMBERED = 500
ANSWERS = tuple(answer for phrases in PHRASES.values() for answer in phrases.answers)


@dataclass(frozen=True, slots=True)
class OperatorAccount:
    """token: of the API. restless: he goes offline for a while now and then."""

    name: str
    token: str
    restless: bool = False


@dataclass(slots=True)
class Acts:
    """What the operators have done. refused: acts that the rules did not allow, as accepting what another has."""

    accepted: int = 0
    answered: int = 0
    closed: int = 0
    refused: int = 0
    failed: int = 0


@dataclass(slots=True)
class _Operator:
    account: OperatorAccount
    rng: random.Random
    exchanges: dict[int, int] = field(default_factory=dict)
    """Answers that a dialog will get before it is closed, by dialog id."""
    heartbeat_at: float = 0.0
    online: bool = False


class Operators:
    """All synthetic operators of a desk."""

    def __init__(
        self,
        base_url: str,
        accounts: Sequence[OperatorAccount],
        seed: int,
        pace: float = 0.5,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """pace: seconds between two looks, on average. transport: another way to the server than by TCP."""
        self.acts = Acts()
        self._pace = pace
        self._base_url = base_url
        self._transport = transport
        rng = random.Random(seed)
        # One generator each, so that the order in which they get on does not change what they do.
        self._operators = [_Operator(account, random.Random(rng.getrandbits(64))) for account in accounts]

    @property
    def all_online(self) -> bool:
        """Whether everybody is there."""
        return all(operator.online for operator in self._operators)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; at the end all go offline."""
        async with asyncio.TaskGroup() as group:
            for operator in self._operators:
                group.create_task(self._work(operator, stop))

    async def _work(self, operator: _Operator, stop: asyncio.Event) -> None:
        headers = {"authorization": f"Bearer {operator.account.token}"}
        async with httpx.AsyncClient(
            base_url=self._base_url, headers=headers, timeout=10.0, trust_env=False, transport=self._transport
        ) as client:
            while not stop.is_set():
                try:
                    pause = await self._look(client, operator)
                except httpx.HTTPError:
                    self.acts.failed += 1
                    pause = 1.0
                await _sleep(stop, pause)
            try:
                await client.post("/api/operator/offline")
            except httpx.HTTPError:
                self.acts.failed += 1

    async def _look(self, client: httpx.AsyncClient, operator: _Operator) -> float:
        """One look at the dialogs. Returns seconds until the next."""
        rng = operator.rng
        if operator.online and operator.account.restless and rng.random() < 0.02:
            await self._post(client, "/api/operator/offline")
            operator.online = False
            return rng.uniform(4.0, 10.0)
        if not operator.online:
            operator.online = await self._post(client, "/api/operator/online")
            operator.heartbeat_at = time.monotonic() + HEARTBEAT_SECONDS
        elif time.monotonic() > operator.heartbeat_at:
            # Refused where the desk has taken him for gone: he comes anew.
            operator.online = await self._post(client, "/api/operator/heartbeat")
            operator.heartbeat_at = time.monotonic() + HEARTBEAT_SECONDS
        response = await client.get("/api/operator/dialogs")
        response.raise_for_status()
        dialogs = response.json()["items"]
        rng.shuffle(dialogs)
        acts = 0
        for dialog in dialogs:
            acts += await self._handle(client, operator, dialog)
            if acts >= ACTS_PER_LOOK:
                break
        return self._pace * rng.uniform(0.4, 1.6)

    async def _handle(self, client: httpx.AsyncClient, operator: _Operator, dialog: Mapping[str, object]) -> bool:
        """Do what is to be done in a dialog; False if that is nothing, now."""
        rng, number = operator.rng, int(str(dialog["id"]))
        path = f"/api/dialogs/{number}"
        match dialog["status"]:
            case "offered" | "assigned":
                if await self._post(client, f"{path}/accept"):
                    self.acts.accepted += 1
            case "accepted" | "awaiting_operator" if rng.random() < 0.6:
                if await self._post(client, f"{path}/answer", {"text": rng.choice(ANSWERS)}):
                    self.acts.answered += 1
                    left = operator.exchanges.pop(number, rng.randint(1, 3))
                    operator.exchanges[number] = left - 1
                    if len(operator.exchanges) > MOST_REMEMBERED:
                        operator.exchanges.pop(next(iter(operator.exchanges)))
            case "awaiting_customer" if rng.random() < (0.5 if operator.exchanges.get(number, 0) <= 0 else 0.1):
                if await self._post(client, f"{path}/close"):
                    self.acts.closed += 1
                    operator.exchanges.pop(number, None)
            case _:
                return False
        return True

    async def _post(self, client: httpx.AsyncClient, path: str, body: Mapping[str, str] | None = None) -> bool:
        """Whether the act was done; a refusal is an ordinary event among several operators."""
        response = await client.post(path, json=body)
        if response.is_success:
            return True
        if response.is_client_error and response.status_code not in (401, 403):
            self.acts.refused += 1
            return False
        response.raise_for_status()
        return False


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return

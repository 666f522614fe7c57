"""The synthetic customers and operators against a server that the test plays."""

import asyncio
import json
import time
from collections import Counter

import httpx
import pytest

from loadgen.callbacks import CallbackServer
from loadgen.customers import Customers
from loadgen.operators import OperatorAccount, Operators
from loadgen.traffic import Traffic
from loadgen.wire import standard_signature
from loadgen.world import World
from tests.loadgen_channels import CHANNELS
from tests.processes import wait_for

pytestmark = pytest.mark.unit

SECRET = CHANNELS[-1].secrets[0]


def customers(transport: httpx.MockTransport, rate: float = 400.0) -> Customers:
    return Customers("http://desk", World(1, 1, rate, CHANNELS), transport)


async def run_customers(synthetic: Customers, seconds: float = 0.3, patience: float = 10.0) -> None:
    stop, give_up = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(synthetic.run(stop, give_up))
    await asyncio.sleep(seconds)
    stop.set()
    asyncio.get_running_loop().call_later(patience, give_up.set)
    await running


def test_nothing_is_lost_to_503_and_broken_connections(monkeypatch):
    """Every webhook is sent again, byte for byte but for its signature, until it is taken."""
    monkeypatch.setattr("loadgen.customers.FIRST_PAUSE", 0.01)
    tries: Counter[bytes] = Counter()

    def answer(request: httpx.Request) -> httpx.Response:
        tries[request.content] += 1
        if tries[request.content] == 1:
            return httpx.Response(503, headers={"retry-after": "0.01"})
        if tries[request.content] == 2:
            raise httpx.ConnectError("no route")
        return httpx.Response(200)

    synthetic = customers(httpx.MockTransport(answer))
    asyncio.run(run_customers(synthetic))
    sent = synthetic.sent
    assert sent.planned > 50
    assert (sent.accepted, sent.refused, sent.given_up, sent.under_way) == (sent.planned, 0, 0, 0)
    assert sent.tries_again > sent.planned


def test_other_answers_are_final():
    """A webhook that is refused is counted with its status, and not sent again."""
    synthetic = customers(httpx.MockTransport(lambda _request: httpx.Response(401)))
    asyncio.run(run_customers(synthetic))
    assert dict(synthetic.sent.statuses) == {401: synthetic.sent.planned}
    assert synthetic.sent.tries_again == 0


def test_the_model_is_open():
    """Customers write at their own times, however long the answers take; what is never answered is given up."""

    async def never(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        return httpx.Response(200)

    synthetic = customers(httpx.MockTransport(never))
    asyncio.run(run_customers(synthetic, patience=0.1))
    assert synthetic.sent.planned > 50
    assert (synthetic.sent.given_up, synthetic.sent.under_way) == (synthetic.sent.planned, 0)


class Desk:
    """Plays the operators' API with dialogs of one operator; the fifth is always another's."""

    worked_off: asyncio.Event

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.dialogs: dict[int, str] = dict.fromkeys(range(1, 6), "assigned")
        self.answered: Counter[int] = Counter()

    def answer(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer token-1"
        path = request.url.path
        self.calls.append(path)
        if path == "/api/operator/dialogs":
            return httpx.Response(200, json={"items": [{"id": n, "status": s} for n, s in self.dialogs.items()]})
        if path.startswith("/api/dialogs/"):
            number, act = int(path.split("/")[3]), path.split("/")[4]
            if number == 5:
                return httpx.Response(409, json={"title": "taken"})
            if act == "answer":
                assert json.loads(request.content)["text"]
                self.answered[number] += 1
            self.dialogs[number] = {"accept": "accepted", "answer": "awaiting_customer", "close": "closed"}[act]
            if act == "close":
                del self.dialogs[number]
                if self.dialogs.keys() == {5}:
                    self.worked_off.set()
        return httpx.Response(200, json={})


def test_operators_work_their_dialogs_off():
    """They come, accept, answer at least once, close, and go offline at the end; a refusal does not stop them."""
    desk = Desk()
    operators = Operators("http://desk", [OperatorAccount("Ada", "token-1")], 1, 0.01, httpx.MockTransport(desk.answer))

    async def work() -> None:
        desk.worked_off = asyncio.Event()
        stop = asyncio.Event()
        working = asyncio.create_task(operators.run(stop))
        await asyncio.wait_for(desk.worked_off.wait(), 30)
        stop.set()
        await working

    asyncio.run(work())
    assert desk.calls[0] == "/api/operator/online"
    assert desk.calls[-1] == "/api/operator/offline"
    assert set(desk.answered) == {1, 2, 3, 4}
    assert (operators.acts.accepted, operators.acts.closed, operators.acts.failed) == (4, 4, 0)
    assert operators.acts.refused > 0


def test_traffic_ends_in_order():
    """First the customers, then all; a failure is kept for the thread that asks."""
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, json={"items": []}))
    operators = Operators("http://desk", [OperatorAccount("Ada", "token-1")], 1, 0.01, transport)
    traffic = Traffic(customers(transport), operators)
    traffic.start()
    traffic.end_customers()
    traffic.end()
    assert traffic.customers_done
    assert traffic.failure is None


def test_a_failure_of_the_traffic_is_told():
    """A defect in the synthetic world does not pass for a quiet one."""

    def broken(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=["not", "as", "agreed"])

    transport = httpx.MockTransport(broken)
    traffic = Traffic(
        customers(transport), Operators("http://desk", [OperatorAccount("Ada", "token-1")], 1, 0.01, transport)
    )
    traffic.start()
    failed = wait_for(lambda: traffic.failure is not None, 10)
    traffic.end(seconds=10)
    assert failed


def test_callbacks_take_what_is_ours_once():
    """The custom channel's server counts each message once, and refuses what is not signed by us."""
    with CallbackServer(SECRET) as server:

        def post(message_id: str, secret: str, timestamp: int) -> int:
            body = b'{"text":"Hello"}'
            headers = {
                "webhook-id": message_id,
                "webhook-timestamp": str(timestamp),
                "webhook-signature": standard_signature(secret, message_id, timestamp, body),
            }
            return httpx.post(server.url, content=body, headers=headers, trust_env=False).status_code

        now = int(time.time())
        assert [post("m1", SECRET, now), post("m1", SECRET, now), post("m2", SECRET, now)] == [200, 200, 200]
        assert [post("m3", "whsec_b3RoZXI=", now), post("m4", SECRET, now - 3600)] == [401, 401]
        assert httpx.post(server.url, content=b"{}", trust_env=False).status_code == 401
        assert (server.received, server.repeated, server.unproved) == (2, 1, 3)

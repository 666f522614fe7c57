"""A crash between each pair of adjacent side effects of a message's way, and what the trace of them sees."""

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest

from chaos.failpoints import fired, pairs
from tests.acceptance.system import API_TOKEN, SECRET_KEY
from tests.pipeline import Desk

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

CLAIM = "start BEGIN inbox.crashed_batches COMMIT BEGIN inbox.end_batches_of_worker inbox.begin_batch"
"""How a worker's first batch of each step begins."""

MOVE = "inbox.move_items COMMIT"

KNOWN = {
    "accept": "start BEGIN inbox.insert_keys inbox.insert_chats inbox.insert_items ledger.enter COMMIT",
    "bind_chat": f"{CLAIM} matching.ensure_identifiers cards.insert_cards chats.bind matching.add_facts"
    f" chats.append_inbound {MOVE} publish:ensure_card",
    "ensure_card": f"{CLAIM} cards.promote {MOVE} publish:distribute",
    "deliver": "start BEGIN receipts.take COMMIT BEGIN outbox.lease COMMIT call BEGIN outbox.sent costs.enter COMMIT",
}
"""What the first message of a customer does, in words of its sources."""

SIDE_BY_SIDE = {("accept/COMMIT", "accept/publish:crm_lookup"), ("accept/COMMIT", "accept/answer:2xx")}
"""What two other threads do after the accepting commit, in any order."""


class Receiver:
    """A channel's API that takes everything."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, bytes]] = []
        calls = self.calls

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                calls.append((self.headers["webhook-id"], self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Where answers go."""
    made = Receiver()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def test_a_crash_between_any_two_side_effects_changes_nothing(
    tmp_path: Path, database_url: str, broker_url: str, receiver: Receiver
) -> None:
    """Each pair that a message's way has is seen, is died between, and leaves each effect once after all."""
    trace, deaths = tmp_path / "trace", tmp_path / "deaths"
    environment = {
        "OPENCHANNEL_DATABASE__URL": database_url,
        "OPENCHANNEL_BROKER__URL": broker_url,
        "OPENCHANNEL_SECRET_KEY": SECRET_KEY,
        "OPENCHANNEL_API_TOKEN": API_TOKEN,
    }
    with Desk(database_url) as desk:
        desk.open_channel("desk", ["custom"], config={"callback_url": receiver.url}, nobody_available_text="nobody")
        run = subprocess.run(
            [sys.executable, "-m", "tests.mortal_pipeline", str(trace), str(deaths)],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr[-5000:]
        report = json.loads(run.stdout.splitlines()[-1])
        assert set(report["ends"]) == {0}, run.stderr[-5000:]
        _sees_what_is_known(report["seen"])
        killed = [(before, after) for before, after, _ in report["killed"]]
        assert [pair for *pair, dead in report["killed"] if not dead] == []
        assert fired([deaths]) == Counter(("pipeline", *pair) for pair in killed)
        assert {("pipeline", *pair) for pair in killed} <= set(pairs([trace]))
        _each_effect_once(desk, receiver, 2 + len(killed))


def _sees_what_is_known(seen: list[list[str]]) -> None:
    for scope, names in KNOWN.items():
        known = [(f"{scope}/{before}", f"{scope}/{after}") for before, after in pairwise(names.split())]
        found = [(before, after) for before, after in seen if after.startswith(f"{scope}/")]
        assert [pair for pair in found if pair not in SIDE_BY_SIDE] == list(dict.fromkeys(known))
    assert {(before, after) for before, after in seen} >= SIDE_BY_SIDE


def _each_effect_once(desk: Desk, receiver: Receiver, messages: int) -> None:
    numbers = [(f"message {number}",) for number in range(1, messages + 1)]
    said = desk.rows("SELECT text FROM messages WHERE direction = 'in'")
    assert sorted(said) == sorted(numbers)
    ledger = desk.ledger()
    assert (ledger.accepted, ledger.done) == (messages, messages)
    for table in ("cards", "chats", "dialogs", "outbox"):
        assert desk.value(f"SELECT count(*) FROM {table}") == messages, table
    assert desk.value("SELECT count(*) FROM outbox WHERE state <> 'sent'") == 0
    assert desk.value("SELECT count(*) FROM batches") == 0
    bodies = dict(receiver.calls)
    assert len(bodies) == messages, "each notice under a key of its own"
    assert all(bodies[key] == body for key, body in receiver.calls), (
        "which stays, with the same body, when it comes again"
    )

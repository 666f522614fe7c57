"""The load of the proof by chaos: what is sent follows from the seed, and is sent until it is accepted."""

import hashlib
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice, pairwise
from threading import Lock, Thread

import pytest

from chaos.conversations import Chat, Conversations, Planted
from chaos.desk import SECRET, Desk
from chaos.load import Load, body_of
from chaos.record import Message, Poison, Record
from loadgen.wire import standard_signature
from tests.processes import wait_for
from tracker.channels import Channel
from tracker.extraction import extract

pytestmark = pytest.mark.unit

KEYS = ("one", "two")
DESK = Desk(tuple(Channel(n, key, "custom", key, 1) for n, key in enumerate(KEYS)), ())


def test_everything_follows_from_the_seed() -> None:
    """The same seed gives the same poison and the same chats, another seed others."""
    assert _first(7) == _first(7)
    assert _first(7) != _first(8)


def _first(seed: int) -> list[Chat]:
    world = Conversations(seed, KEYS)
    return [*world.planted(Planted()), *islice(world.chats(), 200)]


def test_poison_is_little_and_stands_alone_and_amid_innocent_messages() -> None:
    """At most fifteen messages of all kinds, each once in its chat, some with messages before and after them."""
    planted = Conversations(1, KEYS).planted(Planted())
    poison = [message for chat in planted for message in chat.messages if message.poison is not None]
    assert len(poison) == len(planted) <= 15
    assert {message.poison for message in poison} == set(Poison)
    amid = [chat for chat in planted if len(chat.messages) > 1]
    assert {message.poison for chat in amid for message in chat.messages} == {None, Poison.RAISES, Poison.KILLS}
    assert all(chat.messages[0].poison is None and chat.messages[-1].poison is None for chat in amid)


def test_what_a_message_gives_is_what_it_says() -> None:
    """The phones and e-mails that the oracle counts are in the fields or are found in the text, and no others."""
    chats = list(islice(Conversations(3, KEYS).chats(), 300))
    for message in (message for chat in chats for message in chat.messages):
        given = {(kind, key) for kind, key in message.gives if kind != "messenger"}
        found = {(one.kind.value, one.key) for one in extract(message.text, "DE")}
        fields = {kind for kind in ("phone", "email") if kind in message.body}
        assert found | {(kind, key) for kind, key in given if kind in fields} == given
        assert ("messenger", f"custom/{message.channel}/{message.body['customer_id']}") in message.gives


def test_customers_are_joined_over_chats() -> None:
    """Phones, e-mails and ids are given in more than one chat often enough for cards to be merged."""
    chats_with: dict[tuple[str, str], set[str]] = defaultdict(set)
    for chat in islice(Conversations(3, KEYS).chats(), 300):
        for message in chat.messages:
            for identifier in message.gives:
                chats_with[identifier].add(message.chat)
    joined = Counter(kind for (kind, _), chats in chats_with.items() if len(chats) > 1)
    assert min(joined["phone"], joined["email"], joined["messenger"]) > 10


def test_the_record_knows_the_first_try_and_the_first_answer() -> None:
    """Later tries and answers change neither; what is no 2xx is no answer."""
    record, message = Record(), Message("one", "m-1", "c-1", "hello")
    record.sending([message], 1.0)
    record.answered([message], 503, 2.0)
    assert record.accepted == 0
    record.sending([message], 3.0)
    record.answered([message], 200, 4.0)
    record.answered([message], 200, 5.0)
    (sending,) = record.sendings
    assert (sending.first_sent, sending.answered, sending.tries) == (1.0, 4.0, 2)
    assert record.statuses == {503: 1, 200: 2}


class _Provider:
    """A web process that fails half of the time: it says 503, or takes what it was sent and says nothing."""

    def __init__(self) -> None:
        self.bodies: dict[str, set[bytes]] = defaultdict(set)
        self.accepted: list[str] = []
        self.unproved = 0
        self.rng = random.Random(1)
        self.lock = Lock()

    def take(self, headers: dict[str, str], body: bytes) -> int:
        with self.lock:
            message_id, at = headers["webhook-id"], int(headers["webhook-timestamp"])
            self.unproved += headers["webhook-signature"] != standard_signature(SECRET, message_id, at, body)
            self.bodies[message_id].add(body)
            status = self.rng.choices((200, 503, 0), weights=(2, 1, 1))[0]
            if status != 503:
                self.accepted.append(hashlib.sha256(body).hexdigest())
            return status


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that is gone is no news."""


@contextmanager
def _serving(provider: _Provider) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if len(body) < int(self.headers["content-length"]):  # its sender has waited long enough
                self.close_connection = True
                return
            status = provider.take({name.lower(): value for name, value in self.headers.items()}, body)
            self.close_connection = not status
            if status:
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Nothing."""

    server = _Server(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_everything_is_sent_until_it_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the web processes do: the same bytes under the same id, proved, until 2xx; and some of it again."""
    monkeypatch.setattr("chaos.load.PAUSE_AFTER_FAILURE", (0.0, 0.02))
    monkeypatch.setattr("chaos.load.PLANTED_WITHIN", 0.5)
    monkeypatch.setattr("chaos.load.ACTIVE_CHATS", 20)
    provider = _Provider()
    with _serving(provider) as one, _serving(provider) as other:
        load = Load(DESK, [one, other], seed=5, rate=500)
        load.start()
        assert wait_for(lambda: load.record.accepted > 120 and _planted(load.record) == 11, 60)
        load.stop()
    sendings = load.record.sendings
    assert provider.unproved == 0
    assert all(len(bodies) == 1 for bodies in provider.bodies.values())
    assert all(sending.answered is not None for sending in sendings)
    assert max(Counter(provider.accepted).values()) > 1
    assert {status for status, n in load.record.statuses.items() if n} == {0, 200, 503}
    _chats_are_in_order(load.record)


def test_what_is_never_answered_is_given_up() -> None:
    """Where no web process is there any more, the load ends all the same, and knows what was not accepted."""
    load = Load(DESK, ["http://127.0.0.1:9"], seed=5, rate=200, planted=Planted(0, 0, 0))
    load.start()
    assert wait_for(lambda: len(load.record.sendings) > 5, 60)
    load.stop(patience=0.1)
    assert load.record.accepted == 0
    assert set(load.record.statuses) <= {0}


def _planted(record: Record) -> int:
    return sum(one.message.poison is not None for one in record.sendings)


def _chats_are_in_order(record: Record) -> None:
    """In most chats a message is sent only after the answer to the one before it, and in some before that."""
    by_chat: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for one in sorted(record.sendings, key=lambda one: int(one.message.external_id[2:])):
        if not one.message.raw:
            by_chat[one.message.chat].append((one.first_sent, one.answered or 0.0))
    talks = [chat for chat in by_chat.values() if len(chat) > 1]
    orderly = [all(answered <= sent for (_, answered), (sent, _) in pairwise(chat)) for chat in talks]
    assert 0.6 < sum(orderly) / len(orderly) < 1


def test_what_cannot_be_read_is_sent_as_it_is_kept() -> None:
    """The bytes by which the verdict knows it again: the whole body where it is no JSON, else the slice."""
    chats = Conversations(1, KEYS).planted(Planted(raises=0, kills=0, unreadable=2))
    for (message,) in (chat.messages for chat in chats):
        written, content = body_of([message])
        if message.body:
            assert json.loads(message.raw) == {"delivery": f"{written}#0", "message": json.loads(content)}
        else:
            assert content == message.raw

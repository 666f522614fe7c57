"""Delivery: from the outbox to a channel's API, in the order of each chat, again and again with the same key."""

import json
import ssl
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from config.topology import Step
from crm_store import chats, dialogs, outbox
from crm_store.chats import OutboundEntry
from crm_store.database import Session
from tests.pipeline import BOX, Desk, RecordingHints, text_message
from tests.webhooks import SECRET
from worker.delivery import Delivery
from worker.senders import SENDABLE_KINDS, SENDERS

pytestmark = pytest.mark.integration


@dataclass
class Receiver:
    """The API of a custom channel. answers: status and headers of the next calls; afterwards 200."""

    url: str = ""
    calls: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)
    drips_at: str = ""
    entered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def texts(self) -> list[str]:
        return [json.loads(body)["text"] for _, body in self.calls]

    def keys(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.calls]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A local HTTP server."""
    state = Receiver()
    state.go_on.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            state.calls.append(({name.lower(): value for name, value in self.headers.items()}, body))
            status, headers = state.answers.pop(0) if state.answers else (200, {})
            if state.drips_at and json.loads(body)["text"] == state.drips_at:
                self._drip()
                return
            state.entered.release()
            state.go_on.wait(30)
            try:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()
            except OSError:
                pass  # the caller has given up

        def _drip(self) -> None:
            """A head that never ends, until the caller has hung up."""
            never = threading.Event()
            self.close_connection = True
            try:
                self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                for _ in range(1000):
                    self.wfile.write(b"x-more: 1\r\n")
                    never.wait(0.05)
            except OSError:
                pass

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/callback"
    yield state
    state.go_on.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def desk(database_url, receiver) -> Iterator[Desk]:
    """A custom channel that calls the receiver, and a Telegram channel, over which we cannot send yet."""
    with Desk(database_url) as made:
        made.open_channel("desk", ["custom", "telegram"], config={"callback_url": receiver.url})
        yield made


@pytest.fixture
def delivery(desk) -> Iterator[Delivery]:
    """A worker's delivery that gives a call little time."""
    with _delivery(desk) as made:
        yield made


class _delivery:  # noqa: N801  reads as a function
    def __init__(self, desk: Desk, **options: float) -> None:
        self._session = Session(desk.options)
        self.hints = RecordingHints()
        self._delivery = Delivery(self._session, BOX, self.hints, **{"timeout": 5.0, **options})

    def __enter__(self) -> Delivery:
        return self._delivery

    def __exit__(self, *_: object) -> None:
        self._session.close()


def write(desk: Desk, chat: int, *texts: str, key: str = "custom") -> None:
    """The customer writes, and these answers are queued for him."""
    desk.run_through(text_message(key, chat, "hello"))
    chat_id, dialog_id = desk.rows(
        "SELECT chats.id, dialogs.id FROM chats JOIN dialogs ON chat_id = chats.id "
        "WHERE external_id = %s AND status <> 'closed'",
        str(chat),
    )[0]
    with desk.session.transaction() as connection:
        first = chats.take_seqs(connection, {chat_id: len(texts)})[chat_id]
        entries = [OutboundEntry(chat_id, first + n, text, dialog_id) for n, text in enumerate(texts)]
        chats.append_outbound(connection, entries)
        outbox.insert(connection, entries, SENDABLE_KINDS)


def states(desk: Desk) -> list[tuple[str, int, str]]:
    return desk.rows("SELECT state, attempts, error FROM outbox ORDER BY chat_id, seq")


def run_until_done(desk: Desk, delivery: Delivery) -> None:
    for _ in range(50):
        if desk.value("SELECT count(*) FROM outbox WHERE state = 'pending'") == 0:
            return
        delivery.run()
        desk.make_due()
    raise AssertionError("it does not come to an end")


def test_a_message_is_a_signed_post_that_others_can_verify(desk, delivery, receiver):
    """Custom channel: Standard Webhooks, checked with that project's own package; the address is the raw chat."""
    write(desk, 7, "good evening \u263a")
    delivery.run()
    ((headers, body),) = receiver.calls
    verified = Webhook(SECRET).verify(body, headers)
    assert (verified["type"], verified["chat_id"], verified["text"]) == ("message", "7", "good evening \u263a")
    assert verified["id"] == headers["webhook-id"] == str(desk.value("SELECT idempotency_key FROM outbox"))
    assert headers["content-type"] == "application/json"
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body.replace(b"evening", b"morning"), headers)
    assert states(desk) == [("sent", 1, "")]
    assert desk.value("SELECT sent_at IS NOT NULL FROM outbox")


def test_nothing_due_calls_nobody(desk, delivery, receiver):
    """A hint may be late or doubled."""
    write(desk, 1, "once")
    delivery.run()
    delivery.run()
    delivery.run([1, 2], 3)
    assert receiver.texts() == ["once"]


def test_certificates_are_read_once(desk, delivery, receiver, monkeypatch):
    """Not in each round: that would cost more than all the rest of it."""
    read = []
    make = ssl.create_default_context

    def noted(*given, **named):
        read.append(given)
        return make(*given, **named)

    monkeypatch.setattr(ssl, "create_default_context", noted)
    write(desk, 1, "a", "b")
    run_until_done(desk, delivery)
    assert receiver.texts() == ["a", "b"], "two rounds: one message of a chat at a time"
    assert read == []
    with _delivery(desk):
        assert read != [], "it is seen when they are read"


def test_each_chat_has_its_order(desk, delivery, receiver):
    """S5: one after the other within a chat, chats side by side; also while the first is being retried."""
    write(desk, 1, "1a", "1b", "1c")
    write(desk, 2, "2a", "2b")
    receiver.answers = [(500, {}), (200, {})]
    run_until_done(desk, delivery)
    assert [text for text in dict.fromkeys(receiver.texts()) if text.startswith("1")] == ["1a", "1b", "1c"]
    assert [text for text in dict.fromkeys(receiver.texts()) if text.startswith("2")] == ["2a", "2b"]
    assert len(receiver.texts()) == 6, "one was tried twice"
    assert {state for state, _, _ in states(desk)} == {"sent"}


@pytest.mark.parametrize("status", [500, 502, 503, 408, 409, 425, 429])
def test_what_may_succeed_later_is_tried_again_with_the_same_key(desk, delivery, receiver, status):
    """Retries as columns, with backoff; the idempotency key is the same at each try, the signature is fresh."""
    write(desk, 1, "once")
    receiver.answers = [(status, {})] * 2
    delivery.run()
    assert states(desk) == [("pending", 1, f"HTTP {status}")]
    assert desk.value("SELECT due_at > now() + interval '1 second' FROM outbox")
    delivery.run()
    assert len(receiver.calls) == 1, "not before its time"
    run_until_done(desk, delivery)
    assert states(desk) == [("sent", 3, "")]
    assert len(set(receiver.keys())) == 1
    for headers, body in receiver.calls:
        Webhook(SECRET).verify(body, headers)


def test_retry_after_is_honoured(desk, delivery, receiver):
    """The API says when it wants to be called again, within reason."""
    write(desk, 1, "a")
    write(desk, 2, "b")
    write(desk, 3, "c")
    receiver.answers = [
        (429, {"retry-after": "100"}),
        (503, {"retry-after": "1000000"}),
        (503, {"retry-after": "soon"}),
    ]
    delivery.run()
    waits = sorted(w for (w,) in desk.rows("SELECT extract(epoch FROM due_at - now())::float8 FROM outbox"))
    assert waits[0] < 5
    assert 90 < waits[1] <= 100
    assert 290 < waits[2] <= 300


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422, 301])
def test_what_is_refused_is_not_tried_again(desk, delivery, receiver, status):
    """4xx, and a redirection: failed, with what was said; the next of the chat goes on."""
    write(desk, 1, "refused", "next")
    receiver.answers = [(status, {"location": receiver.url})]
    run_until_done(desk, delivery)
    assert states(desk) == [("failed", 1, f"HTTP {status}"), ("sent", 1, "")]


def test_no_answer_in_time_is_tried_again(desk, receiver):
    """A time-out: the message may have arrived, the key says so to the receiver."""
    write(desk, 1, "once")
    receiver.go_on.clear()
    with _delivery(desk, timeout=0.2) as delivery:
        delivery.run()
        assert states(desk) == [("pending", 1, "timeout")]
        receiver.go_on.set()
        run_until_done(desk, delivery)
    assert states(desk) == [("sent", 2, "")]
    assert len(set(receiver.keys())) == 1


def test_a_receiver_that_drips_holds_up_nobody(desk, receiver):
    """A byte now and then keeps no call alive: the whole call has a limit, and the others of the round are sent."""
    write(desk, 1, "dripped")
    write(desk, 2, "fine")
    receiver.drips_at = "dripped"
    with _delivery(desk, timeout=0.5) as delivery:
        delivery.run()
    assert states(desk) == [("pending", 1, "timeout"), ("sent", 1, "")]


def test_nobody_listens(desk, delivery):
    """No connection: tried again; and after `retry_for` it has failed."""
    desk.open_channel("desk", ["custom"], config={"callback_url": "http://127.0.0.1:1/"})
    write(desk, 1, "a")
    delivery.run()
    assert states(desk) == [("pending", 1, "ConnectError")]
    desk.execute("UPDATE outbox SET first_tried_at = now() - interval '1 hour', due_at = now()")
    delivery.run()
    assert states(desk) == [("failed", 2, "ConnectError")]


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ({}, "the channel has no callback_url in its config"),
        ({"callback_url": 5}, "the channel has no callback_url in its config"),
        ({"callback_url": "http://host:port/"}, "the channel's callback_url is not a URL"),
        ({"callback_url": "host/callback"}, "the channel's callback_url is not a URL"),
        ({"callback_url": "ftp://host/callback"}, "the channel's callback_url is not a URL"),
    ],
)
def test_a_channel_without_an_address_fails_at_once(desk, delivery, config, error):
    """It says what is missing."""
    desk.open_channel("desk", ["custom"], config=config)
    write(desk, 1, "a")
    delivery.run()
    assert states(desk) == [("failed", 1, error)]


def test_a_lost_lease_changes_nothing(desk, receiver):
    """A slow worker whose lease ran out: another has sent it since, and the late result is not written."""
    write(desk, 1, "once")
    receiver.go_on.clear()
    receiver.answers = [(404, {}), (200, {})]
    with _delivery(desk) as slow, _delivery(desk) as quick, ThreadPoolExecutor(2) as pool:
        first = pool.submit(slow.run)
        assert receiver.entered.acquire(timeout=10)
        quick.run()
        assert len(receiver.calls) == 1, "leased"
        desk.make_due()
        second = pool.submit(quick.run)
        assert receiver.entered.acquire(timeout=10)
        receiver.go_on.set()
        first.result(20)
        second.result(20)
    assert states(desk) == [("sent", 2, "")], "the late refusal is not written"
    assert len(set(receiver.keys())) == 1


def test_a_stale_result_is_not_written(desk):
    """Each of the three results is on condition of the lease, and of the message not being finished."""
    write(desk, 1, "once")
    with desk.session.transaction() as connection:
        (first,) = outbox.lease(connection, 10, 30)
    desk.make_due()
    with desk.session.transaction() as connection:
        (second,) = outbox.lease(connection, 10, 30)
    with desk.session.transaction() as connection:
        outbox.sent(connection, first)
        outbox.retry(connection, first, first.now, "late")
        outbox.failed(connection, first, "late")
    assert states(desk) == [("pending", 2, "")]
    with desk.session.transaction() as connection:
        outbox.sent(connection, second)
        outbox.failed(connection, second, "after it was sent")
    assert states(desk) == [("sent", 2, "")]
    assert first.idempotency_key == second.idempotency_key


def test_a_worker_that_dies_between_lease_and_result_sends_again(desk, delivery, receiver):
    """The lease is committed before the call; when it has run out, the next sends with the same key."""
    write(desk, 1, "once")
    with desk.session.transaction() as connection:
        (lost,) = outbox.lease(connection, 10, 30)
    delivery.run()
    assert receiver.calls == []
    desk.make_due()
    delivery.run()
    assert receiver.keys() == [str(lost.idempotency_key)]


def test_two_workers_never_lease_the_same(desk):
    """SKIP LOCKED: each due message in one lease, and of each chat only the first."""
    for chat in range(12):
        write(desk, chat, "a", "b")

    def lease(_: int) -> Sequence[int]:
        session = Session(desk.options)
        try:
            with session.transaction() as connection:
                return [row.id for row in outbox.lease(connection, 5, 30)]
        finally:
            session.close()

    with ThreadPoolExecutor(4) as pool:
        leased = [row for rows in pool.map(lease, range(4)) for row in rows]
    assert len(leased) == len(set(leased)) == 12
    assert desk.rows("SELECT DISTINCT text FROM outbox JOIN messages USING (chat_id, seq) WHERE attempts > 0") == [
        ("a",)
    ]


def test_other_channels_messages_are_held_and_expire_with_their_dialog(desk, delivery, receiver):
    """Sending over them is not built yet, and the row says so."""
    write(desk, 1, "held", key="telegram")
    write(desk, 2, "sent")
    delivery.run()
    assert receiver.texts() == ["sent"]
    held = ("held", 0, "sending over telegram is not built yet")
    assert states(desk) == [held, ("sent", 1, "")]
    with desk.session.transaction() as connection:
        dialogs.close(connection, [1])
        outbox.expire_held(connection, [1])
    assert states(desk)[0] == ("expired", *held[1:])


def test_a_round_hints_the_next(desk, receiver):
    """More than one round takes: an empty hint for itself; none if nothing was due."""
    write(desk, 1, "a", "b")
    made = _delivery(desk)
    with made as delivery:
        delivery.run()
        assert made.hints.published == [(Step.DELIVER, [], 0)]
        delivery.run()
        made.hints.published.clear()
        delivery.run()
        assert made.hints.published == []


def test_a_defect_of_one_sender_holds_up_nobody(desk, delivery, receiver, monkeypatch):
    """It is logged, that message is tried again, and the others are sent."""
    write(desk, 1, "broken")
    write(desk, 2, "fine")

    def send(client, channel, leased):
        if leased.text == "broken":
            raise ZeroDivisionError
        return SENDERS["custom"](client, channel, leased)

    monkeypatch.setattr("worker.delivery.SENDERS", {"custom": send})
    delivery.run()
    assert states(desk) == [("pending", 1, "ZeroDivisionError"), ("sent", 1, "")]


def test_postgresql_away_is_waited_for(desk, receiver):
    """No error comes out, and nothing is sent twice without need."""
    write(desk, 1, "once")
    made = _delivery(desk)
    with made as delivery:
        options = made._session._options
        made._session._options = desk.options.__class__("postgresql://nobody@127.0.0.1:1/none", "test")
        delivery.run()
        assert receiver.calls == []
        made._session._options = options
        delivery.run()
    assert receiver.texts() == ["once"]

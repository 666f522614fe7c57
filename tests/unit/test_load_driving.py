"""The sender, and the reader of what the desk has done, against servers that the test plays."""

import asyncio
import math
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx
import pytest

from ingest.adapters.base import WebhookRequest
from ingest.adapters.registry import adapter_for
from loadgen.driving.api import DeskApi, LoadError, Mark
from loadgen.driving.sender import Sender
from loadgen.streams.desk import desk_of
from loadgen.streams.making import make_stream
from loadgen.streams.stream import Stream
from tests.processes import wait_for

pytestmark = pytest.mark.unit

DESK = desk_of(1)
WHOLE = make_stream(2, "steady", 120, 1)
STREAM = Stream(WHOLE.header, [request for request in WHOLE.requests if request.at < 1])
"""Without the repeats and edits that come when all else is over."""


class Provider:
    """A web server that notes what it is sent. status: what it answers, by the count of what came; None: nothing."""

    def __init__(self, status: Sequence[int | None]) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self._status = status

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.strip().split("\r\n")
                headers = dict(line.split(": ", 1) for line in lines)
                body = await reader.readexactly(int(headers["content-length"]))
                self.requests.append((first.split(" ")[1], headers, body))
                status = self._status[min(len(self.requests), len(self._status)) - 1]
                if status is not None:
                    writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n".encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@contextmanager
def serving(provider: Provider) -> Iterator[str]:
    """Its URL."""
    loop, listening = asyncio.new_event_loop(), socket.create_server(("127.0.0.1", 0))
    server = loop.run_until_complete(asyncio.start_server(provider.serve, sock=listening))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


def test_the_model_is_open() -> None:
    """Messages go out at their planned times though nobody answers; what is never answered has no answer's time."""
    provider = Provider([None])
    with serving(provider) as url:
        sender = Sender(url, STREAM, DESK, 1.0)
        sender.start()
        assert wait_for(lambda: len(provider.requests) == len(STREAM.requests))
        waited_for = not sender.done
        sender.end()
    assert waited_for
    assert sender.done
    assert sender.failure is None
    assert sender.sent.begun == len(STREAM.requests)
    for at, request in zip(sender.sent.first_sent, STREAM.requests, strict=True):
        assert at >= request.at
    assert all(math.isnan(at) for at in sender.sent.answered)


def test_what_is_sent_is_signed_now_and_sent_until_it_is_taken() -> None:
    """The real adapters prove each try, whatever time has passed since the stream was made; 503 is no answer."""
    provider = Provider([503] * 5 + [200])
    with serving(provider) as url:
        sender = Sender(url, STREAM, DESK, None)
        sender.start()
        assert wait_for(lambda: sender.done)
        sender.end()
    assert sender.sent.answers == {"200": len(STREAM.requests), "503": 5}
    assert sender.sent.tries_again == 5
    assert set(sender.sent.status) == {200}
    keys = {channel.key: channel for channel in DESK.channels}
    for path, headers, body in provider.requests:
        channel = keys[path.removeprefix("/webhooks/")]
        received = WebhookRequest("POST", f"https://x{path}", headers, {}, body, datetime.now(UTC))
        adapter_for(channel.kind).verify(received, channel)


def test_an_empty_stream_ends_at_once() -> None:
    """A low rate for a short time may have no message."""
    provider = Provider([200])
    with serving(provider) as url:
        sender = Sender(url, make_stream(2, "steady", 0.1, 0.01), DESK, 1.0)
        sender.start()
        assert wait_for(lambda: sender.done)
        sender.end()
    assert sender.failure is None
    assert sender.sent.answers.total() == 0


def test_a_faster_replay_is_planned_faster() -> None:
    """Twice the speed is half the time."""
    sender = Sender("http://127.0.0.1:1", STREAM, DESK, 2.0)
    assert sender.due == [request.at / 2 for request in STREAM.requests]


def page(items: list[dict[str, object]], following: str | None = None) -> httpx.Response:
    return httpx.Response(200, json={"items": items, "next": following})


def item(number: int, key: str = "load-custom", chat_id: int | None = 9) -> dict[str, object]:
    return {
        "id": number, "chat_id": chat_id, "channel_key": key, "kind": "text", "external_id": f"m-{number}",
        "stage": "done", "dialog_id": 4, "accepted_at": "2026-01-05T08:00:00Z", "finished_at": "2026-01-05T08:00:01.5Z",
    }  # fmt: skip


def answer(request: httpx.Request) -> httpx.Response:
    """A small desk: items of the test, in a new chat and in an older one, one of another channel, and older ones."""
    assert request.headers["authorization"] == "Bearer the token"
    chat = {"id": 9, "channel_key": "load-custom", "external_id": "c-1", "card_id": 3}
    entry = {
        "chat_id": 9, "seq": 1, "direction": "in", "external_id": "m-8", "text": "Hi", "edited_at": None, "inbox_id": 8,
    }  # fmt: skip
    older = {**entry, "chat_id": 4, "external_id": "m-6", "text": "Back", "inbox_id": 6}
    event = {
        "id": 6, "dialog_id": 4, "open_channel_id": 1, "cause": "D2", "became": "assigned",
        "was_operator_id": None, "operator_id": 2,
    }  # fmt: skip
    desk = {
        "id": 1, "name": "Load desk", "settings": {"distribution": "evenly", "max_dialogs": None},
        "channels": [{"key": "load-custom"}],
        "roster": [{"operator": {"id": 2}, "dismissed": False}, {"operator": {"id": 3}, "dismissed": True}],
    }  # fmt: skip
    match request.url.path:
        case "/api/exports/inbox" if "cursor" not in request.url.params:
            return page([item(8), item(7, "shop-custom", 5)], "more")
        case "/api/exports/inbox":
            return page([item(6, chat_id=4), item(5), item(4)], "never asked for")
        case "/api/exports/chats":
            return page([chat])
        case "/api/exports/messages" if request.url.params["from_chat"] == "4":
            return page([{**older, "inbox_id": 3}, {**older, "direction": "out"}, older, entry], "never asked for")
        case "/api/chats/4":
            return httpx.Response(200, json={**chat, "id": 4, "external_id": "c-0", "dialog": None})
        case "/api/exports/messages":
            assert request.url.params["from_chat"] == "9"
            return page([entry, {**entry, "seq": 2, "direction": "out"}, {**entry, "chat_id": 77}])
        case "/api/exports/events":
            return page([{**event, "id": 7}, event])
        case "/api/open-channels":
            return page([desk, {**desk, "id": 5, "channels": [{"key": "shop-custom"}]}])
        case "/api/ledger":
            return httpx.Response(
                200, json={"accepted": 12, "done": 9, "ignored": 1, "dead": 1, "discarded": 0, "pending": 1}
            )
        case "/metrics":
            return httpx.Response(200, text='# HELP x\nopenchannel_step_lag_seconds{step="bind_chat"} 1.5\nother 3\n')
        case _:
            return httpx.Response(404, text="nothing here")


def test_what_is_read_is_of_the_test_alone() -> None:
    """Since the mark, on the channels of the load desk; what is older is not asked for, page after page.

    A chat of an earlier test that was written into has its new messages, or they would be called lost.
    """
    with DeskApi("http://desk", "the token", httpx.MockTransport(answer)) as api:
        ledger = {"accepted": 10, "done": 8, "ignored": 1, "dead": 1, "discarded": 0, "pending": 0}
        seen = api.seen(DESK, Mark(5, 8, 5, ledger))
        assert api.lags() == {"bind_chat": 1.5}
        assert api.mark().item == 8
    assert [one.id for one in seen.items] == [8, 6]
    assert seen.items[0].finished_at == pytest.approx(seen.items[0].accepted_at + 1.5)
    assert [(one.chat_id, one.text) for one in seen.history] == [(9, "Hi"), (4, "Back")]
    assert {number: one.external_id for number, one in seen.chats.items()} == {9: "c-1", 4: "c-0"}
    assert [one.id for one in seen.events] == [6, 7]
    assert [(one.id, one.roster) for one in seen.open_channels] == [(1, [2])]
    assert seen.ledger == {"accepted": 2, "done": 1, "ignored": 0, "dead": 0, "discarded": 0, "pending": 1}


def test_a_desk_that_answers_otherwise_is_told() -> None:
    """With the address and the answer."""
    with (
        DeskApi("http://desk", "x", httpx.MockTransport(lambda _request: httpx.Response(403, text="no"))) as api,
        pytest.raises(LoadError, match=r"/api/ledger answers 403: no"),
    ):
        api.ledger()

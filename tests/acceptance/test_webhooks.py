"""How the webhook endpoint answers, on a real web process."""

from collections.abc import Iterator

import httpx
import pytest

from tests.acceptance.system import System
from tests.webhooks import SECRET, message

pytestmark = pytest.mark.acceptance


@pytest.fixture
def desk(system: System) -> System:
    """A desk with all five kinds of channels."""
    kinds = ["telegram", "whatsapp", "livechat", "webform", "custom"]
    system.open_channel("desk", kinds, config={"verify_token": "the verify token"})
    return system


def _reason(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["title"]


def test_refusals_have_their_status_and_a_reason(desk: System) -> None:
    """401 bad signature, 404 unknown channel, 405, 413, 415: as problem documents, and nothing is accepted."""
    url = f"{desk.url}/webhooks"
    good = message("telegram", 1, "hello")
    json_type = {"content-type": "application/json"}
    signed = dict(good.headers)

    assert _reason(httpx.post(f"{url}/nowhere", content=good.body, headers=signed)) == (404, "unknown_channel")
    assert _reason(httpx.post(f"{url}/telegram", content=good.body, headers=json_type)) == (401, "bad_signature")
    wrong = {**json_type, "x-telegram-bot-api-secret-token": "wrong"}
    assert _reason(httpx.post(f"{url}/telegram", content=good.body, headers=wrong)) == (401, "bad_signature")
    latin = [(b"content-type", b"application/json"), (b"x-telegram-bot-api-secret-token", "grüße".encode("latin-1"))]
    assert _reason(httpx.post(f"{url}/telegram", content=good.body, headers=latin)) == (401, "bad_signature")
    plain = {**signed, "content-type": "text/plain"}
    assert _reason(httpx.post(f"{url}/telegram", content=good.body, headers=plain)) == (415, "content_type")
    zipped = {**signed, "content-encoding": "gzip"}
    assert _reason(httpx.post(f"{url}/telegram", content=good.body, headers=zipped)) == (415, "content_encoding")
    large = b"[" + b" " * (4 * 1024 * 1024)
    assert _reason(httpx.post(f"{url}/telegram", content=large, headers=signed)) == (413, "too_large")

    def chunks() -> Iterator[bytes]:
        for _ in range(6):
            yield b" " * 1024 * 1024

    assert _reason(httpx.post(f"{url}/telegram", content=chunks(), headers=signed)) == (413, "too_large")
    assert _reason(httpx.get(f"{url}/telegram")) == (405, "method")
    assert desk.ledger().accepted == 0


def test_a_handshake_is_answered_only_with_the_verify_token(desk: System) -> None:
    """WhatsApp: `hub.challenge` comes back as it is."""
    query = {"hub.mode": "subscribe", "hub.challenge": "12345", "hub.verify_token": "the verify token"}
    answer = httpx.get(f"{desk.url}/webhooks/whatsapp", params=query)
    assert (answer.status_code, answer.text) == (200, "12345")
    query["hub.verify_token"] = "another"
    assert httpx.get(f"{desk.url}/webhooks/whatsapp", params=query).status_code == 401


def test_what_verifies_and_cannot_be_read_is_kept_raw(desk: System) -> None:
    """Deep nesting, no JSON, a broken event: 2xx, one dead letter each, the bytes kept; a second delivery is known."""
    headers = {"content-type": "application/json", "x-telegram-bot-api-secret-token": SECRET}
    bodies = [b"[" * 100_000, b"no json", b'{"update_id": 1, "message": {"chat": 5}}', b'"\\ud800"', b"\xff\xfe"]
    for body in [*bodies, *bodies]:
        answer = httpx.post(f"{desk.url}/webhooks/telegram", content=body, headers=headers)
        assert answer.status_code == 200, body[:50]
    ledger = desk.drained()
    assert ledger.accepted == len(bodies)
    assert ledger.dead + ledger.ignored == len(bodies)
    assert ledger.dead >= 4
    assert desk.value("SELECT count(*) FROM inbox WHERE raw = %s", b"no json") == 1
    assert {reason for (reason,) in desk.rows("SELECT reason FROM dead_letters")} == {"unparsable"}


def test_groups_and_statuses_make_nobody(desk: System) -> None:
    """C5: they are accepted, kept and ignored; no card, no chat, no dialog."""
    headers = {"content-type": "application/json", "x-telegram-bot-api-secret-token": SECRET}
    written = {"message_id": 1, "date": 1760000000, "text": "hi all", "from": {"id": 3, "first_name": "X"}}
    group = {"update_id": 9, "message": {**written, "chat": {"id": -5, "type": "group", "title": "G"}}}
    assert httpx.post(f"{desk.url}/webhooks/telegram", json=group, headers=headers).status_code == 200
    ledger = desk.drained()
    assert (ledger.accepted, ledger.ignored) == (1, 1)
    for table in ("chats", "cards", "dialogs"):
        assert desk.value(f"SELECT count(*) FROM {table}") == 0


def test_an_edit_changes_the_history_and_makes_nothing(desk: System) -> None:
    """C5: edits change what is there, in the chat's order."""
    desk.post(message("telegram", 3, "frist", number=41))
    desk.drained()
    headers = {"content-type": "application/json", "x-telegram-bot-api-secret-token": SECRET}
    edit = {
        "update_id": 42,
        "edited_message": {
            "message_id": 41,
            "date": 1760000000,
            "edit_date": 1760000009,
            "chat": {"id": 3, "type": "private"},
            "from": {"id": 3, "first_name": "Ann"},
            "text": "first",
        },
    }
    httpx.post(f"{desk.url}/webhooks/telegram", json=edit, headers=headers)
    assert desk.drained().done == 2
    assert desk.rows("SELECT text, edited_at IS NOT NULL FROM messages") == [("first", True)]
    assert desk.value("SELECT count(*) FROM dialogs") == 1

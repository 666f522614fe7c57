"""The receiver of answers in the proof by chaos: what it does in each mode, and what it remembers."""

import json
import time

import httpx
import pytest

from chaos.channel_api import ChannelApi, Mode
from chaos.desk import SECRET
from loadgen.wire import standard_signature

pytestmark = pytest.mark.unit


def _deliver(api: ChannelApi, message_id: str, text: str, secret: str = SECRET, seconds: float = 30) -> int:
    body, now = json.dumps({"chat_id": "c-1", "text": text}).encode(), int(time.time())
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(now),
        "webhook-signature": standard_signature(secret, message_id, now, body),
    }
    try:
        return httpx.post(api.url, content=body, headers=headers, timeout=seconds, trust_env=False).status_code
    except httpx.HTTPError:
        return 0


def test_each_delivery_is_remembered_by_its_id() -> None:
    """How often it came and was accepted, its place, and whether it came again with another body."""
    with ChannelApi() as api:
        assert [_deliver(api, "a", "hello"), _deliver(api, "b", "hi"), _deliver(api, "a", "hello")] == [200] * 3
        first, second = api.arrivals["a"], api.arrivals["b"]
        assert (first.place, first.times, first.accepted, first.changed) == (0, 2, 2, False)
        assert (second.place, second.text, second.chat) == (1, "hi", "c-1")
        _deliver(api, "a", "hello!")
        assert first.changed


def test_a_forged_delivery_is_refused_and_counted() -> None:
    """What is not signed with the channel's secret is no arrival."""
    with ChannelApi() as api:
        assert _deliver(api, "a", "hello", secret="whsec_AAAA") == 401
        assert (api.unproved, api.arrivals) == (1, {})


def test_the_modes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails, is slow, or takes a delivery without a word; only what was answered 2xx counts as accepted."""
    monkeypatch.setattr("chaos.channel_api.SLOW_SECONDS", 0.01)
    monkeypatch.setattr("chaos.channel_api.SILENT_SECONDS", 0.01)
    with ChannelApi() as api:
        api.mode = Mode.FAILING
        assert _deliver(api, "a", "hello") == 500
        api.mode = Mode.SILENT
        assert _deliver(api, "a", "hello") == 0
        assert (api.arrivals["a"].times, api.arrivals["a"].accepted) == (2, 0)
        api.mode = Mode.SLOW
        assert _deliver(api, "a", "hello") == 200
        assert (api.arrivals["a"].times, api.arrivals["a"].accepted, api.failed, api.silent) == (3, 1, 1, 1)

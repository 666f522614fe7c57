"""A new version comes: every process is stopped by SIGTERM and started again, one after the other, under load."""

import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial

import httpx
import pytest

from runtime.ports import free_port
from tests.acceptance.system import System, wait_until
from tests.webhooks import Webhook, message

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]

CHATS = 4


@dataclass
class Provider:
    """Sends the messages of some chats, each until it is 2xx, to whichever web process answers (a balancer's work)."""

    urls: list[str]
    over: threading.Event
    answers: Counter[int] = field(default_factory=Counter)
    accepted: list[int] = field(default_factory=lambda: [0] * CHATS)

    def send(self, chat: int) -> None:
        """One message of a chat after the other, until it is over."""
        turn = chat
        with httpx.Client(timeout=20) as client:
            while not self.over.is_set():
                webhook = message("telegram", 1 + chat, "hello")
                while self._post(client, self.urls[turn % len(self.urls)], webhook) != 200:
                    turn += 1
                    time.sleep(0.02)
                self.accepted[chat] += 1
                time.sleep(0.01)

    def has_sent(self, n: int) -> bool:
        """Whether so many messages were answered 2xx."""
        return sum(self.accepted) >= n

    def _post(self, client: httpx.Client, url: str, webhook: Webhook) -> int:
        try:
            response = client.post(f"{url}/webhooks/{webhook.key}", content=webhook.body, headers=dict(webhook.headers))
        except httpx.HTTPError:
            return 0  # no answer: it is not there
        self.answers[response.status_code] += 1
        return response.status_code


def test_a_rolling_restart_answers_nothing_but_2xx_and_503(system: System) -> None:
    """All webs, workers and the clock: each ends by itself, exit code 0; what was 2xx is done, once."""
    system.open_channel("desk", ["telegram"])
    ports = {"web": system.port, "web-2": free_port()}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    system.start("web-2", port=ports["web-2"])
    wait_until(lambda: answers(urls["web-2"]), "the second web process answers")
    provider = Provider(list(urls.values()), threading.Event())
    senders = [threading.Thread(target=provider.send, args=(chat,)) for chat in range(CHATS)]
    for sender in senders:
        sender.start()
    try:
        for name in ("web", "worker-0", "web-2", "worker-1", "clock"):
            before = sum(provider.accepted)
            system.kill(name, signal.SIGTERM)
            assert system.process(name).returncode == 0, system.log(name)[-2000:]
            system.start(name, port=ports.get(name))
            if name in urls:
                wait_until(partial(answers, urls[name]), f"{name} answers again")
            wait_until(partial(provider.has_sent, before + 20), "the load goes on")
    finally:
        provider.over.set()
        for sender in senders:
            sender.join()
    assert provider.answers.keys() <= {200, 503}
    sent = sum(provider.accepted)
    ledger = system.drained()
    assert (ledger.accepted, ledger.done) == (sent, sent)
    assert system.value("SELECT count(*) FROM messages WHERE direction = 'in'") == sent


def answers(url: str) -> bool:
    """Whether a web process is there."""
    try:
        return httpx.get(f"{url}/healthz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False

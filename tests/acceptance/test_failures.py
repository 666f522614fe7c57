"""What is killed, stopped and wiped: nothing is lost, nothing takes effect twice."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runtime.output import LogFiles
from runtime.postgres import EmbeddedPostgres
from runtime.supervisor import Supervisor
from runtime.valkey import EmbeddedValkey
from tests.acceptance.numbered import each_effect_once_and_in_order, numbered
from tests.acceptance.poisoned_worker import POISON
from tests.acceptance.system import System, wait_until
from tests.plugins.servers import empty_broker
from tests.webhooks import Webhook, message

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]


def test_kills_and_flushes_in_mid_stream_lose_and_double_nothing(
    tmp_path: Path, database_url: str, broker_url: str
) -> None:
    """Workers killed by -9 again and again, Redis wiped: each effect once, the order of each chat kept."""
    chats, per_chat = 150, 12
    with System(tmp_path, database_url, broker_url, workers=2) as system:
        operators = [system.operator(f"operator-{n}") for n in range(3)]
        system.open_channel("desk", ["telegram"], operators, check_availability=False)
        over = threading.Event()
        assassin = threading.Thread(target=_kill_and_flush, args=(system, broker_url, over))
        assassin.start()
        try:
            for n in range(per_chat):  # message n of every chat is answered before any message n+1 is sent
                statuses = system.post_all([numbered(chat, n) for chat in range(chats)], at_once=40)
                assert set(statuses) == {200}
        finally:
            over.set()
            assassin.join()
        ledger = system.drained(120)
        assert (ledger.accepted, ledger.done, ledger.dead) == (chats * per_chat, chats * per_chat, 0)
        each_effect_once_and_in_order(system, chats, per_chat)


def _kill_and_flush(system: System, broker_url: str, over: threading.Event) -> None:
    turn = 0
    while not over.wait(0.8):
        name = f"worker-{turn % 2}"
        system.kill(name)
        if turn % 2:
            empty_broker(broker_url)
        starts = system.log(name).count("worker_started")
        system.start(name)
        # On a slow machine too a worker gets to work before it is killed again.
        while not over.wait(0.1) and system.log(name).count("worker_started") == starts:
            pass
        turn += 1


def test_a_poison_message_is_the_only_dead_letter(tmp_path: Path, database_url: str, broker_url: str) -> None:
    """A message that kills its worker, among 500 good ones: found by halving, counted only when it ran alone."""
    with System(tmp_path, database_url, broker_url, workers=0) as system:
        system.open_channel("desk", ["telegram"])
        webhooks = [message("telegram", 1 + n, "good", name="Ann") for n in range(500)]
        webhooks.insert(250, message("telegram", 9999, POISON, name="Eve"))
        assert set(system.post_all(webhooks, at_once=60)) == {200}
        with _restarted(system, "worker-poisoned", "tests.acceptance.poisoned_worker"):
            ledger = system.drained(150)
        assert (ledger.done, ledger.dead) == (500, 1)
        ((step, reason, attempts, text),) = system.rows(
            "SELECT step, reason, attempts, message ->> 'text' FROM dead_letters JOIN inbox ON inbox.id = inbox_id"
        )
        assert (step, reason, attempts, text) == ("bind_chat", "worker_crashed", 3, POISON)
        assert system.value("SELECT count(*) FROM messages") == 500


@contextmanager
def _restarted(system: System, name: str, module: str) -> Iterator[None]:
    """Keep a process running, as a supervisor would."""
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            process = system.start(name, module)
            while process.poll() is None and not over.wait(0.05):
                pass

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_refused_body_fails_none_of_its_neighbours(system: System) -> None:
    """NUL, lone surrogates, ids beyond all bounds, garbage: in the same commits as good messages."""
    system.open_channel("desk", ["telegram", "custom"])
    good = [message("telegram", 1 + n, "good", name="Ann") for n in range(60)]
    nul = [message("telegram", 500 + n, "a\x00b \ud800 c", name="N\x00l") for n in range(5)]
    oversize = [message("custom", 1, "x", name="x" * 300_000, phone="1" * 100_000) for _ in range(3)]
    too_long = message("telegram", 1, "x")
    garbage = [
        Webhook("telegram", b'{"update_id": 5, "message": ' + body, too_long.headers)
        for body in (b'{"text": 1}}', b'[[[["', b'{"chat": {"id": "' + b"9" * 5000 + b'", "type": "private"}}}')
    ]
    webhooks = [*good, *nul, *oversize, *garbage]
    webhooks.sort(key=lambda webhook: hash(webhook.body))
    assert set(system.post_all(webhooks, at_once=80)) == {200}
    ledger = system.drained()
    assert ledger.done >= 65
    assert ledger.dead >= 1
    assert system.value("SELECT count(*) FROM messages WHERE text = 'good'") == 60
    assert system.value("SELECT count(*) FROM messages WHERE text = %s", "a\ufffdb \ufffd c") == 5
    assert system.value("SELECT count(*) FROM inbox WHERE message IS NULL AND length(raw) > 0") == ledger.dead


@contextmanager
def _own_servers(folder: Path) -> Iterator[tuple[Supervisor, EmbeddedPostgres, EmbeddedValkey]]:
    postgres, valkey = EmbeddedPostgres(folder / "postgres"), EmbeddedValkey(folder / "valkey")
    postgres.prepare()
    valkey.prepare()
    supervisor = Supervisor(LogFiles(folder))
    try:
        supervisor.start(postgres.child())
        supervisor.start(valkey.child())
        yield supervisor, postgres, valkey
    finally:
        supervisor.stop_all()


def test_redis_stopped_is_still_2xx_and_all_is_done_afterwards(tmp_path: Path) -> None:
    """Task messages are hints: without Redis webhooks are accepted, and when it is back everything is done."""
    from crm_store.migrations import migrate

    with _own_servers(tmp_path) as (supervisor, postgres, valkey):
        migrate(postgres.url)
        with System(tmp_path, postgres.url, valkey.url) as system:
            system.open_channel("desk", ["telegram"])
            system.post(message("telegram", 1, "before"))
            system.drained()
            supervisor.stop("valkey")
            statuses = system.post_all([message("telegram", 10 + n, "meanwhile") for n in range(100)], again=False)
            assert set(statuses) == {200}
            assert system.ledger().pending == 100
            supervisor.start(valkey.child())
            assert system.drained(90).done == 101


def test_postgresql_stopped_is_503_and_nothing_half_done(tmp_path: Path) -> None:
    """Never 2xx without a commit; with PostgreSQL back, everything goes on by itself."""
    from crm_store.migrations import migrate

    with _own_servers(tmp_path) as (supervisor, postgres, valkey):
        migrate(postgres.url)
        with System(tmp_path, postgres.url, valkey.url) as system:
            system.open_channel("desk", ["telegram"])
            system.post(message("telegram", 1, "before"))
            system.drained()
            supervisor.stop("postgres")
            response = system.post(message("telegram", 2, "refused"))
            assert response.status_code == 503
            assert int(response.headers["retry-after"]) > 0
            statuses = system.post_all([message("telegram", 10 + n, "refused") for n in range(20)], again=False)
            assert set(statuses) == {503}
            supervisor.start(postgres.child())
            wait_until(lambda: system.post(message("telegram", 3, "after")).status_code == 200, "2xx again", 30)
            ledger = system.drained()
            assert ledger.done == 2
            assert system.rows("SELECT text FROM messages ORDER BY received_at") == [("before",), ("after",)]


def test_a_stopped_worker_stops_nobody_else(tmp_path: Path, database_url: str, broker_url: str) -> None:
    """SIGSTOP of a worker in mid-stream: the others go on, its items are done, and awake again it doubles nothing."""
    with System(tmp_path, database_url, broker_url, workers=2) as system:
        system.open_channel("desk", ["telegram"])
        first = [message("telegram", 1 + n % 100, f"{n}") for n in range(300)]
        second = [message("telegram", 1 + n % 100, f"{n}") for n in range(300, 600)]
        assert set(system.post_all(first)) == {200}
        system.kill("worker-0", signal.SIGSTOP)
        assert set(system.post_all(second)) == {200}
        ledger = system.drained(90)
        system.kill("worker-0", signal.SIGCONT)
        time.sleep(2)
        assert (ledger.done, ledger.dead) == (600, 0)
        assert system.drained() == ledger
        assert system.value("SELECT count(*) FROM messages") == 600

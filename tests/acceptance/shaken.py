"""A round in two halves, made so that each mutation of `chaos.mutations` must do its damage in one of them.

First messages gather while nobody works, and the web process dies just before a commit. Then, on an empty broker,
workers begin with all of it; one stops between its claim and its work until the others have done the rest, or they die
in the middle of binding chats, or poison kills them. Without a mutation nothing of that is to be seen afterwards.
"""

import base64
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import psycopg

from chaos import balance
from chaos.channel_api import ChannelApi
from chaos.conversations import Planted
from chaos.desk import set_up
from chaos.failpoints import fired
from chaos.load import Load
from chaos.poison import KILLS
from chaos.record import Poison, Record
from chaos.table import Entry, Table
from runtime.child import Child
from runtime.output import LogFiles
from runtime.ports import accepts_connections, free_port

SECRET_KEY = base64.urlsafe_b64encode(b"of a round that lasts for seconds").decode()[:43] + "="
BEFORE_COMMIT = "accept/ledger.enter>accept/COMMIT"
IN_BIND_CHAT = "bind_chat/chats.bind>bind_chat/matching.add_facts"
ON_RECEPTION = "receive/popped>receive/request"
AFTER_CLAIM = "distribute/inbox.end_batches_of_worker>distribute/inbox.begin_batch"
BATCH = 4
"""Items of a task: few, so that poison among them is soon alone."""

RATE = 50.0
GATHERED = 50
"""Messages that wait when the workers begin."""

PATIENCE = 90.0
STANDS_STILL = 8.0
"""Seconds in which nothing has moved, although all workers were there: three times what the sweeper takes."""


def gather(folder: Path, database_url: str, broker_url: str, mutation: str = "", *, killers: int = 1) -> Record:
    """Messages come in, some of which kill whoever works on them; the web process dies before its first commit."""
    port = free_port()
    to_die = {"web": {"CHAOS_KILL_BETWEEN": BEFORE_COMMIT}}
    with _processes(folder, database_url, broker_url, {"CHAOS_MUTATION": mutation}, to_die) as table:
        desk = set_up(database_url, SECRET_KEY, "http://127.0.0.1:9/nobody")
        _start(table, "web", {"OPENCHANNEL_WEB__PORT": str(port)})
        _wait(table, lambda: accepts_connections(port), "the web process answers")
        planted = Planted(raises=0, kills=killers, unreadable=1)
        load = Load(desk, [f"http://127.0.0.1:{port}"], seed=5, rate=RATE, planted=planted)
        load.start()
        _wait(table, lambda: _gathered(database_url, killers), "messages have gathered")
        stop = threading.Thread(target=load.stop)
        stop.start()
        _wait(table, lambda: not stop.is_alive(), "all messages are answered")
    return load.record


def work_off(
    folder: Path,
    database_url: str,
    broker_url: str,
    record: Record,
    mutation: str = "",
    first_lives: Mapping[str, Mapping[str, str]] | None = None,
    *,
    poisoned: bool = False,
    batch: int = BATCH,
) -> list[str]:
    """What is wrong when all that has gathered has come to rest.

    first_lives: workers, and what else is in their environments until they die for the first time; one by default. One
    that stops is started before the others. poisoned: the poison acts; else nothing is wrong with it.
    """
    workers = first_lives or {"worker": {}}
    given = {
        "CHAOS_MUTATION": mutation,
        "CHAOS_POISON": str(int(poisoned)),
        "OPENCHANNEL_WORKER__BATCH_LIMIT": str(batch),
    }
    with ChannelApi() as api, _processes(folder, database_url, broker_url, given, workers) as table:
        _point_at(database_url, api.url)
        _start(table, "clock")
        stopped = [name for name, life in workers.items() if "CHAOS_STOP_BETWEEN" in life]
        for name in stopped:
            _start(table, name)
            _wait(table, lambda: fired([folder / "fired"]).total() > 0, "it has stopped")
        for name in workers.keys() - {*stopped}:
            _start(table, name)
        rest = _Rest(table, database_url)
        if stopped:
            _wait(table, lambda: rest.pending <= batch or rest.stands_still(), "the others have done the rest")
            for name in stopped:
                table.go_on(table[name])
            rest = _Rest(table, database_url)  # it may be what the others stood still for
        _wait(table, lambda: not balance.drained(database_url) or rest.stands_still(), "everything has come to rest")
        return balance.problems(database_url, record if poisoned else _innocent(record), api)


@contextmanager
def _processes(
    folder: Path,
    database_url: str,
    broker_url: str,
    given: Mapping[str, str],
    first_lives: Mapping[str, Mapping[str, str]],
) -> Iterator[Table]:
    """A table of processes, which are killed at the end. first_lives: what each is given until it dies."""
    deaths = folder / "fired"
    to_come = dict(first_lives)

    def environment(name: str) -> Mapping[str, str]:
        return {
            "OPENCHANNEL_DATABASE__URL": database_url,
            "OPENCHANNEL_BROKER__URL": broker_url,
            "OPENCHANNEL_SECRET_KEY": SECRET_KEY,
            "OPENCHANNEL_API_TOKEN": "token of a round",
            "OPENCHANNEL_DATABASE__IDLE_IN_TRANSACTION_TIMEOUT": "60",
            "CHAOS_FIRED": str(deaths),
            "CHAOS_TRACE": str(folder / "trace"),
            **given,
            **to_come.pop(name, {}),
        }

    table = Table(LogFiles(folder / "logs"))
    table.dress(environment)
    try:
        yield table
    finally:
        table.end_all()
    asked_for = sum(any(name.endswith("_BETWEEN") for name in life) for life in first_lives.values())
    assert fired([deaths]).total() == asked_for, "somebody has not died or stopped as he should"


def _start(table: Table, name: str, settings: Mapping[str, str] | None = None) -> None:
    kind = name.partition("-")[0]
    table.add(Child(name, [sys.executable, "-m", "chaos.process", kind], env=settings or {}), kind)


def _gathered(database_url: str, killers: int) -> bool:
    with psycopg.connect(database_url) as connection:
        ((messages, found),) = connection.execute(
            "SELECT count(*), count(*) FILTER (WHERE message ->> 'text' LIKE %s) FROM inbox", [f"%{KILLS}%"]
        ).fetchall()
    return bool(messages >= GATHERED and found >= killers)


def _point_at(database_url: str, url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE channels SET config = config || jsonb_build_object('callback_url', %s::text)", [url])


def _innocent(record: Record) -> Record:
    """The same, where the poison that kills is an ordinary message."""
    copy = deepcopy(record)
    for sending in copy.sendings:
        if sending.message.poison is Poison.KILLS:
            sending.message = replace(sending.message, poison=None)
    return copy


class _Rest:
    """Whether anything is done by anybody."""

    def __init__(self, table: Table, database_url: str) -> None:
        self._table = table
        self._database_url = database_url
        self._stands: object = None
        self._since = time.monotonic()

    @property
    def pending(self) -> int:
        with psycopg.connect(self._database_url) as connection:
            ((pending,),) = connection.execute("SELECT count(*) FROM inbox_state WHERE stage < 'done'").fetchall()
        return int(pending)

    def stands_still(self) -> bool:
        """Whether nobody has done anything for so long that nobody ever will."""
        with psycopg.connect(self._database_url) as connection:
            stands = connection.execute("SELECT inbox_id, xmin::text FROM inbox_state ORDER BY 1").fetchall()
        if stands != self._stands or not all(map(self._works, self._table.of_kind("worker"))):
            self._stands, self._since = stands, time.monotonic()
        return time.monotonic() - self._since > STANDS_STILL

    def _works(self, worker: Entry) -> bool:
        return any("worker_started" in line for line in self._table.tail(worker.name))


def _wait(table: Table, condition: Callable[[], bool], what: str) -> None:
    """Look after the processes until the condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"after {PATIENCE:.0f} s still not: {what}"
        table.tick()
        time.sleep(0.05)

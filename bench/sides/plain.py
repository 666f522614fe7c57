"""The naive chain and the loop: the same plain schema, on the same servers as ours."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import psycopg

from bench import desk
from bench.sides.side import Questions, Running, Side, answers
from runtime.child import Child
from runtime.machine import Machine
from runtime.ports import free_port

WORKERS = 2

QUESTIONS = Questions(
    pending="SELECT EXISTS (SELECT FROM inbox WHERE done_at IS NULL)",
    finished="""
        SELECT extract(epoch FROM inbox.done_at)::float8, history.text
        FROM inbox JOIN history ON history.message_id = inbox.id WHERE inbox.done_at IS NOT NULL
    """,
    counts="SELECT count(*), count(done_at), count(*) - count(done_at) FROM inbox",
    history="SELECT chat_id, text FROM history ORDER BY chat_id, id",
    chats="SELECT id, channel, card_id FROM chats",
    cards="SELECT id FROM cards WHERE merged_into IS NULL AND type = 'lead'",
    details="SELECT card_id, kind, key FROM identifiers WHERE kind <> 'messenger'",
    dialogs="SELECT chat_id, operator_id FROM dialogs",
    operators="SELECT id FROM operators",
)

_BY_ARRIVAL = replace(QUESTIONS, history="SELECT chat_id, text FROM history ORDER BY chat_id, message_id")
"""The chain works on two messages of a chat at a time, so its history is shown in the order of arrival."""


def _side(name: str, title: str, workers: Sequence[tuple[str, Sequence[str]]], questions: Questions) -> Side:
    @contextmanager
    def running(folder: Path, seed: int) -> Iterator[Running]:
        with Machine(folder, None, None) as machine:
            _set_up(machine.database_url)
            port = free_port()
            environment = {
                "BENCH_DATABASE_URL": machine.database_url,
                "BENCH_BROKER_URL": machine.broker_url,
                "BENCH_PORT": str(port),
                "BENCH_SEED": str(seed),
            }
            web = [sys.executable, "-m", f"bench.{name}.web"]
            url = f"http://127.0.0.1:{port}"
            machine.supervisor.start(Child("web", web, env=environment, ready=lambda: answers(f"{url}/healthz")))
            for child, command in workers:
                machine.supervisor.start(Child(child, [sys.executable, "-m", *command], env=environment))
            yield Running(name, url, machine.database_url, machine.broker_url, machine.supervisor, questions)

    return Side(name, title, running)


def _set_up(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(files("bench.plain").joinpath("schema.sql").read_bytes())
        connection.execute("INSERT INTO desk VALUES (1)")
        connection.cursor().executemany(
            "INSERT INTO operators (name) VALUES (%s)", [(name,) for name in desk.OPERATORS]
        )


_CELERY = ("celery", "-A", "bench.naive.tasks", "worker", "--concurrency", str(WORKERS))

NAIVE = _side("naive", "naive Celery chain", [("worker", _CELERY)], _BY_ARRIVAL)
LOOP = _side(
    "loop",
    "loop without a queue",
    [(f"worker-{n}", ("bench.loop.worker",)) for n in range(1, WORKERS + 1)],
    QUESTIONS,
)

"""The chain: each step is a task, does its work for one message in a transaction, and publishes the next.

celery -A bench.naive.tasks worker --concurrency 2
"""

import os
from typing import Any

import psycopg
from celery import Celery

from bench.plain import steps
from tracker.identifiers import Identifier

app = Celery("naive", broker=os.environ["BENCH_BROKER_URL"])

_retried: dict[str, Any] = {"autoretry_for": (psycopg.OperationalError,), "retry_backoff": True}
_connections: list[steps.Connection] = []


def _connection() -> steps.Connection:
    """One per child, opened at first use."""
    if not _connections:
        _connections.append(psycopg.connect(os.environ["BENCH_DATABASE_URL"], autocommit=True))
    return _connections[0]


@app.task(**_retried)
def lookup(message_id: int) -> None:
    """Step 1."""
    with _connection().transaction():
        message = steps.read_message(_connection(), message_id)
        identifiers, card = steps.lookup(_connection(), message)
    bind.delay(message_id, [identifier.model_dump(mode="json") for identifier in identifiers], card)


@app.task(**_retried)
def bind(message_id: int, identifiers: list[dict[str, Any]], card: int | None) -> None:
    """Step 2."""
    with _connection().transaction():
        message = steps.read_message(_connection(), message_id)
        found = [Identifier.model_validate(identifier) for identifier in identifiers]
        chat_id, card_id = steps.bind(_connection(), message_id, message, found, card)
    ensure_card.delay(message_id, message.channel, chat_id, card_id)


@app.task(**_retried)
def ensure_card(message_id: int, channel: str, chat_id: int, card_id: int) -> None:
    """Step 3."""
    with _connection().transaction():
        card_id = steps.ensure_card(_connection(), card_id, channel)
    distribute.delay(message_id, chat_id, card_id)


@app.task(**_retried)
def distribute(message_id: int, chat_id: int, card_id: int) -> None:
    """Step 4."""
    with _connection().transaction():
        dialog_id = steps.distribute(_connection(), chat_id, card_id)
    respond.delay(message_id, dialog_id)


@app.task(**_retried)
def respond(message_id: int, dialog_id: int) -> None:
    """Step 5."""
    with _connection().transaction():
        steps.respond(_connection(), message_id, dialog_id)

"""What the database holds when all is drained, read once, in one snapshot."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from crm_store import ledger
from crm_store.database import Connection, DatabaseOptions, Session
from crm_store.ledger import Ledger

Rows = Callable[..., list[tuple[Any, ...]]]
"""All rows of a query with its parameters."""

SHOWN = 5
"""Examples of each problem that are told."""


@dataclass(frozen=True, slots=True)
class Item:
    """What was accepted. external_id: empty where it could not be read; raw: only there."""

    id: int
    channel: str
    external_id: str
    raw: bytes
    stage: str
    reason: str
    chat_id: int | None
    chat_seq: int | None
    dead_letters: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A customer's message in the history of its chat."""

    chat_id: int
    seq: int
    external_id: str
    text: str
    inbox_id: int | None


@dataclass(frozen=True, slots=True)
class ChatSeen:
    """card: the live one, None if it is bound to none."""

    channel: str
    external_id: str
    card: int | None


@dataclass(frozen=True, slots=True)
class Seen:
    """history: by chat, in the order of seq. facts: kinds and keys on each live card."""

    ledger: Ledger
    items: Sequence[Item]
    history: Sequence[Entry]
    chats: Mapping[int, ChatSeen]
    facts: Mapping[int, Collection[tuple[str, str]]]


_ITEMS = """
    SELECT
        state.inbox_id, channels.key, coalesce(inbox.message ->> 'external_id', ''),
        CASE WHEN inbox.message IS NULL THEN inbox.raw ELSE '' END,
        state.stage::text, coalesce(state.reason, ''), state.chat_id, state.chat_seq,
        (SELECT count(*) FROM dead_letters WHERE dead_letters.inbox_id = state.inbox_id)
    FROM inbox_state AS state
    LEFT JOIN inbox ON inbox.id = state.inbox_id
    LEFT JOIN channels ON channels.id = inbox.channel_id
    ORDER BY state.inbox_id
"""

_HISTORY = """
    SELECT chat_id, seq, external_id, text, inbox_id FROM messages WHERE direction = 'in' ORDER BY chat_id, seq
"""

_CHATS = """
    SELECT chats.id, channels.key, chats.external_id, coalesce(cards.live_id, cards.id)
    FROM chats JOIN channels ON channels.id = chats.channel_id LEFT JOIN cards ON cards.id = chats.card_id
"""

_FACTS = """
    SELECT coalesce(cards.live_id, cards.id), array_agg(DISTINCT kind || ' ' || key)
    FROM card_identifiers JOIN cards ON cards.id = card_identifiers.card_id GROUP BY 1
"""


def read(connection: Connection) -> Seen:
    """All of it, in the caller's snapshot."""
    rows = rows_of(connection)
    return Seen(
        ledger=ledger.read(connection),
        items=[Item(*row) for row in rows(_ITEMS)],
        history=[Entry(*row) for row in rows(_HISTORY)],
        chats={chat_id: ChatSeen(*rest) for chat_id, *rest in rows(_CHATS)},
        facts={card: frozenset(tuple(fact.split(" ", 1)) for fact in facts) for card, facts in rows(_FACTS)},
    )


@contextmanager
def snapshot(database_url: str) -> Iterator[Connection]:
    """What a database holds at one moment, whoever goes on changing it. Raises DatabaseAwayError."""
    session = Session(DatabaseOptions(database_url, "chaos verdict", statement_timeout=120.0))
    try:
        with session.transaction() as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield connection
    finally:
        session.close()


def rows_of(connection: Connection) -> Rows:
    """All rows of a query."""
    return lambda query, *parameters: connection.execute(query, parameters or None).fetchall()


def told(what: str, found: Collection[object]) -> Iterator[str]:
    """One sentence for all that have the same problem, if any has."""
    if found:
        examples = ", ".join(str(one) for one in list(found)[:SHOWN])
        more = ", …" if len(found) > SHOWN else ""
        yield f"{what}: {len(found)} ({examples}{more})"

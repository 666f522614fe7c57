"""All that is known of a customer, row by row, for a request of access. Nothing is held in memory as a whole."""

import base64
from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import orjson

from crm_store.customers import Customers, read
from crm_store.database import Connection
from crm_store.queries import Queries

_SQL = Queries("customer_records")

AT_ONCE = 500
"""Rows that are fetched at once."""

ITEMS_AT_ONCE = 20_000
"""Ids of the inbox that one query goes through."""

SECTIONS = (
    "cards",
    "identifiers",
    "remembered_phones",
    "claims",
    "merges",
    "kept_apart",
    "detached",
    "reviews",
    "chats",
    "messages",
    "dialogs",
)
"""Named as their queries; `inbox` is the last."""


def begin(connection: Connection) -> None:
    """First in a transaction: all that is read in it is of one moment."""
    connection.execute(_SQL["snapshot"])
    connection.execute(_SQL["keep_partitions"])


def sections(connection: Connection, live_id: int) -> Iterator[tuple[str, Iterator[str]]]:
    """What is known of one customer: name of the section, and its records as JSON. Take them in their order."""
    who = read(connection, [live_id])
    for name in SECTIONS:
        yield name, _records(connection, name, who)
    yield "inbox", _items(connection, who)


def _records(connection: Connection, name: str, who: Customers) -> Iterator[str]:
    parameters = {"card_ids": list(who.card_ids), "chat_ids": who.chat_ids}
    with closing(connection.cursor(name=f"records_{uuid4().hex}")) as cursor:
        cursor.itersize = AT_ONCE
        cursor.execute(_SQL[name], parameters)
        for (record,) in cursor:
            yield record


def _items(connection: Connection, who: Customers) -> Iterator[str]:
    addresses = sorted({(c.channel_id, text) for c in who.chats for text in (c.external_id, c.customer_id) if text})
    parameters = {
        "chat_ids": who.chat_ids,
        "channel_ids": [channel_id for channel_id, _ in addresses],
        "addresses": [address for _, address in addresses],
    }
    first, last = connection.execute(_SQL["last_item"]).fetchone() or (0, 0)
    for after in range(first - 1, last, ITEMS_AT_ONCE):
        limits = {"after": after, "to": min(last, after + ITEMS_AT_ONCE)}
        for record, raw in connection.execute(_SQL["inbox"], parameters | limits):
            yield orjson.dumps({**orjson.loads(record), "raw": _readable(bytes(raw))}).decode()


def _readable(raw: bytes) -> dict[str, str]:
    """What the provider sent: as text if it is one, otherwise in base64."""
    try:
        return {"text": raw.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode()}

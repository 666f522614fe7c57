"""Acts under a key, which are done once however often they are asked for. Of a key a hash is kept alone."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from crm_store.database import Connection
from crm_store.queries import Queries

_SQL = Queries("idempotency")


@dataclass(frozen=True, slots=True)
class DoneAct:
    """What was done under a key. fingerprint: of what was asked for. ids: of what came of it."""

    fingerprint: bytes
    ids: Mapping[str, int]


def claim(connection: Connection, actor: str, key: str, act: str, fingerprint: bytes) -> DoneAct | None:
    """Take a key for an act that this transaction does; or what was done under it before.

    Waits for an act that is being done under the key: the driver's lock timeout is DatabaseAwayError. A transaction
    that is rolled back gives the key up. First in a transaction, before any other lock.
    """
    parameters = {"actor": actor, "key": _hash(actor, key), "act": act, "fingerprint": fingerprint}
    while connection.execute(_SQL["claim"], parameters).fetchone() is None:
        row = connection.execute(_SQL["done"], parameters).fetchone()
        if row is not None:  # else it was forgotten between the two
            return DoneAct(*row)
    return None


def keep(connection: Connection, actor: str, key: str, ids: Mapping[str, int]) -> None:
    """Note what came of the act for which this transaction took the key."""
    parameters = {"actor": actor, "key": _hash(actor, key), "result": orjson.dumps(dict(ids)).decode()}
    connection.execute(_SQL["keep"], parameters)


def forget(connection: Connection, hours: float, limit: int) -> int:
    """Forget up to `limit` keys that are older; returns how many."""
    return connection.execute(_SQL["forget"], {"hours": hours, "limit": limit}).rowcount


def _hash(actor: str, key: str) -> str:
    """What is kept of a key: the fingerprint is keyed by the key itself, and callers write what they like into it."""
    return hashlib.sha256(f"{actor}\n{key}".encode()).hexdigest()

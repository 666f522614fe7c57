"""The audit: every act of a person on customers' cards. It outlives an erase, and so names no identifier's value."""

from collections.abc import Mapping
from typing import Any

import orjson

from crm_store.database import Connection
from crm_store.queries import Queries

_SQL = Queries("audit")


def enter(connection: Connection, actor: str, act: str, outcome: str, details: Mapping[str, Any]) -> None:
    """Write an act down, as part of the caller's transaction.

    outcome: `done`, or the reason of the refusal. details: ids and counts, never a phone, an e-mail or a text.
    """
    parameters = {"actor": actor, "act": act, "outcome": outcome, "details": orjson.dumps(dict(details)).decode()}
    connection.execute(_SQL["enter"], parameters)

"""Inbox items that go as a whole, with the ledger right before and after."""

from collections.abc import Collection

from crm_store import ledger
from crm_store.database import Connection
from crm_store.inbox import DEAD, DONE, IGNORED
from crm_store.queries import Queries

_SQL = Queries("erasure")

DISCARDED = "discarded"

FINISHED = frozenset({DONE, IGNORED, DEAD, DISCARDED})
"""Stages in which nothing more happens to an item."""


def delete_items(connection: Connection, inbox_ids: Collection[int]) -> dict[str, int]:
    """Delete inbox items with their failures and dead letters, in the caller's transaction; returns them by stage.

    Those that were pending or dead are discarded in the ledger; the others are entered there already.
    """
    rows = connection.execute(_SQL["delete_items"], {"inbox_ids": sorted(inbox_ids)}).fetchall()
    deleted = {"inbox_ids": [inbox_id for inbox_id, _ in rows]}
    for query in ("delete_slices", "delete_failures", "delete_dead_letters"):
        connection.execute(_SQL[query], deleted)
    stages: dict[str, int] = {}
    for _, stage in rows:
        stages[stage] = stages.get(stage, 0) + 1
    dead = stages.get(DEAD, 0)
    pending = sum(n for stage, n in stages.items() if stage not in FINISHED)
    ledger.enter(connection, {DEAD: -dead, DISCARDED: dead + pending})
    return stages

"""Fills a database with a desk's past, by a few statements over sets; seed.sql says with what."""

from collections.abc import Callable

import psycopg

from bench.scale.statements import statements

CHATS_PER_CARD = 6 / 5

STATEMENTS = (
    "plan", "cards", "chats", "identifiers", "locks", "facts", "claims", "dialogs", "messages", "recent", "inbox",
    "states", "keys", "ledger", "sequences", "clean",
)  # fmt: skip
"""In this order, in one transaction: a broken filling leaves nothing."""

Tell = Callable[[str], None]


def fill(database_url: str, before: int, cards: int, tell: Tell) -> int:
    """Add so many cards and their past to a migrated database; returns how many messages its history has then.

    before: cards that an earlier call has added.
    """
    named = statements("seed.sql")
    given = {"first": round(before * CHATS_PER_CARD), "chats": round(cards * CHATS_PER_CARD)}
    with psycopg.connect(database_url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute("SET work_mem = '256MB'")
        with connection.transaction():
            if before == 0:
                connection.execute(named["desk"])
            for name in STATEMENTS:
                tell(name)
                connection.execute(named[name], given)
        # As autovacuum would have left it, and with nothing left to write for the measurement.
        tell("vacuum, analyze, checkpoint")
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")
        row = connection.execute("SELECT count(*) FROM messages").fetchone()
        assert row is not None  # noqa: S101  a count
        return int(row[0])

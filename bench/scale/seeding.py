"""Fills a database with a desk's past, by a few statements over sets; seed.sql says with what."""

import re
from collections.abc import Callable
from importlib.resources import files
from typing import LiteralString, cast

import psycopg

CHATS_PER_CARD = 6 / 5

STATEMENTS = (
    "plan", "cards", "chats", "identifiers", "locks", "facts", "claims", "dialogs", "messages", "recent", "inbox",
    "states", "keys", "ledger", "sequences", "clean",
)  # fmt: skip
"""In this order, in one transaction: a broken filling leaves nothing."""

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)

Tell = Callable[[str], None]


def fill(database_url: str, before: int, cards: int, tell: Tell) -> int:
    """Add so many cards and their past to a migrated database; returns how many messages its history has then.

    before: cards that an earlier call has added.
    """
    statements = _statements()
    given = {"first": round(before * CHATS_PER_CARD), "chats": round(cards * CHATS_PER_CARD)}
    with psycopg.connect(database_url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute("SET work_mem = '256MB'")
        with connection.transaction():
            if before == 0:
                connection.execute(statements["desk"])
            for name in STATEMENTS:
                tell(name)
                connection.execute(statements[name], given)
        # As autovacuum would have left it, and with nothing left to write for the measurement.
        tell("vacuum, analyze, checkpoint")
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")
        row = connection.execute("SELECT count(*) FROM messages").fetchone()
        assert row is not None  # noqa: S101  a count
        return int(row[0])


def _statements() -> dict[str, LiteralString]:
    parts = _NAME.split(files("bench.scale").joinpath("seed.sql").read_text(encoding="utf-8"))
    # The file is part of the package, as literal as if it stood in the code.
    return {name: cast(LiteralString, text.strip()) for name, text in zip(parts[1::2], parts[2::2], strict=True)}

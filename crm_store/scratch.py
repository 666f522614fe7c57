"""A database of its own for a while, on a server that is there: what is done in it touches nobody's data."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from config.topology import Step
from crm_store.database import Connection
from crm_store.errors import StoreError, translated
from crm_store.migrations import migrate
from crm_store.queries import Queries

_SQL = Queries("scratch")

PREFIX = "openchannel_scratch"


class NoScratchDatabaseError(StoreError):
    """The user of the database's URL may not create databases."""

    reason = "no_scratch_database"


class UnfinishedError(StoreError):
    """Items did not come through the steps."""

    reason: ClassVar[str] = "unfinished"


@contextmanager
def scratch_database(url: str) -> Iterator[str]:
    """The URL of a new, migrated database on the server of `url`; dropped at the end, also after an error.

    Raises NoScratchDatabaseError and DatabaseAwayError.
    """
    name = f"{PREFIX}_{os.getpid()}_{secrets.token_hex(4)}"
    try:
        _execute(url, sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        own = urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
        with translated():
            migrate(own)
        yield own
    finally:
        _execute(url, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def cards_of_chats(connection: Connection) -> dict[tuple[str, str], int]:
    """The live card of every chat that is bound, by the channel's key and the chat's external id."""
    rows = connection.execute(_SQL["cards_of_chats"]).fetchall()
    return {(channel, chat): card_id for channel, chat, card_id in rows}


def check_passed(connection: Connection, step: Step) -> None:
    """Raises UnfinishedError, with the latest error, if an item failed in this step or was left there."""
    row = connection.execute(_SQL["left_behind"], {"step": step}).fetchone()
    if row is not None and row[0]:
        raise UnfinishedError(f"{row[0]} messages did not come through {step}: {row[1] or 'they were not taken'}")


def refresh_statistics(connection: Connection) -> None:
    """A database that grows from nothing has none, and its plans would be those of empty tables."""
    connection.execute(_SQL["refresh_statistics"])


def _execute(url: str, command: sql.Composed) -> None:
    with translated():
        try:
            with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
                connection.execute(command)
        except psycopg.errors.InsufficientPrivilege as error:
            raise NoScratchDatabaseError(
                "the user of OPENCHANNEL_DATABASE__URL may not create databases, and this needs one of its own for a "
                "while; allow it (ALTER ROLE ... CREATEDB), or leave the URL away: then a server is started for it"
            ) from error

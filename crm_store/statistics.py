"""The planner's statistics after an erase: they are samples of what the tables held."""

import psycopg

from crm_store.database import Session
from crm_store.errors import DatabaseAwayError
from crm_store.patience import patiently
from crm_store.queries import Queries

_SQL = Queries("statistics")

CLEARS_STATISTICS = 180_000
"""The version of PostgreSQL that can clear the statistics of a table without rows."""


def renew(session: Session) -> bool:
    """Sample the tables that an erase has changed again; a few seconds, however large they are.

    Returns whether it was done: it may lack the time, or this role the right.
    """
    try:
        for query in ("analyze_inbox", "analyze_messages", "analyze_cards"):
            patiently(_run, session, query)
        with session.connection() as connection:
            clears = connection.info.server_version >= CLEARS_STATISTICS
        if clears:
            patiently(_run, session, "clear_of_empty")
    except (DatabaseAwayError, psycopg.errors.InsufficientPrivilege):
        return False
    return True


def _run(session: Session, query: str) -> None:
    with session.connection() as connection:
        connection.execute(_SQL[query])

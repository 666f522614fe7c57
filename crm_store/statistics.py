"""The planner's statistics after an erase: they are samples of what the tables held."""

from crm_store.database import Session
from crm_store.patience import patiently
from crm_store.queries import Queries

_SQL = Queries("statistics")

CLEARS_STATISTICS = 180_000
"""The version of PostgreSQL that can clear the statistics of a table without rows."""


def renew(session: Session) -> None:
    """Sample the tables that an erase has changed again; a few seconds, however large they are.

    Raises DatabaseAwayError.
    """
    for query in ("analyze_inbox", "analyze_messages", "analyze_cards"):
        patiently(_run, session, query)
    with session.connection() as connection:
        clears = connection.info.server_version >= CLEARS_STATISTICS
    if clears:
        patiently(_run, session, "clear_of_empty")


def _run(session: Session, query: str) -> None:
    with session.connection() as connection:
        connection.execute(_SQL[query])

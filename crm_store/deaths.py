"""How often something has died, ever: a letter that is replayed and fails dies again, one that is deleted has died."""

from crm_store.database import Connection
from crm_store.queries import Queries

_SQL = Queries("deaths")


def read(connection: Connection) -> dict[tuple[str, str], int]:
    """Deaths by step and reason."""
    return {(step, reason): count for step, reason, count in connection.execute(_SQL["read"]).fetchall()}


def fold(connection: Connection) -> None:
    """Compact the entries, so that `read` stays cheap."""
    connection.execute(_SQL["fold"])

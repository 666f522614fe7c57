"""The schema: numbered SQL files in `schema/`, applied in order and never changed afterwards."""

from glob import escape
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from yoyo import get_backend, read_migrations

MIGRATION_LOCK = 7_283_649_105
"""Key of the advisory lock that one migrator at a time holds."""

FOLDER = Path(__file__).parent / "schema"


def migrate(url: str) -> list[str]:
    """Apply what is not applied yet, and return its names; safe to run from several processes at once.

    url: `postgresql://...`.
    """
    # A lock of the session: unlike a row, it does not outlive a migrator that was killed.
    with psycopg.connect(url, autocommit=True) as session:
        session.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        backend = get_backend(_driver_url(url))
        try:
            pending = backend.to_apply(read_migrations(escape(str(FOLDER))))
            backend.apply_migrations(pending)
            return [migration.id for migration in pending]
        finally:
            backend.connection.close()


def pending(url: str) -> list[str]:
    """Names of the migrations that are not applied yet."""
    backend = get_backend(_driver_url(url))
    try:
        return [migration.id for migration in backend.to_apply(read_migrations(escape(str(FOLDER))))]
    finally:
        backend.connection.close()


def _driver_url(url: str) -> str:
    return urlunsplit(urlsplit(url)._replace(scheme="postgresql+psycopg"))

"""The schema: numbered SQL files in `schema/`, applied in order and never changed afterwards."""

from glob import escape
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from yoyo import get_backend, read_migrations

FOLDER = Path(__file__).parent / "schema"


def migrate(url: str) -> list[str]:
    """Apply what is not applied yet, and return its names; safe to run from several processes at once.

    url: `postgresql://...`.
    """
    backend = get_backend(_driver_url(url))
    try:
        with backend.lock():
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

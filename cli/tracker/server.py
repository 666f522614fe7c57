"""A PostgreSQL for as long as a command runs."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.output import LogFiles
from runtime.postgres import EmbeddedPostgres
from runtime.supervisor import Supervisor

SETTINGS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "max_connections": "20"}
"""Nothing in it outlives the command."""


@contextmanager
def temporary_server() -> Iterator[str]:
    """The URL of an embedded PostgreSQL in a temporary folder; both are gone at the end.

    Raises RuntimeModeError where no PostgreSQL is installed, and says what to install.
    """
    with tempfile.TemporaryDirectory(prefix="openchannel-", ignore_cleanup_errors=True) as name:
        # PostgreSQL may have to run as another user than ours, who must be able to come here.
        Path(name).chmod(0o711)
        server = EmbeddedPostgres(Path(name) / "postgres", SETTINGS)
        server.prepare()
        supervisor = Supervisor(LogFiles(Path(name) / "logs"))
        try:
            supervisor.start(server.child())
            yield server.url
        finally:
            supervisor.stop_all()

"""A PostgreSQL for as long as a command runs."""

import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

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


@contextmanager
def endable() -> Iterator[None]:
    """While the context lasts, SIGTERM and SIGHUP end the command as an error does: what it made is cleared away."""

    def end(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001  the shape of a signal handler
        sys.exit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

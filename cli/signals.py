"""Signals that end a command."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


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

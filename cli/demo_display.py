"""Where the demo shows its frames: a live table in a terminal, a line now and then elsewhere."""

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.live import Live

from cli.demo_table import Frame, live_table, plain_line

LINE_SECONDS = 3.0


class Display(Protocol):
    """Shows frames."""

    def show(self, frame: Frame) -> None:
        """Show this one now, or not at all if another was shown just before."""
        ...


class _Lines:
    def __init__(self) -> None:
        self._next = 0.0
        self._phase = ""

    def show(self, frame: Frame) -> None:
        """See Display."""
        now = time.monotonic()
        if now >= self._next or frame.phase != self._phase:
            self._next, self._phase = now + LINE_SECONDS, frame.phase
            sys.stdout.write(plain_line(frame) + "\n")
            sys.stdout.flush()


class _LiveTable:
    def __init__(self, live: Live) -> None:
        self._live = live

    def show(self, frame: Frame) -> None:
        """See Display."""
        self._live.update(live_table(frame), refresh=True)


@contextmanager
def display() -> Iterator[Display]:
    """The display for this standard output."""
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        yield _Lines()
        return
    handlers = [one for one in logging.getLogger().handlers if isinstance(one, logging.StreamHandler)]
    streams = [handler.stream for handler in handlers]
    with Live(console=Console(), auto_refresh=False) as live:
        # What is logged meanwhile goes above the table, not through it.
        for handler in handlers:
            handler.setStream(sys.stderr)
        try:
            yield _LiveTable(live)
        finally:
            for handler, stream in zip(handlers, streams, strict=True):
                handler.setStream(stream)

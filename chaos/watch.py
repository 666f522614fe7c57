"""The end of a round, whatever happens: a time limit, signals, and no process left behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

GRACE = 60.0
"""Seconds between the time limit and the end by force: to write down what is known, and to kill what runs."""
EXIT_BY_FORCE = 70


class StoppedError(Exception):
    """The round is to end: by a signal, or because its time is up. The message says why."""


class Watch:
    """Until when a round may run, and whether somebody asked it to end."""

    def __init__(self) -> None:
        self._why = ""

    def ask(self, why: str) -> None:
        """From any thread: the round is to end."""
        self._why = self._why or why

    def check(self) -> None:
        """Call it often. Raises StoppedError."""
        if self._why:
            raise StoppedError(self._why)


@contextmanager
def watched(limit: float, end_all: Callable[[], None]) -> Iterator[Watch]:
    """A watch over what is done inside. Main thread only.

    limit: seconds after which the round is asked to end, and GRACE later is ended by force. end_all: kills all that the
    round has started; called by another thread then.
    """
    watch = Watch()
    over = threading.Event()

    def wait() -> None:
        if not over.wait(limit):
            watch.ask(f"its time is up: {limit:.0f} s")
            if not over.wait(GRACE):
                sys.stderr.write("chaos: it does not come to an end; where it stands:\n")
                for frame in sys._current_frames().values():
                    sys.stderr.write("".join(traceback.format_stack(frame)[-4:]) + "\n")
                end_all()
                os._exit(EXIT_BY_FORCE)

    def on_signal(number: int, _frame: FrameType | None) -> None:
        watch.ask(f"it was stopped by {signal.Signals(number).name}")

    numbers = [signal.SIGINT, signal.SIGTERM]
    # Under nohup SIGHUP is ignored, and that is what the user wants.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, on_signal) for number in numbers}
    thread = threading.Thread(target=wait, name="chaos-watch", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        for number, handler in before.items():
            signal.signal(number, handler)

"""The web process as it is, with the CPU time of its kinds of work counted.

    python -m bench.scale.metered_web FILE

The settings come from the environment, as those of `openchannel web`. SIGUSR1 writes what was counted so far to FILE.
"""

import json
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import ingest.app
from cli.web import web_command

THREADS = {"acceptor": "commit", "publisher": "publish"}
"""Threads of the web process that do one kind of work alone."""


class Meter:
    """Nanoseconds of CPU by kind of work and channel kind, and how many webhooks were verified by channel kind."""

    def __init__(self) -> None:
        self._spent: Counter[str] = Counter()
        self._webhooks: Counter[str] = Counter()

    def attach(self) -> None:
        """Put the meter around functions that the endpoint calls one after the other, in the event loop's thread."""
        app: Any = ingest.app
        app._check_signature = self._metered("verify", app._check_signature)  # noqa: SLF001  measured where it stands
        app.parse = self._metered("parse", app.parse)
        app.kept_headers = self._metered("item", app.kept_headers)
        app.item_of_account = self._metered("item", app.item_of_account)

    def counted(self) -> dict[str, Any]:
        """So far, as JSON. Work of whole threads is not by channel kind: a commit has webhooks of all."""
        threads = {thread.name: thread.ident for thread in threading.enumerate() if thread.ident is not None}
        whole = {kind: _cpu_of(threads[name]) for name, kind in THREADS.items() if name in threads}
        return {
            "webhooks": dict(self._webhooks),
            "by_kind": dict(self._spent),
            "loop": time.thread_time_ns(),
            "process": time.process_time_ns(),
            **whole,
        }

    def _metered(self, work: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def metered(*given: Any) -> Any:
            began = time.thread_time_ns()
            try:
                return function(*given)
            finally:
                kind = getattr(given[0], "kind", "any")  # its adapter; headers are those of any channel
                self._spent[f"{work} {kind}"] += time.thread_time_ns() - began
                if work == "verify":
                    self._webhooks[kind] += 1

        return metered


def _cpu_of(thread: int) -> int:
    return time.clock_gettime_ns(time.pthread_getcpuclockid(thread))


def main() -> None:
    """See the module."""
    file = Path(sys.argv[1])
    meter = Meter()
    meter.attach()

    def write(_number: int, _frame: FrameType | None) -> None:
        unfinished = file.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(meter.counted()))
        unfinished.rename(file)

    signal.signal(signal.SIGUSR1, write)
    web_command()


if __name__ == "__main__":
    main()

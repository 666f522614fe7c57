"""`web`: microseconds of CPU that an accepted webhook costs its web process, by kind of work."""

import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.rounds import RoundError, drive, fresh_folder
from bench.scale.part import Bench, Goal, Outcome, Part
from bench.scale.processes import start_process
from bench.sides.ours import OURS
from bench.sides.side import Running, answers
from bench.stream import make_stream

WORKS = ("http", "verify", "parse", "item", "commit", "publish", "other")
"""http: uvicorn, Starlette, our endpoint's own lines, the event loop. item: what is kept of an event, its key's hash.

commit: group commits as far as they need CPU; waiting for PostgreSQL does not. other: threads that are none of these.
"""

ACCOUNTED = 0.05
"""By which the sum over all kinds of work may differ from what /proc says of the process."""


def per_webhook(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, float]:
    """Microseconds by kind of work, from what was counted at two moments.

    Raises RoundError if no webhook was seen in between: then the endpoint does not call what the meter stands around.
    """
    webhooks = sum(after["webhooks"].values()) - sum(before["webhooks"].values())
    if webhooks == 0:
        raise RoundError("the meter has seen no webhook; see bench/scale/metered_web.py")
    spent = {kind: nanos - before["by_kind"].get(kind, 0) for kind, nanos in after["by_kind"].items()}
    works = {
        work: sum(nanos for kind, nanos in spent.items() if kind.partition(" ")[0] == work)
        for work in ("verify", "parse", "item")
    }
    whole = {name: after[name] - before.get(name, 0) for name in ("loop", "process", "commit", "publish")}
    works |= {"commit": whole["commit"], "publish": whole["publish"], "http": whole["loop"] - sum(works.values())}
    works["other"] = whole["process"] - whole["loop"] - whole["commit"] - whole["publish"]
    return {work: works[work] / webhooks / 1000 for work in WORKS}


def by_channel_kind(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Microseconds of verify, parse and item, by the channel's kind."""
    found: dict[str, dict[str, float]] = {}
    for kind, seen in sorted(after["webhooks"].items()):
        webhooks = seen - before["webhooks"].get(kind, 0)
        if webhooks > 0:
            found[kind] = {
                work: (after["by_kind"].get(key, 0) - before["by_kind"].get(key, 0)) / webhooks / 1000
                for work in ("verify", "parse", "item")
                if (key := f"{work} {kind}")
            }
    return found


def judge(counted: float, from_proc: float) -> Goal:
    """Whether the parts make the whole. Microseconds per webhook, both."""
    apart = abs(counted - from_proc) / from_proc
    return Goal(
        f"the kinds of work make up what /proc says, within {ACCOUNTED:.0%}",
        f"{counted:,.0f} and {from_proc:,.0f} microseconds",
        apart <= ACCOUNTED,
    )


def measure(bench: Bench) -> Outcome:
    """One round into a metered web process; everything else, and the balance at the end, is as ever."""
    stream = make_stream(bench.seed, bench.sized(bench.messages))
    counts: list[dict[str, Any]] = []
    with fresh_folder() as folder, OURS.start(folder, stream.seed) as running:
        file = folder / "metered.json"
        running.supervisor.stop("web")
        module = ["bench.scale.metered_web", str(file)]
        start_process(running, folder, "web", module, lambda: answers(f"{running.url}/healthz"))

        @contextmanager
        def counted() -> Iterator[None]:
            counts.append(_count(running, file))
            yield
            counts.append(_count(running, file))

        made = drive(running, stream, besides=counted)
    works = per_webhook(*counts)
    from_proc = 1e6 * made.cpu["web"] / len(stream.requests)
    kinds = by_channel_kind(*counts)
    for name, spent in (("all", works), *kinds.items()):
        bench.tell(f"  {name}: " + ", ".join(f"{work} {microseconds:.1f}" for work, microseconds in spent.items()))
    figures = {
        "microseconds_per_webhook": {work: round(spent, 1) for work, spent in works.items()},
        "by_channel_kind": {
            kind: {work: round(spent, 1) for work, spent in of_kind.items()} for kind, of_kind in kinds.items()
        },
        "from_proc": round(from_proc, 1),
        "messages_per_second": round(made.rate, 1),
    }
    return Outcome(figures, [judge(sum(works.values()), from_proc)])


def _count(running: Running, file: Path) -> dict[str, Any]:
    """What the metered process has counted so far."""
    file.unlink(missing_ok=True)
    for status in running.supervisor.status():
        if status.name == "web" and status.pid is not None:
            os.kill(status.pid, signal.SIGUSR1)
    deadline = time.monotonic() + 5
    while not file.exists():
        if time.monotonic() > deadline:
            raise RoundError("the metered web process does not say what it has counted")
        time.sleep(0.01)
    counted: dict[str, Any] = json.loads(file.read_text())
    return counted


PART = Part("web", "CPU of an accepted webhook by kind of work", measure)

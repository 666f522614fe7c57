"""`costs`: what 1,000 messages cost each server besides CPU: WAL, commits, commands, bytes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from bench.driver import request_sizes
from bench.rounds import drive, fresh_folder, wait_until_done
from bench.scale.part import Bench, Outcome, Part
from bench.sides.ours import OURS
from bench.sides.side import Running
from bench.stream import make_stream

FLUSHED_WITHIN = 11.0
"""Seconds after which PostgreSQL's idle sessions have reported what they did."""

_NET = Path("/proc/net/dev")


def per_thousand(before: Mapping[str, float], after: Mapping[str, float], messages: int) -> dict[str, float]:
    """The difference of two counts, per 1,000 messages."""
    return {name: round(1000 * (after[name] - before[name]) / messages, 3) for name in after}


def measure(bench: Bench) -> Outcome:
    """One round; the servers' own counters before it and after the last message is done."""
    stream = make_stream(bench.seed, bench.sized(bench.messages))
    counts: list[dict[str, float]] = []
    with fresh_folder() as folder, OURS.start(folder, stream.seed) as running:

        @contextmanager
        def counted() -> Iterator[None]:
            counts.append(_count(running))
            yield
            wait_until_done(running)
            loopback = _loopback()
            running.wait(FLUSHED_WITHIN)
            counts.append({**_count(running), **loopback})

        made = drive(running, stream, besides=counted)
    spent = per_thousand(counts[0], counts[1], len(stream.messages))
    spent["webhook_bytes"] = round(1000 * sum(request_sizes(stream)) / len(stream.messages), 1)
    for name, value in spent.items():
        bench.tell(f"  {name}: {value:,.1f}")
    cpu = {kind: round(seconds, 4) for kind, seconds in made.cpu_per_thousand.items() if kind != "driver"}
    figures: dict[str, Any] = {
        "per_1000_messages": {**spent, "cpu_seconds": cpu},
        "messages_per_second": round(made.rate, 1),
    }
    return Outcome(figures)


def _count(running: Running) -> dict[str, float]:
    ((wal, commits),) = running.rows("""
        SELECT pg_current_wal_insert_lsn() - '0/0', xact_commit FROM pg_stat_database WHERE datname = current_database()
    """)
    with redis.Redis.from_url(running.broker_url or "") as client:
        stats = client.info("stats")
    return {
        "wal_bytes": float(wal),
        "commits": float(commits),
        "broker_commands": float(stats["total_commands_processed"]),
        "broker_bytes_in": float(stats["total_net_input_bytes"]),
        "broker_bytes_out": float(stats["total_net_output_bytes"]),
        **_loopback(),
    }


def _loopback() -> dict[str, float]:
    """Bytes over the loopback device so far: everything that the processes tell each other, and other programs'."""
    if not _NET.exists():
        return {"loopback_bytes": 0.0}
    lines = (line.split() for line in _NET.read_text().splitlines())
    return {"loopback_bytes": float(next((line[1] for line in lines if line and line[0] == "lo:"), 0))}


PART = Part("costs", "what 1,000 messages cost each server", measure)

"""How many machines so many messages per second need, from what they were measured to cost.

    python -m bench.scale.arithmetic [--rate 10000 --rate 100000] [--cores 16] [--busy 0.6]

Reads bench/results.json (CPU by kind of process) and, where it is there, bench/scale.json (WAL, commits, bytes). It is
arithmetic: costs per message are taken to stay what they are, and nobody has measured the result.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from bench.scale.report import JSON_FILE

RATES = (10_000, 100_000)
ONE_THREAD = frozenset({"valkey"})
"""Kinds whose work one thread does: more cores do not help them."""

PER_CORE = frozenset({"web", "worker", "courier", "clock"})
"""Kinds of which one process fills a core at the most, and as many may run as there is work for."""

AT_LEAST = {"web": 2, "worker": 2, "courier": 2, "clock": 2}
"""Processes, on two machines: one may fail."""

NAMES = {
    "web": "`openchannel web`",
    "worker": "`openchannel worker --role inbox`",
    "courier": "`openchannel worker --role delivery`",
    "clock": "`openchannel clock`",
    "postgres": "PostgreSQL",
    "valkey": "Redis or Valkey",
}


@dataclass(frozen=True, slots=True)
class Machines:
    """What machines are like. cores: of each. busy: share of a core's time that is planned for; the rest is reserve."""

    cores: int
    busy: float


@dataclass(frozen=True, slots=True)
class Need:
    """Of one kind at one rate. cores: that are wholly busy. processes: 0 where their number is not ours to choose.

    hosts: machines, if nothing else ran on them. limit: messages per second that one server of the kind can do by CPU,
    or None where more can always be started.
    """

    kind: str
    cores: float
    processes: int
    hosts: int
    limit: float | None


def needs(cpu: Mapping[str, float], rate: float, machines: Machines) -> list[Need]:
    """What a rate needs. cpu: seconds per 1,000 messages by kind."""
    found = []
    for kind in NAMES:
        if kind not in cpu:
            continue
        cores = cpu[kind] * rate / 1000
        usable = machines.busy if kind in ONE_THREAD else machines.busy * machines.cores
        processes = max(AT_LEAST[kind], ceil(cores / machines.busy)) if kind in PER_CORE else 0
        limit = None if kind in PER_CORE or cpu[kind] == 0 else usable * 1000 / cpu[kind]
        found.append(Need(kind, cores, processes, max(1, ceil(cores / usable)), limit))
    return found


def first_to_saturate(found: Sequence[Need]) -> Need | None:
    """The server of which there is one, and which has the least room."""
    limited = [(need.limit, need) for need in found if need.limit is not None]
    return min(limited, key=lambda one: one[0])[1] if limited else None


def table(found: Sequence[Need], rate: float, machines: Machines) -> str:
    """As Markdown."""
    headers = ("busy cores", "processes", f"machines of {machines.cores} cores", "one server does at most")
    lines = [f"| {rate:,.0f} messages/s | {' | '.join(headers)} |", "| --- | --- | --- | --- | --- |"]
    for need in found:
        processes = f"{need.processes:,}" if need.processes else ""
        limit = f"{need.limit:,.0f}/s" if need.limit is not None else ""
        lines.append(f"| {NAMES[need.kind]} | {need.cores:,.1f} | {processes} | {need.hosts:,} | {limit} |")
    return "\n".join(lines)


def flows(per_thousand: Mapping[str, Any], rate: float) -> str:
    """What a rate writes and sends each second, as Markdown. per_thousand: `per_1000_messages` of the part `costs`."""
    times = rate / 1000
    names = {
        "wal_bytes": ("WAL that PostgreSQL writes", 1e-6, "MB/s"),
        "commits": ("commits", 1.0, "/s"),
        "broker_commands": ("commands of Redis or Valkey", 1.0, "/s"),
        "broker_bytes_in": ("into Redis or Valkey", 8e-6, "Mbit/s"),
        "broker_bytes_out": ("out of Redis or Valkey", 8e-6, "Mbit/s"),
        "webhook_bytes": ("webhooks, without TLS", 8e-6, "Mbit/s"),
        "loopback_bytes": ("all that processes and servers tell each other, webhooks too", 8e-6, "Mbit/s"),
    }
    lines = [f"| {rate:,.0f} messages/s | |", "| --- | --- |"]
    for name, (title, unit, word) in names.items():
        if name in per_thousand:
            lines.append(f"| {title} | {per_thousand[name] * times * unit:,.0f} {word} |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale.arithmetic")
    parser.add_argument("--rate", type=float, action="append", help="messages per second; may be given again")
    parser.add_argument("--cores", type=int, default=16, help="of a machine")
    parser.add_argument("--busy", type=float, default=0.6, help="share of a core that is planned for")
    parser.add_argument("--results", type=Path, default=Path(__file__).parents[1], help="folder of the JSON files")
    given = parser.parse_args()
    machines = Machines(given.cores, given.busy)
    ours = json.loads((given.results / "results.json").read_text())["sides"]["ours"]
    cpu = ours["cpu_seconds_per_1000_messages"]
    scale_file = given.results / JSON_FILE
    parts = json.loads(scale_file.read_text())["parts"] if scale_file.exists() else {}
    blocks = []
    for rate in given.rate or RATES:
        found = needs(cpu, rate, machines)
        blocks.append(table(found, rate, machines))
        if first := first_to_saturate(found):
            blocks.append(f"By CPU, {NAMES[first.kind]} is full first, at {first.limit:,.0f} messages/s.")
        if "costs" in parts:
            blocks.append(flows(parts["costs"]["figures"]["per_1000_messages"], rate))
    sys.stdout.write("\n\n".join(blocks) + "\n")


if __name__ == "__main__":
    main()

"""All that a run has measured, and the JSON of it."""

import os
import platform
import subprocess
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from bench.latency import Latency
from bench.rounds import Round
from bench.stream import Stream
from loadgen.driving.driver import CONNECTIONS
from tracker.identifiers import IdentifierKind

_PACKAGES = ("celery", "fastapi", "kombu", "psycopg", "pydantic", "redis", "uvicorn", "uvloop")
_CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Goal:
    """What is aimed at, and what was measured. Nothing fails by it: machines differ."""

    name: str
    measured: str
    reached: bool


@dataclass(frozen=True, slots=True)
class Results:
    """rounds: of all sides, as they were run. rest, half, knee: latency of ours, where it was measured."""

    stream: Stream
    rounds: Sequence[Round]
    rest: Latency | None = None
    half: Latency | None = None
    knee: Latency | None = None

    def of_sides(self) -> dict[str, list[Round]]:
        """The rounds by side."""
        found: dict[str, list[Round]] = defaultdict(list)
        for made in self.rounds:
            found[made.side].append(made)
        return found

    def throughput(self, side: str) -> float | None:
        """Median of a side's messages per second; None if it did not run."""
        rates = [made.rate for made in self.rounds if made.side == side]
        return median(rates) if rates else None

    def ratio(self, other: str) -> float | None:
        """Throughput of ours by that of another side."""
        ours, theirs = self.throughput("ours"), self.throughput(other)
        return round(ours / theirs, 2) if ours and theirs else None

    def goals(self) -> list[Goal]:
        """Those of which something was measured."""
        found = [
            Goal(f"ratio_vs_{other} at least {least}", f"{ratio:.1f}", ratio >= least)
            for other, least in (("naive", 40), ("loop", 3))
            if (ratio := self.ratio(other)) is not None
        ]
        if self.half:
            found.append(Goal("p99 at half load under 100 ms", f"{1000 * self.half.p99:.0f} ms", self.half.p99 < 0.1))
        if self.rest:
            found.append(Goal("p50 at rest under 15 ms", f"{1000 * self.rest.p50:.1f} ms", self.rest.p50 < 0.015))
        return found

    def as_json(self, root: Path) -> dict[str, Any]:
        """Everything but the single messages' times. root: of the repository."""
        return {
            "ratio_vs_naive": self.ratio("naive"),
            "ratio_vs_loop": self.ratio("loop"),
            "sides": {side: _side(rounds) for side, rounds in self.of_sides().items()},
            "goals": [asdict(goal) for goal in self.goals()],
            "latency": {
                "at_rest": _rounded(asdict(self.rest)) if self.rest else None,
                "half_load": _rounded(asdict(self.half)) if self.half else None,
                "knee": _rounded(asdict(self.knee)) if self.knee else None,
            },
            "stream": _stream(self.stream),
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": commit_of(root),
            "machine": {"cpu": cpu_model(), "cores": os.cpu_count(), "system": platform.platform()},
            "versions": _versions(self.rounds),
        }


def cpu_per_thousand(rounds: Sequence[Round]) -> dict[str, float]:
    """Median of the CPU seconds per 1,000 messages, by kind of process."""
    kinds = dict.fromkeys(kind for made in rounds for kind in made.cpu)
    return {kind: round(median(made.cpu_per_thousand.get(kind, 0.0) for made in rounds), 3) for kind in kinds}


def cpu_model() -> str:
    """What the machine calls its processor."""
    if _CPU_INFO.exists():
        for line in _CPU_INFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _side(rounds: Sequence[Round]) -> dict[str, Any]:
    return {
        "messages_per_second": {
            "median": round(median(made.rate for made in rounds), 1),
            "rounds": [round(made.rate, 1) for made in rounds],
        },
        "cpu_seconds_per_1000_messages": cpu_per_thousand(rounds),
        "seconds": [round(made.seconds, 2) for made in rounds],
        "seconds_until_all_were_accepted": [round(made.sending.seconds, 2) for made in rounds],
        "requests_sent_again": [made.sending.tries_again for made in rounds],
        "balanced": True,
    }


def _stream(stream: Stream) -> dict[str, Any]:
    return {
        "seed": stream.seed,
        "messages": len(stream.messages),
        "repeats": len(stream.requests) - len(stream.messages),
        "chats": len(stream.chats),
        "customers": stream.customers,
        "share_with_phone": round(stream.share_with(IdentifierKind.PHONE), 4),
        "share_with_email": round(stream.share_with(IdentifierKind.EMAIL), 4),
        "connections": CONNECTIONS,
    }


def _versions(rounds: Sequence[Round]) -> dict[str, str]:
    found: dict[str, str] = {"python": platform.python_version()}
    for package in _PACKAGES:
        found[package] = version(package)
    with suppress(PackageNotFoundError):  # run from the sources
        found["openchannel"] = version("openchannel")
    servers: Mapping[str, str] = rounds[-1].versions if rounds else {}
    return {**found, **servers}


def commit_of(root: Path) -> str | None:
    """The commit that was measured; with `+` where files were changed since."""
    try:
        commit = _git(root, "rev-parse", "HEAD")
        changed = _git(
            root, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!bench/results.*", ":!bench/scale.*"
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}+" if changed else commit


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}

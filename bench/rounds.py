"""One round of one side: start it, send the stream, wait until all is done, hold what it made against the oracle."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from bench.driver import Sending
from bench.oracle import faults
from bench.sides.side import Running, Side
from bench.stream import Stream, tag_of
from runtime.usage import cpu_seconds, wait_until_at_rest

LOOK_SECONDS = 0.25
"""Between two looks whether all is done; when it was done, the database itself says."""

STALLED_SECONDS = 120.0
SETTLED_WITHIN = 20.0

Besides = Callable[[], AbstractContextManager[object]]


class RoundError(Exception):
    """A side did not do its work. The message says which, and what was wrong."""


@dataclass(frozen=True, slots=True)
class Round:
    """What was measured. seconds: from the first request to the last message done. cpu: seconds by kind of process.

    finished: Unix time at which each message was done, by its number.
    """

    side: str
    messages: int
    seconds: float
    cpu: Mapping[str, float]
    sending: Sending
    finished: Sequence[float]
    versions: Mapping[str, str]

    @property
    def rate(self) -> float:
        """Messages per second."""
        return self.messages / self.seconds

    @property
    def cpu_per_thousand(self) -> dict[str, float]:
        """CPU seconds per 1,000 messages, by kind of process."""
        return {kind: 1000 * seconds / self.messages for kind, seconds in self.cpu.items()}


def run_round(side: Side, stream: Stream, rate: float | None = None) -> Round:
    """One round on fresh servers. rate: messages a second at which they are due; None sends as fast as answers come.

    Raises RoundError if the side does not come to an end or does not balance.
    """
    with fresh_folder() as folder, side.start(folder, stream.seed) as running:
        return drive(running, stream, rate)


def drive(running: Running, stream: Stream, rate: float | None = None, besides: Besides = nullcontext) -> Round:
    """The round itself, into a side that is up. besides: makes a context that lasts as long as the stream is sent.

    Raises RoundError as `run_round`.
    """
    with ready_driver(running, stream, rate) as driver:
        wait_until_at_rest(running.processes, running.wait, SETTLED_WITHIN)
        before = cpu_seconds(running.processes())
        with besides():
            sending = send(running, driver)
    wait_until_done(running)
    after = cpu_seconds(running.processes())
    finished = checked(running, stream, sending)
    return Round(
        side=running.name,
        messages=len(stream.messages),
        seconds=max(finished) - sending.began,
        cpu={**{kind: after[kind] - before[kind] for kind in after}, "driver": sending.cpu},
        sending=sending,
        finished=finished,
        versions=_server_versions(running),
    )


@contextmanager
def fresh_folder() -> Iterator[Path]:
    """For servers that are thrown away afterwards; not made yet."""
    # PostgreSQL refuses root and then runs as somebody else, who has to reach its folder.
    with tempfile.TemporaryDirectory(prefix="openchannel-bench-") as name:
        Path(name).chmod(0o711)
        yield Path(name) / "data"


@contextmanager
def ready_driver(running: Running, stream: Stream, rate: float | None = None) -> Iterator["subprocess.Popen[str]"]:
    """The driver's process, with everything signed."""
    command = [sys.executable, "-m", "bench.driver", "--url", running.url]
    command += ["--seed", str(stream.seed), "--messages", str(len(stream.messages))]
    if rate:
        command += ["--rate", str(rate)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None  # noqa: S101  a pipe
            if process.stdout.readline() != "ready\n":
                raise RoundError("the driver did not get ready; see above")
            yield process
        finally:
            process.kill()


def send(running: Running, driver: "subprocess.Popen[str]") -> Sending:
    """Let the driver go, and wait until all is answered. Raises RoundError."""
    assert driver.stdin is not None  # noqa: S101  a pipe
    driver.stdin.write("go\n")
    driver.stdin.flush()
    while driver.poll() is None:
        running.wait(LOOK_SECONDS)
        _check_running(running)
    out = driver.stdout.read() if driver.stdout else ""
    if driver.returncode != 0:
        raise RoundError(f"{running.name}: the driver ended with exit code {driver.returncode}; see above")
    return Sending(**json.loads(out))


def wait_until_done(running: Running) -> None:
    """Raises RoundError if nothing happens for STALLED_SECONDS."""
    done, since = -1, time.monotonic()
    while running.pending():
        running.wait(LOOK_SECONDS)
        _check_running(running)
        if time.monotonic() - since > STALLED_SECONDS / 4:
            now = running.rows(running.questions.counts)[0][1]
            if now == done and time.monotonic() - since > STALLED_SECONDS:
                raise RoundError(
                    f"{running.name}: nothing was done for {STALLED_SECONDS:.0f} s, {now} messages are done"
                )
            if now != done:
                done, since = now, time.monotonic()


def _check_running(running: Running) -> None:
    if running.supervisor.stop_requested:
        raise KeyboardInterrupt
    if ended := running.ended():
        raise RoundError(f"{running.name}: {', '.join(ended)} ended during the run")


def checked(running: Running, stream: Stream, sending: Sending) -> list[float]:
    """Hold what was made against the oracle; returns when each message was done, by number. Raises RoundError."""
    found = [f"{n} requests were answered {s}" for s, n in sending.answers.items() if s not in ("200", "503")]
    found += faults(stream, running.effects())
    if found:
        raise RoundError("\n  ".join([f"{running.name} DOES NOT BALANCE; its figures count for nothing:", *found]))
    finished = running.finished()
    return [finished[tag_of(said.number)] for said in stream.messages]


def _server_versions(running: Running) -> dict[str, str]:
    import redis

    versions = {"postgresql": str(running.rows("SHOW server_version")[0][0])}
    if running.broker_url:
        with redis.Redis.from_url(running.broker_url) as client:
            server = client.info("server")
            versions["valkey"] = str(server.get("valkey_version") or server.get("redis_version"))
    return versions

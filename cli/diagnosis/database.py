"""PostgreSQL: is it there, is it the right one, and does the work go on."""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from cli.diagnosis.findings import Finding, broken, ok, warning
from config.topology import Step
from crm_store import brakes, clocks, diagnosis, inbox, ledger, outbox, partitions
from crm_store.brakes import Brake
from crm_store.database import Connection, DatabaseOptions
from crm_store.diagnosis import Server
from worker.clock import SIGN_INTERVAL

OLDEST_VERSION = 150000
SLOW = 10.0
STUCK = 60.0
"""Seconds for which the oldest due item of a step may have waited before it is a warning, and before it is broken."""

DAYS_AHEAD = 14
"""For so long there should be partitions; the clock makes them for four weeks and more."""

CONNECTIONS_USED = 0.8
DISK_FREE = 0.1
WORKER = "openchannel worker"


def look_at_server(server: Server, options: DatabaseOptions) -> Iterator[Finding]:
    """Version and settings."""
    settings = server.settings
    if server.version < OLDEST_VERSION:
        yield broken("postgresql", f"PostgreSQL {settings['server_version']} is too old", "take PostgreSQL 15 or later")
    else:
        yield ok("postgresql", f"PostgreSQL {settings['server_version']} answers")
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        if settings[name] == "off":
            yield warning(
                name,
                f"{name} is off: messages that were answered 2xx may be lost when the server crashes",
                f"set `{name} = on` in postgresql.conf, and reload",
            )
    if settings["idle_session_timeout"] != "0":
        yield warning(
            "idle_session_timeout",
            f"PostgreSQL ends idle sessions after {int(settings['idle_session_timeout']) / 1000:g} s, ours too",
            "set `idle_session_timeout = 0` for our role; otherwise each quiet minute costs a reconnection",
        )
    asked = str(round(options.idle_in_transaction_timeout * 1000))
    if settings["idle_in_transaction_session_timeout"] != asked:
        yield warning(
            "idle_in_transaction_timeout",
            "what we set for our sessions is not in force: a pooler seems to stand between us and PostgreSQL",
            "connect directly, or let the pooler pass `options` on: else a stopped process keeps its locks",
        )
    most = int(settings["max_connections"])
    if server.connections > CONNECTIONS_USED * most:
        yield warning(
            "connections",
            f"{server.connections} of {most} connections are in use",
            "raise max_connections, or lower OPENCHANNEL_DATABASE__POOL_SIZE",
        )


def look_at_disk(data_dir: Path) -> Iterator[Finding]:
    """The disk of our own PostgreSQL; of another one only its host knows."""
    if not (data_dir / "postgres").is_dir():
        return
    disk = shutil.disk_usage(data_dir)
    said = f"{disk.free / 2**30:.1f} of {disk.total / 2**30:.1f} GiB are free below {data_dir}"
    if disk.free < DISK_FREE * disk.total:
        yield warning("disk", said, "make room: a full disk stops PostgreSQL")
    else:
        yield ok("disk", said)


def look_at_work(
    connection: Connection, depths: Mapping[Step, int] | None, consumers: bool | None
) -> Iterator[Finding]:
    """Clocks, workers, lag of each step, the ledger, dead letters, the outbox."""
    yield _clocks(connection)
    lags = dict(inbox.oldest_due(connection))
    if (oldest := outbox.oldest_due(connection)) is not None:
        lags[Step.DELIVER] = oldest
    working = bool(consumers) or diagnosis.has_sessions(connection, WORKER)
    if working:
        yield ok("workers", "workers are connected")
    elif consumers is not None:
        yield broken("workers", "no worker is connected to the broker", "start `openchannel worker`, one per core")
    paused = brakes.on(connection)
    yield from _paused(paused)
    for brake in paused:
        lags.pop(brake.step, None)  # it waits because it is paused
    yield from _lags(lags, depths, working=working)
    entries = ledger.read(connection)
    if entries.balances:
        yield ok("ledger", f"the ledger balances: {entries}")
    else:
        yield broken(
            "ledger", f"the ledger does not balance: {entries}", "report it, with the logs: this is our defect"
        )
    dead, recent = diagnosis.dead_letters(connection)
    if dead:
        yield warning(
            "dead_letters",
            f"{dead} dead letters, {recent} of the last day",
            "run `openchannel dead-letters groups`; docs/dead-letters.md says what to do with them",
        )
    else:
        yield ok("dead_letters", "there is no dead letter")
    yield from _unsent(diagnosis.unsent(connection))
    yield _partitions(connection)


def _clocks(connection: Connection) -> Finding:
    running = [silence for silence in clocks.silences(connection) if silence < 3 * SIGN_INTERVAL]
    if running:
        return ok("clock", f"{len(running)} running")
    return broken(
        "clock",
        "no clock runs: lost hints are not made up for, and waiting dialogs are not tried again",
        "start `openchannel clock`",
    )


def _partitions(connection: Connection) -> Finding:
    ahead = {
        kind.table: partitions.days_ahead(connection, kind.table) for kind in (partitions.INBOX, partitions.MESSAGES)
    }
    if all(days >= DAYS_AHEAD for days in ahead.values()):
        return ok("partitions", f"there are partitions for the next {min(ahead.values())} days")
    return warning(
        "partitions",
        "no partitions are made: " + ", ".join(f"those of {table} end in {days} days" for table, days in ahead.items()),
        "look at the clock's logs for `partition_not_made`: its role has to own the tables; no message is lost",
    )


def _paused(paused: Iterable[Brake]) -> Iterator[Finding]:
    for brake in paused:
        next_try = f"is tried again in {brake.resumes_in:.0f} s" if brake.resumes_in > 0 else "is to be tried now"
        yield broken(
            "paused",
            f"step {brake.step} is paused since {brake.since:%Y-%m-%d %H:%M:%S} UTC, because nearly everything of it "
            f"fails: {brake.reason}, {brake.fingerprint}; it {next_try}",
            "mend what the workers' logs say of `step_paused` and `item_retried`; nothing is lost meanwhile, and it "
            "goes on by itself",
        )


def _lags(lags: Mapping[Step, float], depths: Mapping[Step, int] | None, *, working: bool) -> Iterator[Finding]:
    slow = {step: lag for step, lag in lags.items() if lag > SLOW}
    for step, lag in slow.items():
        queued = depths.get(step, 0) if depths is not None else None
        if queued is None:
            action = "bring the broker back; nothing is lost meanwhile"
        elif not working:
            action = "start `openchannel worker`"
        elif queued:
            action = "start more workers, one per core, and look at what slows them down"
        else:
            action = "look whether a clock runs, and at the workers' logs"
        said = f"{step}: the oldest has waited {lag:.0f} s" + (f", {queued} tasks are queued" if queued else "")
        yield broken("lag", said, action) if lag > STUCK else warning("lag", said, action)
    if not slow:
        longest = max(lags.values(), default=0.0)
        yield ok("lag", f"the oldest due item has waited {longest:.1f} s" if longest else "nothing is due")


def _unsent(counts: Mapping[str, int]) -> Iterator[Finding]:
    if failed := counts.get("failed", 0):
        yield warning(
            "outbox_failed",
            f"{failed} messages to customers were given up",
            "run `openchannel dead-letters groups --step deliver`",
        )
    if held := counts.get("held", 0):
        yield warning(
            "outbox_held",
            f"{held} messages wait for a way to send them",
            "sending over their kinds of channels is not built yet; they expire with their dialogs",
        )
    if not counts:
        yield ok("outbox", "nothing was given up")

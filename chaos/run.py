"""A round: the system is loaded, traced, shaken, left in peace until it has drained, and held against the truth."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psycopg

from chaos import balance, faults
from chaos.channel_api import ChannelApi
from chaos.conversations import Planted
from chaos.coverage import Coverage, frequent, names_of
from chaos.desk import set_up
from chaos.failpoints import counts
from chaos.load import Load
from chaos.machine import KINDS, Layout, Machine, MachineError
from chaos.people import People
from chaos.record import Record
from chaos.report import Line, Report
from chaos.storm import Stage, Storm
from chaos.watch import StoppedError, Watch, watched
from crm_store.errors import DatabaseAwayError

WARM_UP = 6.0
"""Seconds after the first message in which workers meet that will not meet again so often: not counted as frequent."""
TELL_EVERY = 15.0
SETTLED = 3
"""So many looks in a row must find everything done: a hint may be on its way."""
LONGEST_DRAIN = 180.0
"""Seconds. A worker that was left without a word by its broker is ended by its watchdog after one minute."""

Tell = Callable[[str], None]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Options:
    """kills, seconds: the storm lasts until so many processes were killed, and so long, at the least.

    longest: seconds after which the storm ends whatever is missing. names: of the faults, all if empty. rate: messages
    per second. trace: seconds in which the pairs of side effects are found out; 0 leaves crashes between them out.
    pairs: so many of them are enough; None: all. mutation: see `chaos.mutations`. planted: how much poison.
    """

    seed: int = 1
    kills: int = 100
    seconds: float = 90.0
    longest: float = 900.0
    names: tuple[str, ...] = ()
    rate: float = 40.0
    trace: float = 20.0
    pairs: int | None = None
    mutation: str = ""
    planted: Planted = field(default_factory=Planted)
    layout: Layout = field(default_factory=lambda: Layout(disk=1024))

    @property
    def limit(self) -> float:
        """Seconds for the whole round."""
        return 2 * self.longest + self.trace + LONGEST_DRAIN + 240


def run(options: Options, folder: Path, tell: Tell) -> Report:
    """One round in an empty folder. Everything that was started is gone when it returns or raises.

    Raises RuntimeModeError if the servers cannot be had. Whatever else keeps the round from its end is a problem of the
    report.
    """
    report = Report(options.seed, kills_goal=options.kills)
    machine = Machine(folder, options.layout, options.seed)
    with watched(options.limit, machine.table.end_all) as watch:
        try:
            machine.check = watch.check
            with machine:
                _Round(options, machine, report, watch, tell).run()
                machine.keep_database = bool(report.problems)
        except (StoppedError, MachineError, DatabaseAwayError) as error:
            report.problems.append(f"the round did not come to its end: {error}")
    ends = sorted(machine.table.ends.items())
    report.ends = {f"{kind}, exit code {code}": n for (kind, code), n in ends if code != -signal.SIGKILL}
    return report


class _Round:
    def __init__(self, options: Options, machine: Machine, report: Report, watch: Watch, tell: Tell) -> None:
        self._options = options
        self._machine = machine
        self._report = report
        self._watch = watch
        self._tell = tell
        self._began = time.monotonic()
        self._traces = machine.folder / "traces"
        self._fired = machine.folder / "fired"
        self._coverage: Coverage | None = None

    def run(self) -> None:
        options, machine = self._options, self._machine
        with ExitStack() as stack:
            api = stack.enter_context(ChannelApi())
            desk = set_up(machine.database_url, machine.secret_key, api.url)
            stage = Stage(machine, api)
            storm = Storm(stage, faults.chosen(options.names), options.seed, self._watch)
            stack.callback(self._note, storm)
            self._traces.mkdir()
            machine.table.dress(lambda name: self._environment(stage, name))
            machine.start()
            self._tell(f"{len(list(machine.table))} processes are up, {options.rate:g} messages/s")
            # While it is found out what occurs, nothing is wrong.
            calm = WARM_UP + options.trace if options.trace else 0.0
            load = Load(desk, machine.web_urls, options.seed, options.rate, options.planted, calm)
            people = People(desk, machine.web_urls, options.seed)
            load.start()
            people.start()
            if options.trace:
                self._coverage = self._find_pairs()
                storm.cover(self._coverage, options.longest / 2)
                self._tell(f"{self._coverage.met} pairs are met, {len(self._coverage.missing)} missed")
                storm.each_while = self._learn
            storm.rage(options.seconds, options.kills, options.longest)
            self._tell(f"{storm.kills:,} kills; now everything is left in peace")
            self._calm(storm)
            self._in_background(load.stop)
            self._in_background(people.stop)
            self._drain()
            self._verdict(load.record, api, people)

    def _environment(self, stage: Stage, name: str) -> Mapping[str, str]:
        """What a process of the product is started with, besides its settings; servers get nothing."""
        kind = self._machine.layout.names().get(name)
        if kind is None:
            return {}
        given = {"CHAOS_POISON": "1"}
        if self._options.mutation:
            given["CHAOS_MUTATION"] = self._options.mutation
        if name in stage.offsets:
            given["CHAOS_CLOCK_OFFSET"] = str(stage.offsets[name])
        if self._options.trace:
            given["CHAOS_TRACE"] = str(self._traces / name)
        if self._coverage is not None:
            given.update(self._coverage.environment(name, kind))
        return given

    def _find_pairs(self) -> Coverage:
        """Let the system work in peace for a while, and look where it could die."""
        self._pause(WARM_UP)
        warm_up = counts(sorted(self._traces.iterdir()))
        self._pause(self._options.trace)
        seen = counts(sorted(self._traces.iterdir()))
        coverage = Coverage(
            frequent(seen - warm_up), seen, self._fired, self._options.layout.counts, self._options.pairs
        )
        self._tell(f"{len(seen)} pairs of adjacent side effects, {coverage.goal} of them to die between")
        return coverage

    def _learn(self) -> None:
        """What occurs when something is wrong is found out while it is."""
        if self._coverage is not None:
            self._coverage.learn(counts(sorted(self._traces.iterdir())))

    def _calm(self, storm: Storm) -> None:
        """From now on nobody is armed; whoever still is, or has a clock that is off, is started again."""
        self._note(storm)
        self._coverage = None
        for entry in self._machine.table:
            if entry.given.keys() & {"CHAOS_KILL_BETWEEN", "CHAOS_CLOCK_OFFSET"}:
                self._machine.table.kill(entry)

    def _note(self, storm: Storm) -> None:
        """What has happened so far, also if it comes to no end."""
        self._report.seconds = time.monotonic() - self._began
        if not self._report.lines:
            self._report.kills = storm.kills
            self._report.lines = self._lines(storm)

    def _lines(self, storm: Storm) -> list[Line]:
        lines = [Line(fault.name, fault.about, fault.fired) for fault in storm.faults]
        lines += [Line(fault.name, fault.about, 0, goal=None) for fault in storm.impossible]
        if self._coverage is not None:
            coverage, missing = self._coverage, self._coverage.missing
            met, of = coverage.met, len(coverage.required)
            lines.append(Line("between-effects", "a crash between two adjacent side effects", coverage.fired))
            about = f"different pairs, of {of} of the pipeline that occur often"
            lines.append(Line("pairs", about, met, max(coverage.goal, 1)))
            more = len(coverage.covered) - met
            lines.append(Line("more-pairs", f"of {len(coverage.others)} that are rare, or of operators' acts", more, 0))
            self._report.missing_pairs = names_of(missing)
        return lines

    def _drain(self) -> None:
        """Wait until everything has come to rest, and hold it there: dialogs would go on closing by their clocks."""
        began, quiet, waits = time.monotonic(), 0, ""
        told_at = began + TELL_EVERY
        while True:
            if time.monotonic() - began > LONGEST_DRAIN:
                self._report.problems.append(f"after {LONGEST_DRAIN:.0f} s not drained: {waits}")
                return
            if time.monotonic() > told_at:
                told_at += TELL_EVERY
                self._tell(f"still waiting: {waits}")
                self._let_pauses_pass()
            self._pause(0.5)
            waits = self._waits()
            quiet = 0 if waits else quiet + 1
            if quiet == SETTLED:
                self._machine.table.hold(KINDS)
                waits = self._waits()
                if not waits:
                    break
                self._machine.table.release()
                quiet = 0
        self._report.drained_after = time.monotonic() - began
        self._tell(f"drained after {self._report.drained_after:.0f} s")

    def _waits(self) -> str:
        """What is still to be done, empty if nothing is."""
        try:
            return balance.drained(self._machine.database_url)
        except DatabaseAwayError as error:
            return f"PostgreSQL is away: {error}"

    def _let_pauses_pass(self) -> None:
        """As if the minutes had passed after which a channel that has often failed is called again."""
        with suppress(psycopg.Error):
            self._machine.ask(
                "UPDATE outbox SET due_at = now() WHERE state = 'pending' AND due_at > now() + interval '10 seconds'"
            )

    def _verdict(self, record: Record, api: ChannelApi, people: People) -> None:
        report = self._report
        report.problems += balance.problems(self._machine.database_url, record, api, people.acts)
        sendings = record.sendings
        planted = Counter(sending.message.poison for sending in sendings)
        planted.pop(None, None)
        report.lines.append(Line("duplicates", "a webhook that was answered 2xx comes again", record.repeats))
        report.lines.append(Line("reordered", "a message is sent before the one that precedes it", record.overtaken))
        report.lines.append(Line("poison", "a message that raises, kills or cannot be read", planted.total()))
        report.figures = {
            "messages": len(sendings),
            "of them answered 2xx": record.accepted,
            "webhook calls": sum(record.statuses.values()),
            "calls answered 503": record.statuses[503],
            "calls not answered": record.statuses[0],
            "acts of operators": len(people.acts),
            "answers that the channel's API took": len(api.arrivals),
        }

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._watch.check()
            self._machine.pause(min(0.2, left))

    def _in_background(self, work: Callable[[], _T]) -> _T:
        """Do it in another thread, and look after the processes meanwhile. Raises what it raises."""
        done: list[_T] = []
        failed: list[BaseException] = []

        def do() -> None:
            try:
                done.append(work())
            except BaseException as error:  # noqa: BLE001  raised again below
                failed.append(error)

        thread = threading.Thread(target=do, name="chaos-background", daemon=True)
        thread.start()
        while thread.is_alive():
            self._pause(0.1)
        if failed:
            raise failed[0]
        return done[0]

"""The tests that `openchannel load` makes: at one rate, once or repeated; a search; a backlog."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console

from cli.load.targets import target_of
from cli.refusals import RefusedError
from config.logging import configure_logging
from loadgen import reporting
from loadgen.report_data import Report, Trial
from loadgen.reporting import Progress
from loadgen.reporting.json_report import dump
from loadgen.search import best, find_max
from loadgen.streams.making import make_stream
from loadgen.streams.stream import Stream
from loadgen.summary import report_of, trial_of, typical
from loadgen.trial import Played, Target, drain, play

Show = Callable[[Progress], None]
Test = Callable[[Target, Show], Report]
Settings = Mapping[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class Asked:
    """How a test was asked for. rate: messages per second. seconds: measured, after the warm-up. desk: its seed."""

    profile: str
    rate: float
    seconds: float
    warm_up: float
    seed: int
    desk: int


class Streams:
    """The streams of a test's trials, which are all played on one desk."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._made = 0
        self._taken: set[object] = set()

    def make(self, rate: float) -> Stream:
        """The next one. Its seed is its own, so that the desk does not know its messages; nor any of its people."""
        asked, seed = self._asked, self._asked.seed + self._made
        self._made += 1
        return make_stream(seed, asked.profile, rate, asked.warm_up + asked.seconds, asked.desk, self._taken)


def at_a_rate(target: Target, asked: Asked, repeats: int, settings: Settings, show: Show) -> Report:
    """Trials at one rate; the report is of the first that does not balance, otherwise of the median one."""
    streams, trials = Streams(asked), list[tuple[Trial, Played]]()
    for _ in range(repeats):
        played = play(target, streams.make(asked.rate), show)
        trials.append((trial_of(played, asked.rate, asked.warm_up), played))
    listed = [trial for trial, _ in trials] if repeats > 1 else []
    return report_of(typical(trials), settings, asked.warm_up, listed)


def highest_rate(target: Target, asked: Asked, limit: float, settings: Settings, show: Show) -> Report:
    """The highest rate at which p99 to the last step stays under a limit, in seconds; the report is of that trial."""
    streams, made = Streams(asked), dict[Trial, Played]()

    def measure(rate: float) -> Trial:
        played = play(target, streams.make(rate), show)
        trial = trial_of(played, rate, asked.warm_up, limit)
        made[trial] = played
        return trial

    trials = find_max(asked.rate, measure)
    unbalanced = [played for played in made.values() if not played.verdict.balances]
    shown = best(trials) or trials[-1]
    return report_of(unbalanced[0] if unbalanced else made[shown], settings, asked.warm_up, trials)


def backlog(target: Target, asked: Asked, messages: int, settings: Settings, show: Show) -> Report:
    """A backlog of about so many messages, and how long it takes to work it off."""
    stream = make_stream(asked.seed, asked.profile, asked.rate, messages / asked.rate, asked.desk)
    return report_of(drain(target, stream, show), settings, 0.0)


def replayed(target: Target, stream: Stream, speed: float, warm_up: float, settings: Settings, show: Show) -> Report:
    """A stream as it is. warm_up: seconds as they pass, whatever the speed."""
    return report_of(play(target, stream, show, speed), settings, warm_up)


def test_and_tell(test: Test, url: str | None, desk: int, folder: Path | None, *, private: bool, as_json: bool) -> None:
    """Make a test, show its report, write it into a folder, and exit: with 1 if it does not balance.

    Raises RefusedError, before the test if the folder cannot be made, and after it if the files cannot be written.
    """
    configure_logging("console", "ERROR", "load")
    folder = _made(folder) if folder is not None else None
    beside = Console(stderr=True)
    with target_of(url, desk, private=private) as target, reporting.Live(beside) as live:
        made = test(target, live.show)
    if as_json:
        sys.stdout.write(dump(made))
        sys.stdout.flush()
    else:
        reporting.show(made, Console())
    if folder is not None:
        for path in _written(made, folder):
            beside.print(f"written: {path}", highlight=False, soft_wrap=True)
    raise typer.Exit(0 if made.verdict.balances else 1)


def _made(folder: Path) -> Path:
    """Before the test, which may be long. Raises RefusedError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RefusedError(f"{folder} cannot be made: {error.strerror}") from error
    return folder.absolute()


def _written(report: Report, folder: Path) -> list[Path]:
    try:
        return reporting.write(report, folder)
    except OSError as error:
        raise RefusedError(f"the report cannot be written into {folder}: {error.strerror}") from error

"""`openchannel load run`, `generate`, `replay` and `desk`."""

import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.load.desk_files import write_desk
from cli.load.targets import target_of
from cli.load.testing import Asked, Settings, Show, at_a_rate, backlog, highest_rate, replayed
from cli.refusals import RefusedError
from config.logging import configure_logging
from config.settings import SettingsError
from loadgen import reporting
from loadgen.report_data import Report
from loadgen.reporting.json_report import dump
from loadgen.streams.desk import desk_of
from loadgen.streams.files import StreamFileError, read_stream, write_stream
from loadgen.streams.making import make_stream
from loadgen.streams.profiles import PROFILES
from loadgen.trial import Target

Profile = StrEnum("Profile", {name: name for name in PROFILES})  # type: ignore[misc] # the names are the profiles'
STEADY = Profile("steady")

Url = Annotated[str | None, typer.Option(help="Of a running system; its token is OPENCHANNEL_API_TOKEN.")]
Embedded = Annotated[bool, typer.Option("--embedded", help="Start a private system for this test alone.")]
ProfileOption = Annotated[Profile, typer.Option(help="How the load is spread.")]
Rate = Annotated[float, typer.Option(min=0.1, max=100_000, help="Messages per second, on average.")]
Seconds = Annotated[float, typer.Option(min=1, help="For how long, after the warm-up.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same stream; a desk takes each stream once.")]
Desk = Annotated[int, typer.Option("--desk", help="Seed of the load desk, and of its secrets.")]
WarmUp = Annotated[float, typer.Option(min=0, help="Seconds at the beginning that are judged, and not measured.")]
Folder = Annotated[Path | None, typer.Option("--report", file_okay=False, help="Where report.json and report.html go.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]
Test = Callable[[Target, Settings, Show], Report]


def run_command(
    url: Url = None,
    private: Embedded = False,
    profile: ProfileOption = STEADY,
    rate: Rate = 50.0,
    seconds: Seconds = 30.0,
    seed: Seed = 1,
    desk: Desk = 1,
    warm_up: WarmUp = 5.0,
    repeats: Annotated[int, typer.Option(min=1, help="Trials; the report is of the median one.")] = 1,
    find_max: Annotated[bool, typer.Option("--find-max", help="Look for the highest rate, from --rate on.")] = False,
    p99_under: Annotated[float, typer.Option(min=1, help="Milliseconds to the last step, for --find-max.")] = 1000.0,
    drain: Annotated[int | None, typer.Option(min=1, help="Build a backlog of so many messages; measure it.")] = None,
    report: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Play a stream on a desk. Exit code 1 if anything was lost, doubled, reordered, or is otherwise not as it must be.

    docs/load.md says what is measured and what is judged.
    """
    if sum((repeats > 1, find_max, drain is not None)) > 1:
        raise SettingsError("--repeats, --find-max and --drain are different tests: ask for one of them")
    asked = Asked(profile.value, rate, seconds, warm_up, seed, desk)
    settings: Settings = {"profile": profile.value, "seed": seed}

    def test(target: Target, told: Settings, show: Show) -> Report:
        if drain is not None:
            return backlog(target, asked, drain, {**told, "drain": drain}, show)
        told = {**told, "rate": rate, "seconds": seconds, "warm_up": warm_up}
        if find_max:
            return highest_rate(target, asked, p99_under / 1000, {**told, "p99_under_ms": p99_under}, show)
        return at_a_rate(target, asked, repeats, {**told, "repeats": repeats}, show)

    _test(test, settings, url, desk, private, report, as_json)


def generate_command(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="Lines of JSON; docs/load.md says what stands there.")],
    profile: ProfileOption = STEADY,
    rate: Rate = 50.0,
    seconds: Seconds = 30.0,
    seed: Seed = 1,
    desk: Desk = 1,
) -> None:
    """Write a stream. The same options give the same bytes."""
    stream = make_stream(seed, profile.value, rate, seconds, desk)
    try:
        write_stream(stream, file)
    except OSError as error:
        raise RefusedError(f"{file} cannot be written: {error.strerror}") from error
    sys.stdout.write(f"{len(stream.requests)} requests are in {file}\n")


def replay_command(
    file: Annotated[Path, typer.Argument(dir_okay=False, exists=True, help="As `generate` writes it.")],
    url: Url = None,
    private: Embedded = False,
    speed: Annotated[float, typer.Option(min=0.01, max=1000, help="2 is twice as fast as the stream's own.")] = 1.0,
    warm_up: WarmUp = 0.0,
    report: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Play a file's stream, measure and judge it."""
    try:
        stream = read_stream(file)
    except StreamFileError as error:
        raise RefusedError(str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(f"{file} cannot be read: {error}") from error
    header = stream.header
    settings: Settings = {
        "stream": file.name, "profile": header.profile, "seed": header.seed, "rate": header.rate, "speed": speed,
    }  # fmt: skip

    def test(target: Target, told: Settings, show: Show) -> Report:
        return replayed(target, stream, speed, warm_up, told, show)

    _test(test, settings, url, header.desk, private, report, as_json)


def desk_command(
    folder: Annotated[Path, typer.Argument(file_okay=False, help="Where desk.yaml and the tokens go.")],
    desk: Desk = 1,
) -> None:
    """Write the load desk. Whoever knows its seed can sign for its channels: only for a system without customers."""
    try:
        file = write_desk(desk_of(desk), folder)
    except OSError as error:
        raise RefusedError(f"{folder} cannot be written: {error.strerror}") from error
    sys.stdout.write(f"now: openchannel apply {file}\n")


def _test(
    test: Test,
    settings: Settings,
    url: str | None,
    desk: int,
    private: bool,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Make a test, show its report, and exit with 1 if it does not balance."""
    configure_logging("console", "ERROR", "load")
    folder = folder.absolute() if folder is not None else None
    beside = Console(stderr=True)
    with target_of(url, desk, private=private) as target, reporting.Live(beside) as live:
        made = test(target, settings, live.show)
    if folder is not None:
        for path in reporting.write(made, folder):
            beside.print(f"written: {path}", highlight=False, soft_wrap=True)
    if as_json:
        sys.stdout.write(dump(made))
    else:
        reporting.show(made, Console())
    raise typer.Exit(0 if made.verdict.balances else 1)

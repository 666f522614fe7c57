"""`openchannel load run`, `generate`, `replay` and `desk`: their options; what they need is imported when they run."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.refusals import RefusedError
from config.settings import SettingsError
from loadgen.streams.profiles import PROFILES

if TYPE_CHECKING:
    from cli.load.testing import Settings, Show
    from loadgen.report_data import Report
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


def run_command(
    context: typer.Context,
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
    from cli.load import testing

    if sum((repeats > 1, find_max, drain is not None)) > 1:
        raise SettingsError("--repeats, --find-max and --drain are different tests: ask for one of them")
    if drain is not None and (_is_given(context, "seconds") or _is_given(context, "warm_up")):
        raise SettingsError("--seconds and --warm-up have no part in --drain: it ends when nothing is pending")
    if not find_max and _is_given(context, "p99_under"):
        raise SettingsError("--p99-under is the limit of --find-max: ask for both")
    asked = testing.Asked(profile.value, rate, seconds, warm_up, seed, desk)
    settings: Settings = {"profile": profile.value, "seed": seed, "desk": desk, "rate": rate, "embedded": private}

    def test(target: "Target", show: "Show") -> "Report":
        if drain is not None:
            return testing.backlog(target, asked, drain, {**settings, "drain": drain}, show)
        told = {**settings, "seconds": seconds, "warm_up": warm_up}
        if find_max:
            return testing.highest_rate(target, asked, p99_under / 1000, {**told, "p99_under_ms": p99_under}, show)
        return testing.at_a_rate(target, asked, repeats, {**told, "repeats": repeats}, show)

    testing.test_and_tell(test, url, desk, report, private=private, as_json=as_json)


def _is_given(context: typer.Context, option: str) -> bool:
    """Whether an option was asked for, be it with the value that it has by default."""
    source = context.get_parameter_source(option)
    return source is not None and source.name != "DEFAULT"


def generate_command(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="Lines of JSON; docs/load.md says what stands there.")],
    profile: ProfileOption = STEADY,
    rate: Rate = 50.0,
    seconds: Seconds = 30.0,
    seed: Seed = 1,
    desk: Desk = 1,
) -> None:
    """Write a stream. The same options give the same bytes."""
    from loadgen.streams.files import write_stream
    from loadgen.streams.making import make_stream

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
    from cli.load import testing
    from loadgen.streams.files import StreamFileError, read_stream

    try:
        stream = read_stream(file)
    except StreamFileError as error:
        raise RefusedError(str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(f"{file} cannot be read: {error}") from error
    header = stream.header
    settings: Settings = {
        "stream": file.name,
        "profile": header.profile,
        "seed": header.seed,
        "desk": header.desk,
        "rate": header.rate,
        "speed": speed,
        "embedded": private,
    }

    def test(target: "Target", show: "Show") -> "Report":
        return testing.replayed(target, stream, speed, warm_up, settings, show)

    testing.test_and_tell(test, url, header.desk, report, private=private, as_json=as_json)


def desk_command(
    folder: Annotated[Path, typer.Argument(file_okay=False, help="Where desk.yaml and the tokens go.")],
    desk: Desk = 1,
) -> None:
    """Write the load desk. Whoever knows its seed can sign for its channels: only for a system without customers."""
    from cli.load.desk_files import write_desk
    from loadgen.streams.desk import desk_of

    try:
        file = write_desk(desk_of(desk), folder)
    except OSError as error:
        raise RefusedError(f"{folder} cannot be written: {error.strerror}") from error
    sys.stdout.write(f"now: openchannel apply {file}\n")

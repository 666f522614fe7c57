"""`openchannel dead-letters replay|resume|stop|replays`. A clock drives what is asked for here."""

import re
import sys
from typing import Annotated

import typer
from pydantic import ValidationError

from cli.dead_letters.opening import asked, letters, with_adapters
from cli.dead_letters.replay_watch import INTERRUPTED, clock_runs, watch
from cli.dead_letters.replay_words import following, letters_of, listed, rehearsed, standing, told
from cli.dead_letters.selecting import choosing
from cli.tracker.opening import LARGEST_ID, Json, show
from config.settings import SettingsError
from console import replays as acts
from console.dependencies import Dependencies
from console.letter_selection import Which
from console.problems import unknown
from console.replays import MOST_REHEARSED, REHEARSED, DryRun, WantedPace
from crm_store.replays import ItemState, ReplayState
from crm_store.views import replays as views
from crm_store.views import snapshot
from crm_store.views.replays import Replay, ReplayedLetter, ReplayWithOutcomes

MOST = 10_000

_RATE = re.compile(r"(\d+(?:\.\d+)?)(?:/([smh]))?")
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_SHARE = re.compile(r"(\d+(?:\.\d+)?)(%?)")

ReplayId = Annotated[int, typer.Argument(min=1, max=LARGEST_ID, metavar="ID", help="A replay, by number.")]
Detach = Annotated[bool, typer.Option("--detach", help="Do not wait for its end: a clock does it anyway.")]


@choosing
def replay_command(
    which: Which,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would do, letter by letter.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=MOST_REHEARSED, help="How many letters of a dry run are shown.")
    ] = REHEARSED,
    rate: Annotated[str, typer.Option("--rate", metavar="N/s", help="At most so many letters, as 20/s or 600/m.")] = "",
    canary: Annotated[
        int | None, typer.Option("--canary", min=1, metavar="N", help="N first; the rest if none of them fails.")
    ] = None,
    max_failures: Annotated[
        str, typer.Option("--max-failures", metavar="SHARE", help="Brake above this share, as 20% or 0.2.")
    ] = "20%",
    detach: Detach = False,
    as_json: Json = False,
) -> None:
    """Put dead letters back where they died, in order of arrival. Ctrl-C stops it; `resume` goes on."""
    pace = _pace(rate, canary, max_failures)
    with letters("replay") as needs:
        if dry_run:
            found = acts.dry_run(with_adapters(needs), which, limit)
            show(found, DryRun, rehearsed(found) if not as_json else "", as_json=as_json)
            return
        begun = acts.start(needs, asked("replay_dead_letters"), which, pace)
        _follow(needs, begun, detach=detach, as_json=as_json)


def resume_command(replay: ReplayId, detach: Detach = False, as_json: Json = False) -> None:
    """Go on with a replay that was stopped or has braked."""
    with letters("resume") as needs:
        resumed = acts.resume(needs, asked("resume_replay", replay_id=replay), replay)
        _follow(needs, resumed, detach=detach, as_json=as_json)


def stop_command(replay: ReplayId, as_json: Json = False) -> None:
    """Stop a replay: nothing more is sent, what is under way ends."""
    with letters("stop") as needs:
        stopped = acts.stop(needs, asked("stop_replay", replay_id=replay), replay)
    show(stopped, Replay, f"replay {stopped.id}: {standing(stopped)}\n{following(stopped)}", as_json=as_json)


replays = typer.Typer(name="replays", help="The history of replays: list it, show one.", invoke_without_command=True)


@replays.callback()
def list_command(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST, help="How many, the newest first.")] = 20,
    as_json: Json = False,
) -> None:
    """Who replayed what, when, and what came of it."""
    if context.invoked_subcommand is not None:
        return
    with letters("replays") as needs, snapshot(needs.database) as connection:
        found = views.page(connection, limit + 1)
    more, found = len(found) > limit, found[:limit]
    text = listed(found) if found else "nothing was replayed yet\n"
    if more:
        text += f"and more; --limit {min(MOST, limit * 2)} shows them\n"
    show(found, list[Replay], text, as_json=as_json)


@replays.command("show")
def show_command(
    replay: ReplayId,
    with_letters: Annotated[bool, typer.Option("--letters", help="What became of each letter.")] = False,
    state: Annotated[ItemState | None, typer.Option("--state", help="With --letters: only those.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST, help="With --letters: how many.")] = 100,
    as_json: Json = False,
) -> None:
    """One replay: who, what, how far, and how its letters ended."""
    with letters("replays") as needs, snapshot(needs.database) as connection:
        found = views.read(connection, replay)
        if found is None:
            raise unknown("replay", replay)
        its = views.letters(connection, replay, limit + 1, state=state) if with_letters else []
    more, its = len(its) > limit, its[:limit]
    if not with_letters:
        show(found, ReplayWithOutcomes, told(found) + following(found), as_json=as_json)
        return
    text = letters_of(its) if its else "there is no such letter in it\n"
    if more:
        text += f"and more; --limit {min(MOST, limit * 2)} shows them\n"
    show(its, list[ReplayedLetter], text, as_json=as_json)


def _follow(needs: Dependencies, replay: Replay, *, detach: bool, as_json: bool) -> None:
    """Wait for the end, unless nobody wants to, or nothing can come of it.

    Exit 1: something failed, or some letters wait because it braked or somebody else stopped it.
    """
    driven = clock_runs(needs)
    if not driven:
        sys.stderr.write(
            f"no clock runs, so nothing is replayed: start `openchannel clock`; replay {replay.id} waits for it\n"
        )
    interrupted = False
    if not detach and (driven or sys.stderr.isatty()):
        replay, interrupted = watch(needs, replay)
    show(replay, Replay, f"replay {replay.id}: {standing(replay)}\n{following(replay)}", as_json=as_json)
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    if replay.state in {ReplayState.BRAKED, ReplayState.STOPPED} or replay.failed or not driven:
        raise typer.Exit(1)


def _pace(rate: str, canary: int | None, max_failures: str) -> WantedPace:
    """Raises SettingsError."""
    per_second = None
    if rate:
        read = _RATE.fullmatch(rate.strip())
        if read is None:
            raise SettingsError(f"--rate: {rate!r} is no rate; write it as 20/s, 600/m or 5000/h")
        per_second = float(read[1]) / _SECONDS[read[2] or "s"]
    share = _SHARE.fullmatch(max_failures.strip())
    if share is None:
        raise SettingsError(f"--max-failures: {max_failures!r} is no share; write it as 20% or 0.2")
    try:
        return WantedPace(rate=per_second, canary=canary, max_failures=float(share[1]) / (100 if share[2] else 1))
    except ValidationError as error:
        (first, *_) = error.errors()
        raise SettingsError(f"--{str(first['loc'][0]).replace('_', '-')}: {first['msg']}") from error

"""Watching a replay from a terminal: a bar of what the rows say. It goes on, whoever watches; Ctrl-C stops it."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cli.dead_letters.opening import asked
from cli.dead_letters.replay_words import standing
from console import replays as acts
from console.dependencies import Dependencies
from console.problems import unknown
from crm_store import clocks
from crm_store.errors import DatabaseAwayError
from crm_store.replays import ReplayState
from crm_store.views import replays as views
from crm_store.views import snapshot
from crm_store.views.replays import Replay
from tracker.dialogs import ActRefusedError
from worker.clock import SIGN_INTERVAL

INTERVAL = 0.3
LINE_SECONDS = 3.0
PATIENCE = 60.0
"""Seconds for which PostgreSQL may be away while somebody watches."""

INTERRUPTED = 130


class Display(Protocol):
    """Shows how far a replay is."""

    def show(self, replay: Replay) -> None:
        """Show it now."""
        ...


def clock_runs(needs: Dependencies) -> bool:
    """Whether any clock runs, without which nothing is replayed."""
    with snapshot(needs.database) as connection:
        return any(silence < 3 * SIGN_INTERVAL for silence in clocks.silences(connection))


def watch(needs: Dependencies, replay: Replay) -> tuple[Replay, bool]:
    """Show a replay until nothing of it is left to do, or it is stopped; and whether Ctrl-C stopped it.

    The first Ctrl-C stops it and waits for what is under way, another one leaves it as it is.
    """
    with _display() as display:
        try:
            return _until_it_rests(needs, replay, display), False
        except KeyboardInterrupt:
            sys.stderr.write("\nstopping; what is under way ends (Ctrl-C again leaves at once)\n")
        try:
            stopped = _stop(needs, replay)
            return _until_it_rests(needs, stopped, display), True
        except KeyboardInterrupt:
            return _read(needs, replay.id), True


def _stop(needs: Dependencies, replay: Replay) -> Replay:
    try:
        return acts.stop(needs, asked("stop_replay", replay_id=replay.id), replay.id)
    except ActRefusedError:  # it has just come to its end
        return _read(needs, replay.id)


def _until_it_rests(needs: Dependencies, replay: Replay, display: Display) -> Replay:
    away_since: float | None = None
    while True:
        display.show(replay)
        if replay.state is not ReplayState.RUNNING and not replay.under_way:
            return replay
        time.sleep(INTERVAL)
        try:
            replay, away_since = _read(needs, replay.id), None
        except DatabaseAwayError:
            away_since = away_since or time.monotonic()
            if time.monotonic() - away_since > PATIENCE:
                raise


def _read(needs: Dependencies, replay_id: int) -> Replay:
    with snapshot(needs.database) as connection:
        found = views.summary(connection, replay_id)
    if found is None:
        raise unknown("replay", replay_id)
    return found


class _Lines:
    """A line now and then, where nobody sees a bar."""

    def __init__(self) -> None:
        self._next = 0.0

    def show(self, replay: Replay) -> None:
        """See Display."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + LINE_SECONDS
            sys.stderr.write(f"replay {replay.id}: {standing(replay)}\n")
            sys.stderr.flush()


class _Bar:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None)

    def show(self, replay: Replay) -> None:
        """See Display."""
        self._progress.update(
            self._task,
            total=replay.total,
            completed=replay.done + replay.failed + replay.skipped,
            description=f"replay {replay.id}, {replay.state}",
            counts=f"{replay.done} done, {replay.failed} failed, {replay.skipped} skipped",
        )


@contextmanager
def _display() -> Iterator[Display]:
    """For people, beside what a program may read from standard output."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield _Lines()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Bar(progress)

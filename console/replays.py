"""What persons do about replays of dead letters, for the API and the command line: ask, rehearse, stop, resume.

A replay is asked for here, and driven by the clocks (`worker.replaying`); whoever asked may go. Lock order: the
idempotency key, then the replay's row alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from config.masking import MASK
from console.acting import Asked, Done, carry_out
from console.dependencies import Dependencies
from console.letter_selection import Which, check_narrow, selection_of
from console.problems import ProblemError, unknown
from console.security import check_administrator
from crm_store import dead_letters, replays
from crm_store.database import Connection
from crm_store.dead_letters import LetterState
from crm_store.replays import Pace, ReplayState
from crm_store.views import replays as views
from crm_store.views import snapshot
from crm_store.views.replays import Replay
from tracker.dialogs import ActRefusedError
from worker.rehearsal import Rehearsed, rehearse

MOST_REHEARSED = 200
REHEARSED = 20
"""Letters of a dry run, where nobody asks for more."""


class WantedPace(BaseModel):
    """How a replay goes.

    rate: letters per second; left out: as fast as they go through. canary: so many go first, and the others only if
    none of them fails. max_failures: the share of the last finished letters (20 to 100 of them) above which it brakes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate: Annotated[float, Field(gt=0, le=10_000)] | None = None
    canary: Annotated[int, Field(ge=1, le=100_000, strict=True)] | None = None
    max_failures: Annotated[float, Field(ge=0, le=1)] = 0.2

    @property
    def pace(self) -> Pace:
        """As a replay keeps it."""
        return Pace(self.rate, self.canary, self.max_failures)


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a replay would do. total: letters that are meant; letters: the first of them, in their order."""

    total: int
    letters: list[Rehearsed]


def start(needs: Dependencies, asked: Asked, which: Which, wanted: WantedPace) -> Replay:
    """Ask for a replay of the letters that are meant and dead now.

    Raises ProblemError (nothing_selected, unknown_channel) and ActRefusedError (not_dead).
    """
    selection = said(which)
    asked.details |= {**selection, **wanted.model_dump(exclude_none=True)}

    def work(connection: Connection) -> Done:
        check_administrator(asked.caller)
        letter_ids = _meant(connection, which)
        replay_id = replays.start(connection, asked.actor, selection, wanted.pace, letter_ids)
        asked.details["letters"] = len(letter_ids)
        return Done({"replay_id": replay_id})

    return carry_out(needs, asked, work, _shown)


def dry_run(needs: Dependencies, which: Which, limit: int = REHEARSED) -> DryRun:
    """What a replay of the letters that are meant would do, for the first `limit` of them; it changes nothing.

    Raises ProblemError (nothing_selected, unknown_channel, no_secret_key) and ActRefusedError (not_dead).
    """
    if needs.box is None:
        raise ProblemError(409, "no_secret_key", "without OPENCHANNEL_SECRET_KEY no adapter can read what came in")
    with snapshot(needs.database) as connection:
        letter_ids = _meant(connection, which)
    return DryRun(len(letter_ids), rehearse(needs.database, needs.box, letter_ids[:limit]))


def stop(needs: Dependencies, asked: Asked, replay_id: int) -> Replay:
    """Send nothing more; what is under way ends.

    Raises ProblemError (unknown_replay) and ActRefusedError (not_running).
    """

    def work(connection: Connection) -> Done:
        check_administrator(asked.caller)
        state = _lock(connection, replay_id)
        if state is not ReplayState.RUNNING:
            raise ActRefusedError("not_running", f"replay {replay_id} is {state} already")
        replays.stop(connection, replay_id, asked.actor)
        return Done({"replay_id": replay_id})

    return carry_out(needs, asked, work, _shown)


def resume(needs: Dependencies, asked: Asked, replay_id: int) -> Replay:
    """Go on with the letters that wait, with a canary and a brake of their own.

    Raises ProblemError (unknown_replay) and ActRefusedError (already_running, replay_done).
    """

    def work(connection: Connection) -> Done:
        check_administrator(asked.caller)
        state = _lock(connection, replay_id)
        if state is ReplayState.RUNNING:
            raise ActRefusedError("already_running", f"replay {replay_id} runs already")
        if state is ReplayState.DONE:
            raise ActRefusedError("replay_done", f"replay {replay_id} is done: replay anew what is dead again")
        replays.resume(connection, replay_id, asked.actor)
        return Done({"replay_id": replay_id})

    return carry_out(needs, asked, work, _shown)


def said(which: Which) -> dict[str, Any]:
    """What was asked for, as histories and the audit may keep it: a text that was searched for is a customer's word."""
    selection = which.model_dump(mode="json", exclude_none=True)
    if which.text is not None:
        selection["text"] = MASK
    if which.ids is not None and len(which.ids) > MOST_NAMED:
        selection["ids"] = [*which.ids[:MOST_NAMED], f"and {len(which.ids) - MOST_NAMED} more"]
    return selection


MOST_NAMED = 20
"""Letters that a history names one by one; the replay itself has all of them."""


def _meant(connection: Connection, which: Which) -> list[int]:
    check_narrow(which)
    selection = selection_of(connection, which, LetterState.DEAD)
    letter_ids = dead_letters.selected(connection, selection)
    if not letter_ids:
        raise ActRefusedError("not_dead", "no letter that is meant is dead")
    return letter_ids


def _lock(connection: Connection, replay_id: int) -> ReplayState:
    state = replays.lock(connection, replay_id)
    if state is None:
        raise unknown("replay", replay_id)
    return state


def _shown(connection: Connection, ids: Mapping[str, int]) -> Replay:
    shown = views.summary(connection, ids["replay_id"])
    if shown is None:
        raise unknown("replay", ids["replay_id"])
    return shown

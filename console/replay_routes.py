"""Replays of dead letters over HTTP: routes that translate only."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from console import replays as acts
from console.acting import Asking
from console.dependencies import Needs
from console.letter_routes import WholeDesk
from console.letter_selection import Which
from console.pages import Cursor, Limit, Page, RowId, number_cursor, page, read_number
from console.problems import documented, unknown
from console.replays import MOST_REHEARSED, REHEARSED, DryRun, WantedPace
from console.security import AdministratorOnly
from console.tracker_bodies import Act
from crm_store.replays import ItemState
from crm_store.views import replays as views
from crm_store.views import snapshot
from crm_store.views.replays import Replay, ReplayedLetter, ReplayWithOutcomes

router = APIRouter(
    prefix="/api/dead-letters/replays", tags=["dead letters"], responses=documented(401, 403, 404, 409, 422, 503)
)


class WantedReplay(Act):
    """What is to be replayed, and how. dry_run: only say what it would do, for up to `limit` letters."""

    which: Which
    pace: WantedPace = WantedPace()
    dry_run: bool = False
    limit: Annotated[int, Field(ge=1, le=MOST_REHEARSED, strict=True)] = REHEARSED


@router.post("", status_code=201, responses={200: {"model": DryRun}}, response_model=Replay | DryRun)
def start(
    needs: Needs, asking: Asking, _caller: AdministratorOnly, body: WantedReplay, response: Response
) -> Replay | DryRun:
    """Put dead letters back where they died; a clock does it, in order of arrival. Refused: not_dead.

    With `dry_run` the answer (200) is what it would do; nothing is changed, and the key is not used.
    """
    if body.dry_run:
        response.status_code = 200
        return acts.dry_run(needs, body.which, body.limit)
    return acts.start(needs, asking.to("replay_dead_letters", body=body), body.which, body.pace)


@router.get("")
def get_replays(needs: Needs, _caller: WholeDesk, limit: Limit = 50, cursor: Cursor = None) -> Page[Replay]:
    """Replays, the newest first."""
    before = read_number(cursor)
    with snapshot(needs.database) as connection:
        found = views.page(connection, limit + 1, before)
    return page(found, limit, lambda last: number_cursor(last.id))


@router.get("/{replay_id}")
def get_replay(needs: Needs, _caller: WholeDesk, replay_id: RowId) -> ReplayWithOutcomes:
    """Who asked for what, how far it is, and how its letters ended."""
    with snapshot(needs.database) as connection:
        found = views.read(connection, replay_id)
    if found is None:
        raise unknown("replay", replay_id)
    return found


@router.get("/{replay_id}/letters")
def get_letters(
    needs: Needs,
    _caller: WholeDesk,
    replay_id: RowId,
    state: Annotated[ItemState | None, Query(description="Only those.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ReplayedLetter]:
    """Its letters in order, and what became of each."""
    after = read_number(cursor) or 0
    with snapshot(needs.database) as connection:
        if views.summary(connection, replay_id) is None:
            raise unknown("replay", replay_id)
        found = views.letters(connection, replay_id, limit + 1, after, state)
    return page(found, limit, lambda last: number_cursor(last.position))


@router.post("/{replay_id}/stop")
def stop(needs: Needs, asking: Asking, _caller: AdministratorOnly, replay_id: RowId, body: Act | None = None) -> Replay:
    """Send nothing more; what is under way ends. Refused: not_running."""
    return acts.stop(needs, asking.to("stop_replay", {"replay_id": replay_id}, body or Act()), replay_id)


@router.post("/{replay_id}/resume")
def resume(
    needs: Needs, asking: Asking, _caller: AdministratorOnly, replay_id: RowId, body: Act | None = None
) -> Replay:
    """Go on with the letters that wait. Refused: already_running, replay_done."""
    return acts.resume(needs, asking.to("resume_replay", {"replay_id": replay_id}, body or Act()), replay_id)

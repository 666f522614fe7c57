"""Dead letters over HTTP: routes that translate only. Whoever reads them sees the whole desk's, masked."""

from collections.abc import Iterator
from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, model_validator

from console import dead_letters as acts
from console.acting import Asking
from console.auditing import Check
from console.dead_letters import Handled
from console.dependencies import Needs
from console.letter_documents import Letter, masked_summary
from console.letter_selection import Which, selection_of
from console.pages import Page, RowId, moment_cursor, page, read_moment
from console.problems import ProblemError, documented
from console.security import (
    AdministratorOnly,
    Caller,
    Operator,
    SupervisorOnly,
    actor_for,
    check_administrator,
    read_again,
)
from console.tracker_bodies import Act, Note, Reason
from crm_store.dead_letters import LetterState
from crm_store.views import dead_letters as views
from crm_store.views import snapshot
from crm_store.views.dead_letters import LetterGroup, LetterStats, LetterSummary
from ingest.mending import Edit
from tracker.access import Scope

router = APIRouter(
    prefix="/api/dead-letters", tags=["dead letters"], responses=documented(401, 403, 404, 409, 422, 503)
)

LINES = "application/x-ndjson"
MOST_GROUPS = 500

_LETTER = TypeAdapter(Letter)


def _whole_desk(caller: SupervisorOnly) -> Caller:
    if isinstance(caller, Operator) and caller.reach is not Scope.ANY:
        raise ProblemError(403, "out_of_scope", "dead letters are the whole desk's: this needs the scope `any`")
    return caller


WholeDesk = Annotated[Caller, Depends(_whole_desk)]
"""A supervisor who sees everything, an administrator, or the service."""


class Wanted(Which):
    """Which letters, of a look-up. state: null for all."""

    state: LetterState | None = None


class WantedPage(Wanted):
    """A page of a list."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str | None, StringConstraints(max_length=200)] = None


class Acting(Act):
    """An act on letters."""

    which: Which
    reason: Reason


class Exporting(Act):
    """An export with everything."""

    which: Which = Which()
    state: LetterState | None = None


class Editing(Act):
    """Values by path, as `text` or `attachments[0].url`; paths that go."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    set: dict[Annotated[str, StringConstraints(min_length=1, max_length=500)], Any] = Field(default_factory=dict)
    remove: list[Annotated[str, StringConstraints(min_length=1, max_length=500)]] = Field(default_factory=list)
    reason: Note = ""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.set and not self.remove:
            raise ValueError("say what is to be changed: `set` or `remove`")
        return self


@router.get("")
def get_dead_letters(needs: Needs, _caller: WholeDesk, wanted: Annotated[WantedPage, Query()]) -> Page[LetterSummary]:
    """Dead letters, the latest deaths first; errors are masked."""
    before = read_moment(wanted.cursor)
    with snapshot(needs.database) as connection:
        selection = selection_of(connection, wanted, wanted.state)
        found = views.page(connection, selection, wanted.limit + 1, before)
    shown = [masked_summary(one) for one in found]
    return page(shown, wanted.limit, lambda last: moment_cursor(last.died_at, last.id))


@router.get("/groups")
def get_groups(needs: Needs, _caller: WholeDesk, wanted: Annotated[Wanted, Query()]) -> Page[LetterGroup]:
    """By cause, the largest first: the 500 largest."""
    with snapshot(needs.database) as connection:
        found = views.groups(connection, selection_of(connection, wanted, wanted.state), MOST_GROUPS)
    return Page(items=found, next=None)


@router.get("/stats")
def get_stats(needs: Needs, _caller: WholeDesk, wanted: Annotated[Wanted, Query()]) -> LetterStats:
    """How many there are, where, of what, since when."""
    with snapshot(needs.database) as connection:
        return views.stats(connection, selection_of(connection, wanted, wanted.state))


@router.get("/export", responses={200: {"content": {LINES: {}}}}, response_class=StreamingResponse)
def get_export(needs: Needs, _caller: WholeDesk, wanted: Annotated[Wanted, Query()]) -> Response:
    """Letters as lines of JSON, masked, in order of arrival. The header `Letters` says how many lines there are."""
    return _lines(*acts.export(needs.database, wanted, wanted.state))


@router.post("/export", responses={200: {"content": {LINES: {}}}}, response_class=StreamingResponse)
def export_revealed(needs: Needs, caller: AdministratorOnly, body: Exporting) -> Response:
    """The same with everything that customers wrote; the audit says who took it."""
    actor = actor_for(caller, body.by)
    return _lines(*acts.export_revealed(needs.database, actor, body.which, body.state, check=_still(caller)))


@router.post("/discard")
def discard(needs: Needs, asking: Asking, _caller: AdministratorOnly, body: Acting) -> Handled:
    """Nobody needs them: up to 2,000 at once, `more` if there are others. Refused: not_dead."""
    return acts.discard(needs, asking.to("discard_dead_letters", body=body), body.which, body.reason)


@router.post("/restore")
def restore(needs: Needs, asking: Asking, _caller: AdministratorOnly, body: Acting) -> Handled:
    """They are dead again: up to 2,000 at once, `more` if there are others. Refused: not_discarded."""
    return acts.restore(needs, asking.to("restore_dead_letters", body=body), body.which, body.reason)


@router.get("/{letter_id}")
def get_dead_letter(needs: Needs, _caller: WholeDesk, letter_id: RowId) -> Letter:
    """Everything that is kept of a letter, masked, with what to do next."""
    return acts.show(needs.database, letter_id)


@router.post("/{letter_id}/reveal")
def reveal(needs: Needs, caller: AdministratorOnly, letter_id: RowId, body: Act | None = None) -> Letter:
    """The same with everything that the customer wrote; the audit says who looked."""
    actor = actor_for(caller, body.by if body else None)
    return acts.reveal(needs.database, actor, letter_id, check=_still(caller))


@router.post("/{letter_id}/edit")
def edit(needs: Needs, asking: Asking, _caller: AdministratorOnly, letter_id: RowId, body: Editing) -> Letter:
    """Change a message, or a slice that could not be read. Refused: not_dead, not_editable."""
    asked = asking.to("edit_dead_letter", {"letter_id": letter_id}, body)
    return acts.edit(needs, asked, letter_id, Edit(body.set, body.remove), body.reason)


def _still(caller: Caller) -> Check:
    """That he is an administrator when his act begins, as he was when he was let in."""
    return lambda connection: check_administrator(read_again(connection, caller))


def _lines(count: int, letters: Iterator[Letter]) -> Response:
    lines = (_LETTER.dump_json(letter) + b"\n" for letter in letters)
    return StreamingResponse(lines, media_type=LINES, headers={"letters": str(count)})

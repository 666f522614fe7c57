"""`openchannel dead-letters list|groups|stats|show`."""

import sys
from enum import StrEnum
from typing import Annotated

import typer

from cli.dead_letters.opening import letters
from cli.dead_letters.selecting import selecting
from cli.dead_letters.words import counted, grouped, listed, story
from cli.dialogs.trees import print_tree
from cli.tracker.opening import LARGEST_ID, Json, actor, show
from console import dead_letters as acts
from console.letter_documents import Letter, masked_summary
from console.letter_selection import Which, selection_of
from crm_store import dead_letters
from crm_store.dead_letters import LetterState
from crm_store.views import dead_letters as views
from crm_store.views import snapshot
from crm_store.views.dead_letters import LetterGroup, LetterStats, LetterSummary

MOST = 10_000


class StateOption(StrEnum):
    """As LetterState, or any of them."""

    DEAD = "dead"
    REPLAYING = "replaying"
    DONE = "done"
    DISCARDED = "discarded"
    ANY = "any"


State = Annotated[
    StateOption | None, typer.Option("--state", help="Where they stand; dead unless said or named by number.")
]


def state_of(state: StateOption | None, which: Which) -> LetterState | None:
    """Which state is meant; None for all. Letters that are named are shown wherever they stand."""
    if state is None:
        return LetterState.DEAD if which.ids is None else None
    return None if state is StateOption.ANY else LetterState(state.value)


@selecting
def list_command(
    which: Which,
    state: State = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST, help="How many.")] = 50,
    as_json: Json = False,
) -> None:
    """Letters, the latest deaths first."""
    wanted = state_of(state, which)
    with letters("list") as needs, snapshot(needs.database) as connection:
        found = views.page(connection, selection_of(connection, which, wanted), limit + 1)
        counts = dead_letters.states(connection, selection_of(connection, which, None)) if not as_json else {}
    more, found = len(found) > limit, [masked_summary(one) for one in found[:limit]]
    text = listed(found) if found else f"no letter that is meant is {wanted or 'there'}\n"
    if more:
        text += f"and more; --limit {min(MOST, limit * 2)} shows them, `groups` counts them\n"
    others = {one: n for one, n in counts.items() if wanted not in {None, one}}
    if others:
        text += f"besides {', '.join(f'{n} {one}' for one, n in others.items())}: --state any lists them too\n"
    show(found, list[LetterSummary], text, as_json=as_json)


@selecting
def groups_command(
    which: Which,
    state: State = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST, help="How many.")] = 50,
    as_json: Json = False,
) -> None:
    """Letters by cause, the largest group first."""
    wanted = state_of(state, which)
    with letters("groups") as needs, snapshot(needs.database) as connection:
        found = views.groups(connection, selection_of(connection, which, wanted), limit + 1)
    more, found = len(found) > limit, found[:limit]
    text = grouped(found) if found else f"no letter that is meant is {wanted or 'there'}\n"
    if found:
        text += f"one of them: openchannel dead-letters show {found[0].latest_id}\n"
    if more:
        text += f"and more; --limit {min(MOST, limit * 2)} shows them\n"
    show(found, list[LetterGroup], text, as_json=as_json)


@selecting
def stats_command(
    which: Which,
    state: Annotated[StateOption, typer.Option("--state", help="Where they stand.")] = StateOption.ANY,
    as_json: Json = False,
) -> None:
    """How many there are, where, of what, since when."""
    with letters("stats") as needs, snapshot(needs.database) as connection:
        found = views.stats(connection, selection_of(connection, which, state_of(state, which)))
    show(found, LetterStats, counted(found), as_json=as_json)


def show_command(
    letter: Annotated[int, typer.Argument(min=1, max=LARGEST_ID, help="Its number; `list` names it.")],
    reveal: Annotated[bool, typer.Option("--reveal", help="What customers wrote, too. It is audited.")] = False,
    as_json: Json = False,
) -> None:
    """Everything that is kept of a letter, and what to do."""
    with letters("show") as needs:
        found = acts.reveal(needs.database, actor(), letter) if reveal else acts.show(needs.database, letter)
    if as_json:
        show(found, Letter, "", as_json=True)
    else:
        print_tree(story(found))
        sys.stdout.flush()

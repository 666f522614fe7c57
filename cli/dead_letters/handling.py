"""`openchannel dead-letters edit|discard|restore|export`."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from pydantic import TypeAdapter

from cli.customer_document import Destination
from cli.dead_letters.looking import State, state_of
from cli.dead_letters.opening import asked, letters, with_adapters
from cli.dead_letters.selecting import choosing, selecting
from cli.signals import endable
from cli.tracker.opening import LARGEST_ID, REASON, Json, actor, reason_of, show, shown
from config.settings import SettingsError
from console import dead_letters as acts
from console.acting import Asked
from console.dead_letters import MOST_AT_ONCE, Handled
from console.dependencies import Dependencies
from console.letter_documents import Letter
from console.letter_selection import Which, check_narrow, selection_of
from crm_store import dead_letters
from crm_store.dead_letters import LetterState
from crm_store.views import snapshot
from ingest.mending import Edit
from tracker.dialogs import ActRefusedError

Act = Callable[[Dependencies, Asked, Which, str], Handled]

Reason = Annotated[str, typer.Option("--reason", help=REASON)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say how many it would be, and change nothing.")]

_LETTER = TypeAdapter(Letter)


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of all that was meant. left: of those, how many it did not fit any more."""

    letters: int
    left: int


@choosing
def discard_command(which: Which, reason: Reason, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Nobody needs these letters: they do not count as dead any more. `restore` takes it back."""
    why = reason_of(reason)
    done = _handle("discard", which, why, LetterState.DEAD, acts.discard, dry_run=dry_run)
    _tell(done, "discarded", dry_run=dry_run, as_json=as_json)


@choosing
def restore_command(which: Which, reason: Reason, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Discarded letters are dead again, and can be replayed."""
    why = reason_of(reason)
    done = _handle("restore", which, why, LetterState.DISCARDED, acts.restore, dry_run=dry_run)
    _tell(done, "dead again", dry_run=dry_run, as_json=as_json)


def _handle(command: str, which: Which, reason: str, state: LetterState, act: Act, *, dry_run: bool) -> Summary:
    """Whatever is meant now, part by part; what was done stays done, wherever it is stopped."""
    with letters(command) as needs:
        check_narrow(which)
        with snapshot(needs.database) as connection:
            ids = dead_letters.selected(connection, selection_of(connection, which, state))
        if dry_run:
            return Summary(len(ids), 0)
        if not ids:  # is refused, with what there is
            done = act(needs, asked(f"{command}_dead_letters"), which, reason)
            return Summary(done.letters, done.left)
        return _in_parts(needs, command, ids, reason, act)


def _in_parts(needs: Dependencies, command: str, ids: Sequence[int], reason: str, act: Act) -> Summary:
    done = 0
    for at in range(0, len(ids), MOST_AT_ONCE):
        part = Which(ids=list(ids[at : at + MOST_AT_ONCE]))
        try:
            done += act(needs, asked(f"{command}_dead_letters"), part, reason).letters
        except ActRefusedError:  # somebody else was faster with all of these
            if len(ids) <= MOST_AT_ONCE:
                raise
        except KeyboardInterrupt:
            sys.stderr.write(f"\nstopped after {done} of {len(ids)} letters; the same command does the rest\n")
            raise typer.Exit(130) from None
        if len(ids) > MOST_AT_ONCE and sys.stderr.isatty():
            sys.stderr.write(f"\r\033[K{done} of {len(ids)}")
    if len(ids) > MOST_AT_ONCE and sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    return Summary(done, len(ids) - done)


def _tell(done: Summary, became: str, *, dry_run: bool, as_json: bool) -> None:
    letters_are = f"{done.letters} {'letter' if done.letters == 1 else 'letters'}"
    if dry_run:
        text = f"{letters_are} would be {became}; nothing was changed: this was a dry run\n"
    else:
        left = f"; {done.left} had changed meanwhile" if done.left else ""
        text = f"{letters_are} {'is' if done.letters == 1 else 'are'} {became}{left}\n"
    show(done, Summary, text, as_json=as_json)


# One letter


def edit_command(
    letter: Annotated[int, typer.Argument(min=1, max=LARGEST_ID, help="Its number.")],
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="May be given several times. JSON, or else plain text."),
    ] = None,
    removed: Annotated[
        list[str] | None, typer.Option("--remove", metavar="PATH", help="A field that goes; several times too.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help=REASON)] = "",
    as_json: Json = False,
) -> None:
    """Change the message of a letter, or the slice that nobody could read. What came in stays as it is."""
    changes = Edit(dict(_assignment(one) for one in values or ()), tuple(removed or ()))
    if not changes.values and not changes.removed:
        raise SettingsError("say what: --set PATH=VALUE or --remove PATH")
    with letters("edit") as needs:
        why = reason_of(reason) if reason else ""
        edited = acts.edit(with_adapters(needs), asked("edit_dead_letter", letter_id=letter), letter, changes, why)
    paths = ", ".join(shown(path) for path in (*changes.values, *changes.removed))
    text = f"letter {letter} is edited: {paths}; now replay it: openchannel dead-letters replay {letter}\n"
    show(edited, Letter, text, as_json=as_json)


def _assignment(given: str) -> tuple[str, Any]:
    path, separator, value = given.partition("=")
    if not separator or not path.strip():
        raise SettingsError(f"--set: write {shown(given)[:50]!r} as PATH=VALUE")
    try:
        return path.strip(), orjson.loads(value)
    except orjson.JSONDecodeError:
        return path.strip(), value


@selecting
def export_command(
    which: Which,
    state: State = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="A file that only you can read.")] = None,
    reveal: Annotated[bool, typer.Option("--reveal", help="What customers wrote, too. It is audited.")] = False,
) -> None:
    """Write letters as lines of JSON, each as `show --json` says it, in order of arrival."""
    if output is not None and not output.resolve().parent.is_dir():
        raise SettingsError(f"--output: there is no folder {output.resolve().parent}")
    wanted = state_of(state, which)
    with endable(), letters("export") as needs, Destination(output) as destination:
        if reveal:
            count, found = acts.export_revealed(needs.database, actor(), which, wanted)
        else:
            count, found = acts.export(needs.database, which, wanted)
        for letter in found:
            destination.file.write(_LETTER.dump_json(letter).decode() + "\n")
        destination.release()
    if output is not None:
        sys.stderr.write(f"{count} {'letter' if count == 1 else 'letters'} in {output}\n")

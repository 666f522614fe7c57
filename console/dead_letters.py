"""What persons do with dead letters, for the API and the command line: discard, restore, edit, reveal, export.

Replaying is in `replays`. Lock order: chats, inbox items, deliveries, letters.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from console.acting import Asked, Done, carry_out
from console.auditing import Check, anybody, audited
from console.dependencies import Dependencies
from console.letter_documents import Letter, masked, revealed
from console.letter_selection import Which, check_narrow, selection_of
from console.problems import ProblemError, unknown
from console.security import check_administrator
from crm_store import dead_letters, desks, matching
from crm_store.database import Connection, Database
from crm_store.dead_letters import LetterState, LockedLetter
from crm_store.views import dead_letters as views
from crm_store.views import snapshot
from crm_store.views.dead_letters import KeptLetter
from ingest.mending import Edit, EditError, Mended, mend_message, mend_slice
from tracker.dialogs import ActRefusedError
from tracker.messages import InboundMessage
from worker.steps.crm_lookup import advice, identifiers_of

MOST_AT_ONCE = 2000
"""Letters of one act, which is one transaction: some tenths of a second."""

READ_AT_ONCE = 20
"""Letters that an export reads at once: each may have megabytes, and some times as many once it is taken apart."""

EDITABLE_STEPS = frozenset({"parse", "accept", "crm_lookup", "bind_chat"})
"""Those that have not written the message into the history; what comes after them reads nothing of it."""


@dataclass(frozen=True, slots=True)
class Handled:
    """What an act did. letters: how many. left: of those that were named, how many it does not fit.

    more: there are others that were meant: ask again.
    """

    letters: int
    left: int
    more: bool


# Discarding, and taking it back


def discard(needs: Dependencies, asked: Asked, which: Which, reason: str) -> Handled:
    """Nobody needs them any more: up to MOST_AT_ONCE that are dead, in order of arrival; the ledger says so.

    Raises ProblemError (nothing_selected, unknown_channel) and ActRefusedError (not_dead).
    """
    return _handle(needs, asked, which, reason, LetterState.DEAD, dead_letters.discard)


def restore(needs: Dependencies, asked: Asked, which: Which, reason: str) -> Handled:
    """They are dead again, and can be replayed: up to MOST_AT_ONCE that were discarded.

    Raises ProblemError (nothing_selected, unknown_channel) and ActRefusedError (not_discarded).
    """
    return _handle(needs, asked, which, reason, LetterState.DISCARDED, dead_letters.restore)


def _handle(
    needs: Dependencies,
    asked: Asked,
    which: Which,
    reason: str,
    state: LetterState,
    act: Callable[[Connection, Sequence[int], str, str], int],
) -> Handled:
    asked.details |= {"reason": reason, **_meant(which)}

    def work(connection: Connection) -> Done:
        check_administrator(asked.caller)
        check_narrow(which)
        ids = dead_letters.selected(connection, selection_of(connection, which, state), MOST_AT_ONCE + 1)
        done = act(connection, ids[:MOST_AT_ONCE], asked.actor, reason)
        if not done:
            raise _refused(connection, which, state)
        named = len(set(which.ids)) if which.ids is not None else len(ids)
        more = len(ids) > MOST_AT_ONCE
        return Done({"letters": done, "left": 0 if more else max(0, named - done), "more": int(more)})

    return carry_out(
        needs, asked, work, lambda _connection, ids: Handled(ids["letters"], ids["left"], bool(ids["more"]))
    )


def _meant(which: Which) -> dict[str, Any]:
    """For the audit: what was asked for, without what a customer may have written."""
    said = which.model_dump(mode="json", exclude_none=True, exclude={"ids", "text"})
    if which.ids is not None:
        said["ids"] = ", ".join(map(str, which.ids[:20])) + (" ..." if len(which.ids) > 20 else "")
    if which.text is not None:
        said["by_text"] = True
    return said


def _refused(connection: Connection, which: Which, state: LetterState) -> ActRefusedError:
    found = dead_letters.states(connection, selection_of(connection, which, None))
    stands = ", ".join(f"{n} {one}" for one, n in sorted(found.items())) or "there is none"
    return ActRefusedError(f"not_{state}", f"no letter that is meant is {state}: {stands}")


# Editing


def edit(needs: Dependencies, asked: Asked, letter_id: int, changes: Edit, reason: str) -> Letter:
    """Change a message that could not be handled, or a slice that could not be read; what came in stays as it is.

    Raises ProblemError (unknown_dead_letter, unknown_field, invalid_value, fixed_field, still_unreadable, bad_edit) and
    ActRefusedError (not_dead, not_editable).
    """

    def work(connection: Connection) -> Done:
        check_administrator(asked.caller)
        letter = dead_letters.lock(connection, letter_id)
        if letter is None:
            raise unknown("dead_letter", letter_id)
        _check_editable(letter)
        mended = _mended(needs, connection, letter, changes)
        message = mended.message.model_dump_json(exclude_defaults=True)
        found = _found(connection, letter, mended.message) if letter.looked_up else None
        dead_letters.write_message(connection, letter, message, found)
        differences = [{"path": one.path, "was": one.was, "became": one.became} for one in mended.changes]
        details = orjson.dumps({"of": mended.of, "changes": differences}).decode()
        dead_letters.note_acts(connection, [letter.id], asked.actor, "edit", reason, details)
        asked.details |= {"fields": ", ".join(one.path for one in mended.changes), "reason": reason}
        return Done({"letter_id": letter.id})

    return carry_out(needs, asked, work, _shown)


def _check_editable(letter: LockedLetter) -> None:
    if letter.outbox_id is not None:
        raise ActRefusedError(
            "not_editable", "a delivery says what its operator wrote: write a new answer, and discard this one"
        )
    if not letter.dead:
        raise ActRefusedError("not_dead", f"letter {letter.id} is not dead any more; look again")
    if letter.step not in EDITABLE_STEPS:
        raise ActRefusedError(
            "not_editable",
            f"it died in {letter.step}: its message stands in the history, as the customer wrote it, and nothing of it "
            "is read any more",
        )
    if letter.message is None and letter.reason == "unknown_account":
        raise ActRefusedError(
            "not_editable", "it can be read, but no channel is connected to its account: connect it, and replay"
        )


def _mended(needs: Dependencies, connection: Connection, letter: LockedLetter, changes: Edit) -> Mended:
    try:
        if letter.message is not None:
            return mend_message(letter.message, changes, dead_letters.region_of(connection, letter.channel_id))
        if needs.box is None:
            raise ActRefusedError("not_editable", "without OPENCHANNEL_SECRET_KEY no adapter can read it")
        channels = {channel.id: channel for channel in desks.read_channels(connection, needs.box)}
        headers = orjson.loads(letter.headers or "{}")
        return mend_slice(bytes(letter.raw), changes, channels[letter.channel_id], letter.received_at, headers)
    except EditError as error:
        raise ProblemError(422, error.reason, str(error)) from error


def _found(connection: Connection, letter: LockedLetter, message: InboundMessage) -> str:
    """What crm_lookup would find in the message as it is now; candidates are advice, which bind_chat does without."""
    region = dead_letters.region_of(connection, letter.channel_id)
    return advice(identifiers_of(message, region, matching.blocked_values(connection)), {})


def _shown(connection: Connection, ids: Mapping[str, int]) -> Letter:
    return masked(_read(connection, ids["letter_id"]))


# Reading


def show(database: Database, letter_id: int) -> Letter:
    """A letter, masked. Raises ProblemError (unknown_dead_letter)."""
    with snapshot(database) as connection:
        return masked(_read(connection, letter_id))


def reveal(database: Database, actor: str, letter_id: int, *, check: Check = anybody) -> Letter:
    """A letter with everything; the audit says who looked. Raises ProblemError (unknown_dead_letter)."""
    with audited(database, actor, "reveal_dead_letter", {"letter_id": letter_id}, check) as connection:
        return revealed(_read(connection, letter_id))


def _read(connection: Connection, letter_id: int) -> KeptLetter:
    found = views.read(connection, [letter_id])
    if not found:
        raise unknown("dead_letter", letter_id)
    return found[0]


def export(database: Database, which: Which, state: LetterState | None) -> tuple[int, Iterator[Letter]]:
    """How many letters are meant, and the letters, masked, in order of arrival. Raises ProblemError.

    What dies while they are read is not among them; what is erased meanwhile is left out.
    """
    with snapshot(database) as connection:
        ids = dead_letters.selected(connection, selection_of(connection, which, state))
    return len(ids), _letters(database, ids, masked)


def export_revealed(
    database: Database, actor: str, which: Which, state: LetterState | None, *, check: Check = anybody
) -> tuple[int, Iterator[Letter]]:
    """The same with everything; the audit says who took how many."""
    details = _meant(which)
    with audited(database, actor, "export_dead_letters", details, check) as connection:
        ids = dead_letters.selected(connection, selection_of(connection, which, state))
        details["letters"] = len(ids)
    return len(ids), _letters(database, ids, revealed)


def _letters(database: Database, ids: Sequence[int], as_seen: Callable[[KeptLetter], Letter]) -> Iterator[Letter]:
    for at in range(0, len(ids), READ_AT_ONCE):
        with snapshot(database) as connection:
            found = views.read(connection, ids[at : at + READ_AT_ONCE])
        yield from map(as_seen, found)

"""Dry runs of replays: the real steps, on the real data, in transactions that are rolled back; nothing is hinted.

Letters of one chat see each other's effects. Each chat is a transaction of its own, and a short one: what a step or an
act has at the moment is passed by, and nobody waits long for what is locked here.

Lock order: the chat, then as sql/put_back.sql and the steps.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from config.causes import fingerprint, reason_of
from config.masking import MASK, mask_error
from config.topology import INBOX_STEPS, Step
from crm_store import chats, desks, inbox, put_back, rehearsals
from crm_store.database import Connection, Database
from crm_store.errors import BusyError, DatabaseAwayError, translated
from crm_store.rehearsals import PlannedLetter
from crm_store.replays import ItemState
from crm_store.secrets import SecretBox
from crm_store.views import Reference, backlogs
from crm_store.views.backlogs import Verdict
from ingest.rereading import Rereader
from tracker.dialogs import DialogStatus
from worker.handlers import HANDLERS
from worker.putting_back import Cause, put_letters_back

LOCK_SECONDS = 0.3
"""For so long a rehearsal waits for what others have."""

CHAT_SECONDS = 0.4
"""After so long with one chat the rest of its letters is left out, but never the first: others want what is locked."""


class Ending(StrEnum):
    """How a letter would end.

    done, ignored: it goes through. sent: a delivery, to its channel. fails: it is a dead letter again. not_dead: there
    is nothing to replay. busy: a step or a person has its chat or its open channel at the moment. left_out: its chat
    has more letters than can be shown at once. not_tried: workers died of it, and this process is to live.
    """

    DONE = "done"
    IGNORED = "ignored"
    SENT = "sent"
    FAILS = "fails"
    NOT_DEAD = "not_dead"
    BUSY = "busy"
    LEFT_OUT = "left_out"
    NOT_TRIED = "not_tried"


@dataclass(frozen=True, slots=True)
class CardEffect:
    """The customer's card, or his deal. new: it is made. What is new has another id when it is replayed."""

    id: int
    type: str
    new: bool


@dataclass(frozen=True, slots=True)
class MergeEffect:
    """Two cards that become one customer's (T7)."""

    id: int
    loser_id: int
    survivor_id: int


@dataclass(frozen=True, slots=True)
class DialogEffect:
    """The dialog, as it would stand. operator: who would have it; rule: by which. new: it is made.

    verdict, obstacles: where nobody would have it, why: how many of the roster could not be given it, by reason.
    """

    id: int
    status: DialogStatus
    open_channel: Reference
    operator: Reference | None
    rule: str | None
    verdict: Verdict | None
    obstacles: dict[str, int]
    new: bool


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What a replay of a letter would do.

    step, reason, error, cause: where and of what it would die again, error masked; or why it would be ignored. texts:
    that would go out to the customer by themselves; of a delivery its text, masked. channel_key: of a delivery.
    """

    letter_id: int
    ending: Ending
    step: str = ""
    reason: str = ""
    error: str = ""
    cause: str = ""
    cards: list[CardEffect] = field(default_factory=list)
    merges: list[MergeEffect] = field(default_factory=list)
    dialog: DialogEffect | None = None
    texts: list[str] = field(default_factory=list)
    channel_key: str = ""


_CAUSE = Cause("rehearsal", 0, "rehearsal")


def rehearse(database: Database, box: SecretBox, letter_ids: Sequence[int]) -> list[Rehearsed]:
    """What a replay of these letters would do, in their order; it changes nothing. Raises DatabaseAwayError."""
    with database.transaction() as connection:
        groups = list(_by_chat(connection, box, letter_ids))
    found: dict[int, Rehearsed] = {}
    for chat_id, group in groups:
        found |= {one.letter_id: one for one in _rehearse_chat(database, box, chat_id, group)}
    with database.transaction() as connection:
        return _told_apart(connection, [found[letter_id] for letter_id in letter_ids])


def _by_chat(
    connection: Connection, box: SecretBox, letter_ids: Sequence[int]
) -> Iterator[tuple[int | None, list[int]]]:
    """The letters of each chat, in their order, with its id if it is there; others stand alone."""
    planned = rehearsals.plan(connection, letter_ids)
    names = _names(connection, box, [one for one in planned.values() if one.chat_id is None])
    known = rehearsals.chats_named(connection, set(names.values()))
    groups: dict[object, tuple[int | None, list[int]]] = {}
    for letter_id in letter_ids:
        name = names.get(letter_id)
        letter = planned.get(letter_id)
        chat_id = (letter.chat_id if letter else None) or (known.get(name) if name else None)
        groups.setdefault(chat_id or name or ("letter", letter_id), (chat_id, []))[1].append(letter_id)
    yield from groups.values()


def _names(connection: Connection, box: SecretBox, unaccepted: Sequence[PlannedLetter]) -> dict[int, tuple[int, str]]:
    """Channel and external id of the chats of letters that can be read now."""
    kept = put_back.kept(connection, [one.inbox_id for one in unaccepted if one.inbox_id is not None])
    rereader = Rereader(desks.read_channels(connection, box), box) if kept else None
    names: dict[int, tuple[int, str]] = {}
    for letter in unaccepted:
        if rereader is None or letter.inbox_id not in kept:
            continue
        try:
            (event,) = rereader.read(kept[letter.inbox_id])
        except Exception:  # noqa: BLE001, S112  the rehearsal itself says of what it would die
            continue
        if event.chat is not None:
            names[letter.id] = (event.channel_id, event.chat)
    return names


def _rehearse_chat(
    database: Database, box: SecretBox, chat_id: int | None, letter_ids: Sequence[int]
) -> list[Rehearsed]:
    found: list[Rehearsed] = []
    try:
        with database.rehearsal() as connection:
            end = time.monotonic() + CHAT_SECONDS
            put_back.wait_briefly(connection, LOCK_SECONDS)
            if chat_id is not None and not chats.lock_free(connection, {chat_id}):
                return [Rehearsed(letter_id, Ending.BUSY) for letter_id in letter_ids]
            for letter_id in letter_ids:
                if found and time.monotonic() > end:
                    found.append(Rehearsed(letter_id, Ending.LEFT_OUT))
                else:
                    found.append(_rehearse_letter(connection, box, letter_id))
    except BusyError:
        rest = letter_ids[len(found) :]
        found += [Rehearsed(letter_id, Ending.BUSY) for letter_id in rest]
    return found


def _rehearse_letter(connection: Connection, box: SecretBox, letter_id: int) -> Rehearsed:
    try:
        with translated(), connection.transaction():
            placed = put_letters_back(connection, [letter_id], _CAUSE, box)[letter_id]
    except DatabaseAwayError:
        raise
    except Exception as error:  # noqa: BLE001  what a replay would bury again
        return _failing(Rehearsed(letter_id, Ending.FAILS), "", error)
    match placed.state:
        case ItemState.SKIPPED:
            return Rehearsed(letter_id, Ending.NOT_DEAD)
        case ItemState.DONE:
            return Rehearsed(letter_id, Ending.IGNORED, reason=placed.outcome)
        case ItemState.FAILED:
            death = rehearsals.last_death(connection, letter_id)
            return Rehearsed(
                letter_id, Ending.FAILS, death.step, death.reason, mask_error(death.error), death.fingerprint
            )
    ((step, inbox_ids),) = placed.work.items()
    if step is Step.DELIVER:
        delivery = rehearsals.delivery(connection, letter_id)
        text = f"{MASK} ({len(delivery.text)} characters)"
        return Rehearsed(letter_id, Ending.SENT, texts=[text], channel_key=delivery.channel_key)
    death = rehearsals.last_death(connection, letter_id)
    if death.reason == put_back.CRASHED:
        return Rehearsed(letter_id, Ending.NOT_TRIED, death.step, death.reason)
    return _go_through(connection, letter_id, inbox_ids[0])


def _go_through(connection: Connection, letter_id: int, inbox_id: int) -> Rehearsed:
    """Each step keeps its effects although a later one fails, as in truth."""
    place = rehearsals.place(connection, inbox_id)
    our_last = rehearsals.last_place(connection, place.item.chat_id)
    one = Rehearsed(letter_id, Ending.DONE)
    while place.stage in INBOX_STEPS:
        step = Step(place.stage)
        try:
            with translated(), connection.transaction():
                moves = HANDLERS[step](connection, [place.item], {}).moves
                inbox.move(connection, step, moves)
        except BusyError:
            moves = ()
        except DatabaseAwayError:
            raise
        except Exception as error:  # noqa: BLE001  this is what the rehearsal is for
            one = _failing(one, step, error)
            break
        if not moves:  # somebody has what it needs
            one = replace(one, ending=Ending.BUSY, step=step)
            break
        place = rehearsals.place(connection, inbox_id)
    if place.stage == inbox.IGNORED:
        one = replace(one, ending=Ending.IGNORED, reason=place.reason or "")
    elif place.stage == inbox.DONE and place.reason:
        one = replace(one, reason=place.reason)
    return replace(
        one,
        cards=[CardEffect(*card, new=False) for card in rehearsals.cards_of(connection, place.item.chat_id)],
        merges=[MergeEffect(*merge) for merge in rehearsals.merges_of(connection, inbox_id)],
        dialog=_dialog(connection, place.item.dialog_id) if place.item.dialog_id is not None else None,
        texts=rehearsals.said(connection, place.item.chat_id, our_last),
    )


def _failing(one: Rehearsed, step: str, error: Exception) -> Rehearsed:
    return replace(
        one,
        ending=Ending.FAILS,
        step=step,
        reason=reason_of(error),
        error=f"{type(error).__name__}: {mask_error(str(error))}",
        cause=fingerprint(error),
    )


def _dialog(connection: Connection, dialog_id: int) -> DialogEffect | None:
    now = backlogs.of_dialog(connection, dialog_id)
    if now is None:
        return None
    dialog, backlog = now.dialog, now.backlog
    return DialogEffect(
        dialog.id,
        dialog.status,
        dialog.open_channel,
        dialog.operator,
        dialog.decisions[-1].rule if dialog.decisions else None,
        backlog.verdict if backlog else None,
        {reason.value: n for reason, n in backlog.obstacles.items()} if backlog else {},
        new=False,
    )


def _told_apart(connection: Connection, found: Sequence[Rehearsed]) -> list[Rehearsed]:
    """What would be new, and what is there: only what was rolled back is nowhere to be seen."""
    there = rehearsals.there(
        connection,
        [card.id for one in found for card in one.cards],
        [one.dialog.id for one in found if one.dialog],
        [merge.id for one in found for merge in one.merges],
    )
    return [
        replace(
            one,
            cards=[replace(card, new=("card", card.id) not in there) for card in one.cards],
            merges=[merge for merge in one.merges if ("merge", merge.id) not in there],
            dialog=replace(one.dialog, new=("dialog", one.dialog.id) not in there) if one.dialog else None,
        )
        for one in found
    ]

"""Putting dead letters back, within the caller's transaction: the same for a replay and for its rehearsal.

Lock order: see sql/put_back.sql.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from config.causes import fingerprint, reason_of
from config.masking import mask_error, masked_traceback
from config.topology import Step
from crm_store import dead_letters, desks, put_back
from crm_store.database import Connection
from crm_store.inbox import DEAD, FIRST_STAGE, NewItem
from crm_store.put_back import CRASHED, DeadItem, NextDeath
from crm_store.replays import ItemState
from crm_store.secrets import SecretBox
from ingest.rereading import Rereader
from tracker.texts import clean
from worker.policy import CRASHES_TO_DEATH

BATCH_LIMIT = 50
"""Replayed items run together, apart from all others, and no more than so many at once: who knows what is in them."""

NOT_DEAD = "not_dead"
"""Why a letter was skipped: a person, or another replay, has dealt with it meanwhile."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Who puts letters back, and for which replay. worker: the process, for attempts that fail at once."""

    actor: str
    replay_id: int
    worker: str


@dataclass(frozen=True, slots=True)
class PutBack:
    """What became of a letter. state: sent, or how it ended at once. deaths: before. work: items of steps to hint."""

    state: ItemState
    outcome: str = ""
    deaths: int | None = None
    work: Mapping[Step, Sequence[int]] = field(default_factory=dict)


_SKIPPED = PutBack(ItemState.SKIPPED, NOT_DEAD)


def put_letters_back(
    connection: Connection, letter_ids: Collection[int], cause: Cause, box: SecretBox, batch_limit: int = BATCH_LIMIT
) -> dict[int, PutBack]:
    """Put back those of these letters that are dead now; what became of each, by id.

    batch_limit: with how many others of its kind an item may run; one that has crashed workers runs alone.
    """
    put_back.hold_off_erases(connection)
    items = put_back.lock_items(connection, letter_ids)
    in_steps = [item for item in items if item.stage is not None]
    unaccepted = [item for item in items if item.stage is None]
    placed = dict.fromkeys(letter_ids, _SKIPPED)
    put_back.into_steps(
        connection, [(item, 1 if item.reason == CRASHED else batch_limit) for item in in_steps], CRASHES_TO_DEATH - 1
    )
    for item in in_steps:
        assert item.stage is not None  # noqa: S101  chosen so
        placed[item.letter_id] = PutBack(ItemState.SENT, "", item.deaths, {Step(item.stage): [item.inbox_id]})
    if unaccepted:
        placed |= _accept_again(connection, unaccepted, cause, box, batch_limit)
    deliveries = put_back.lock_deliveries(connection, letter_ids)
    put_back.into_outbox(connection, deliveries)
    for delivery in deliveries:
        placed[delivery.letter_id] = PutBack(ItemState.SENT, "", delivery.deaths, {Step.DELIVER: []})
    tried = [letter_id for letter_id, one in placed.items() if one.state is not ItemState.SKIPPED]
    details = orjson.dumps({"replay_id": cause.replay_id}).decode()
    dead_letters.note_acts(connection, tried, cause.actor, "replay", details=details)
    return placed


def bury_again(connection: Connection, letter_id: int, error: Exception, cause: Cause) -> PutBack:
    """Whatever it was, it is this letter's next death, and holds up no other."""
    put_back.hold_off_erases(connection)
    deaths = [item.deaths for item in put_back.lock_items(connection, [letter_id])]
    deaths += [delivery.deaths for delivery in put_back.lock_deliveries(connection, [letter_id])]
    if not deaths:
        return _SKIPPED
    put_back.died_again(connection, [_death(letter_id, error)], cause.worker)
    return PutBack(ItemState.FAILED, reason_of(error), deaths[0])


@dataclass(slots=True)
class _Reading:
    """What was read of letters that have to be accepted anew."""

    readable: list[tuple[DeadItem, NewItem]] = field(default_factory=list)
    bodies: list[tuple[DeadItem, Sequence[NewItem]]] = field(default_factory=list)
    unreadable: list[tuple[DeadItem, NextDeath]] = field(default_factory=list)


def _accept_again(
    connection: Connection, items: Sequence[DeadItem], cause: Cause, box: SecretBox, batch_limit: int
) -> dict[int, PutBack]:
    found = _read(connection, items, box)
    stages = put_back.into_inbox(connection, found.readable, batch_limit)
    put_back.died_again(connection, [death for _, death in found.unreadable], cause.worker)
    placed = {item.letter_id: PutBack(ItemState.FAILED, death.reason, item.deaths) for item, death in found.unreadable}
    for item, _ in found.readable:
        stage, reason = stages[item.inbox_id]
        if stage == FIRST_STAGE:
            placed[item.letter_id] = PutBack(ItemState.SENT, "", item.deaths, {Step(stage): [item.inbox_id]})
        else:
            placed[item.letter_id] = PutBack(ItemState.DONE, reason or stage, item.deaths)
    for item, events in found.bodies:
        ids = put_back.split(connection, item, events)
        outcome = put_back.SPLIT if events else put_back.NO_EVENTS
        placed[item.letter_id] = PutBack(ItemState.DONE, outcome, item.deaths, {Step(FIRST_STAGE): ids} if ids else {})
    return placed


def _read(connection: Connection, items: Sequence[DeadItem], box: SecretBox) -> _Reading:
    rereader = Rereader(desks.read_channels(connection, box), box)
    kept = put_back.kept(connection, [item.inbox_id for item in items])
    found = _Reading()
    for item in items:
        try:
            events = rereader.read(kept[item.inbox_id])
        except Exception as error:  # noqa: BLE001  whatever it is, it is this letter's next death
            found.unreadable.append((item, _death(item.letter_id, error)))
            continue
        deaths = list(_deaths(item, events))
        if events and len(deaths) == len(events):
            found.unreadable.append((item, deaths[0]))
        elif len(events) == 1:
            found.readable.append((item, events[0]))
        else:
            found.bodies.append((item, events))
    return found


def _deaths(item: DeadItem, events: Sequence[NewItem]) -> Iterator[NextDeath]:
    for event in events:
        if event.stage == DEAD:
            yield NextDeath(item.letter_id, event.reason or "", event.fingerprint, event.error, event.traceback)


def _death(letter_id: int, error: Exception) -> NextDeath:
    return NextDeath(
        letter_id,
        reason_of(error),
        fingerprint(error),
        clean(f"{type(error).__name__}: {mask_error(str(error))}"),
        clean(masked_traceback(error)),
    )

"""Dead letters of all sorts, and replays of them, in a test's database."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from config.topology import Step
from crm_store import dead_letters, inbox, replays
from crm_store.database import Connection, Session
from crm_store.dead_letters import LetterState, Selection
from crm_store.inbox import ClaimedItem
from crm_store.replays import Pace
from ingest.adapters.base import ParsedEvent, WebhookRequest, parse
from ingest.adapters.registry import adapter_for
from ingest.items import as_item, kept_headers, unread
from tests.pipeline import BOX, Desk, RecordingHints, Worker, drain, text_message
from tests.webhooks import message as webhook_message
from worker.handlers import HANDLERS
from worker.messages import read_texts
from worker.replaying import Replaying
from worker.runner import Carried, Limits, Outcome

POISON = "poison"


@dataclass
class Broken:
    """A step that fails for whatever has `poison` in its text, after its effects, until it is mended.

    seen: how many items each of its batches had.
    """

    step: Step
    mended: bool = False
    seen: list[int] = field(default_factory=list)

    def __call__(self, connection: Connection, items: Sequence[ClaimedItem], carried: Carried) -> Outcome:
        self.seen.append(len(items))
        outcome = HANDLERS[self.step](connection, items, carried)
        said = read_texts(connection, items, {}).values()
        if not self.mended and any(POISON in one.text for one in said):
            raise KeyError("missing")
        return outcome

    def worker(self, desk: Desk, retry_for: float = 60.0) -> Worker:
        """A worker that has it."""
        return desk.worker({self.step: self}, Limits(retry_for=retry_for))


def die(desk: Desk, broken: Broken, *chats: int | str, key: str = "telegram") -> list[int]:
    """A poisoned message of each of these chats has died in the broken step an hour ago; returns the inbox ids."""
    ids = desk.accept(*(text_message(key, chat, f"{POISON} {n}") for n, chat in enumerate(chats)))
    drain(desk, broken.worker(desk, 0.0))
    assert desk.value("SELECT count(*) FROM inbox_state WHERE inbox_id = ANY(%s) AND stage = 'dead'", ids) == len(ids)
    hour_ago(desk)
    return ids


def hour_ago(desk: Desk) -> None:
    """All deaths, and the failures before them, were an hour earlier."""
    desk.execute("UPDATE inbox_state SET first_failed_at = now() - interval '1 hour' WHERE stage = 'dead'")
    desk.execute("UPDATE dead_letters SET died_at = died_at - interval '1 hour'")
    desk.execute("UPDATE dead_letters SET first_died_at = died_at")


def unreadable(desk: Desk, raw: bytes, key: str = "telegram", *, whole_body: bool = False, **headers: str) -> int:
    """A verified slice, or body, that the adapter of that day could not read; returns its inbox id."""
    event = ParsedEvent(raw=raw, error="ParseError: not understood", fingerprint="ParseError@x", whole_body=whole_body)
    item = unread(event, desk.channels[key], kept_headers(headers), datetime.now(UTC), BOX, "unparsable")
    with desk.session.transaction() as connection:
        (inbox_id,) = inbox.accept(connection, [item], datetime.now(UTC).date())
    assert inbox_id is not None
    return inbox_id


def slice_of(desk: Desk, kind: str, chat: int, text: str, number: int | None = None) -> bytes:
    """The raw slice of a message as this kind of channel sends it."""
    (event,) = events_of(desk, kind, chat, text, number)
    return event.raw


def events_of(desk: Desk, kind: str, chat: int, text: str, number: int | None = None) -> list[ParsedEvent]:
    """What the adapter reads in the body of such a message."""
    sent = webhook_message(kind, chat, text, name="Ann", number=number)
    request = WebhookRequest("POST", "", sent.headers, {}, sent.body, datetime.now(UTC))
    return parse(adapter_for(kind), request, desk.channels[kind])


def accept_event(desk: Desk, event: ParsedEvent, key: str) -> int | None:
    """Accept it as the webhook does; None if it was accepted before."""
    item = as_item(event, desk.channels[key], "{}", datetime.now(UTC), BOX)
    with desk.session.transaction() as connection:
        (inbox_id,) = inbox.accept(connection, [item], datetime.now(UTC).date())
    return inbox_id


def letters(desk: Desk, **filters: Any) -> list[int]:
    """Dead letters, in the order in which they came."""
    with desk.session.transaction() as connection:
        return dead_letters.selected(connection, Selection(state=LetterState.DEAD, **filters))


def ask(desk: Desk, pace: Pace | None = None, letter_ids: Sequence[int] | None = None) -> int:
    """Ask for a replay of these letters, or of all; returns its id."""
    chosen = letters(desk) if letter_ids is None else letter_ids
    with desk.session.transaction() as connection:
        return replays.start(connection, "cli:test", {"all": True}, pace or Pace(), chosen)


@dataclass
class Engine:
    """What one clock does for replays, by hand."""

    desk: Desk
    hints: RecordingHints = field(default_factory=RecordingHints)

    def __post_init__(self) -> None:
        self.session = Session(self.desk.options)
        self.replaying = Replaying(self.session, self.hints, BOX)

    def look(self) -> None:
        self.replaying.look()

    def finish(self, worker: Worker, looks: int = 200) -> None:
        """Look, and let the worker do what it can, until nothing of any replay is left to do."""
        for _ in range(looks):
            self.look()
            drain(self.desk, worker)
            if not self.desk.value("SELECT count(*) FROM replays WHERE state = 'running' OR under_way > 0"):
                return
        raise AssertionError("the replay does not come to an end")

    def close(self) -> None:
        self.session.close()


def replay_row(desk: Desk, replay_id: int) -> dict[str, Any]:
    """The counts and the state of a replay, which fit its letters."""
    names = ("state", "reason", "run", "total", "under_way", "done", "failed", "skipped")
    ((*values,),) = desk.rows(f"SELECT {', '.join(names)} FROM replays WHERE id = %s", replay_id)
    row = dict(zip(names, values, strict=True))
    counted = dict(desk.rows("SELECT state, count(*) FROM replay_items WHERE replay_id = %s GROUP BY state", replay_id))
    counted["under_way"] = counted.pop("sent", 0)
    for name in ("under_way", "done", "failed", "skipped"):
        assert row[name] == counted.get(name, 0), (row, counted)
    return row


def outcomes(desk: Desk, replay_id: int) -> list[tuple[str, str]]:
    """State and outcome of each letter of a replay, in order."""
    return desk.rows("SELECT state, outcome FROM replay_items WHERE replay_id = %s ORDER BY position", replay_id)


def time_goes_by(desk: Desk, seconds: float) -> None:
    """For all replays."""
    desk.execute("UPDATE replays SET next_at = next_at - %s * interval '1 second'", seconds)

"""Dead letters of each kind on a desk of the tests, made by the product's own burials."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from config.topology import Step
from crm_store import desks, failures, inbox, ledger, outbox
from crm_store.database import Connection, DatabaseOptions, Session
from crm_store.failures import Failure
from crm_store.ledger import Ledger
from crm_store.outbox import FailedTry
from ingest.adapters.base import ParsedEvent, dump_slice, parse_slice
from ingest.adapters.registry import adapter_for
from ingest.items import as_item, kept_headers
from tests.desks import BOX, Desk

HEADERS = {"content-type": "application/json", "x-from": "+49 171 2345678", "authorization": "Bearer secret"}


@contextmanager
def session_of(desk: Desk) -> Iterator[Session]:
    """A session past the product's processes."""
    session = Session(DatabaseOptions(desk.url, "openchannel worker"))
    try:
        yield session
    finally:
        session.close()


def letter_of(desk: Desk, inbox_id: int) -> int:
    """The letter of an item."""
    return int(desk.value("SELECT id FROM dead_letters WHERE inbox_id = %s", inbox_id))


def bury(
    desk: Desk,
    inbox_id: int,
    step: Step = Step.CRM_LOOKUP,
    *,
    reason: str = "boom",
    fingerprint: str = "",
    error: str = "ValueError: '***'",
) -> int:
    """An item dies in a step, in which it stands, after one attempt; returns its letter."""
    failure = Failure(inbox_id, step, "worker-1", reason, fingerprint or f"Boom@worker/steps/{step}.py:f", error, "tb")
    with session_of(desk) as session, session.transaction() as connection:
        found = failures.failing_item(connection, step, inbox_id)
        assert found is not None, "it stands in the step"
        assert failures.bury(connection, failure, found.attempts + 1)
    return letter_of(desk, inbox_id)


def poisoned(desk: Desk, channel_key: str, chat: str, text: str = "hello", **died: Any) -> int:
    """A customer's message that dies in the first step; returns its letter."""
    return bury(desk, desk.say(channel_key, chat, text), **died)


def unreadable(desk: Desk, channel_key: str, document: Any) -> int:
    """A slice that the channel's adapter cannot read; returns its letter."""
    with session_of(desk) as session, session.transaction() as connection:
        (channel,) = [one for one in desks.read_channels(connection, BOX) if one.key == channel_key]
        event = parse_slice(adapter_for(channel.kind), document, channel, datetime.now(UTC))
        assert event.message is None, "it can be read"
        inbox_id = _accept(connection, event, channel)
    return letter_of(desk, inbox_id)


def not_json(desk: Desk, channel_key: str, body: bytes) -> int:
    """A whole body that is nothing that an adapter could cut; returns its letter."""
    with session_of(desk) as session, session.transaction() as connection:
        (channel,) = [one for one in desks.read_channels(connection, BOX) if one.key == channel_key]
        inbox_id = _accept(connection, ParsedEvent(raw=body, error="ParseError: body is not JSON"), channel)
    return letter_of(desk, inbox_id)


def _accept(connection: Connection, event: ParsedEvent, channel: Any) -> int:
    item = as_item(event, channel, kept_headers(HEADERS), datetime.now(UTC), BOX)
    (inbox_id,) = inbox.accept(connection, [item], datetime.now(UTC).date())
    assert inbox_id is not None
    return inbox_id


def undelivered(desk: Desk, dialog_id: int, operator: str, text: str = "an answer", reason: str = "http_410") -> int:
    """An operator's answer on a custom channel that its receiver refuses; returns its letter."""
    desk.act(operator, f"/api/dialogs/{dialog_id}/answer", {"text": text})
    with session_of(desk) as session:
        with session.transaction() as connection:
            (leased,) = outbox.lease(connection, 10, 60)
        with session.transaction() as connection:
            outbox.failed(connection, leased, FailedTry(reason, "HTTP 410", "worker-2"))
    return int(desk.value("SELECT id FROM dead_letters WHERE outbox_id = %s", leased.id))


def raw(document: Any) -> bytes:
    """As a slice is kept."""
    return dump_slice(document)


def ledger_of(desk: Desk) -> Ledger:
    """The ledger, which balances."""
    with session_of(desk) as session, session.transaction() as connection:
        read = ledger.read(connection)
    assert read.balances, read
    return read


def acts_of(desk: Desk, letter_id: int) -> list[tuple[Any, ...]]:
    """What was done with a letter."""
    return desk.rows("SELECT actor, act, reason FROM dead_letter_acts WHERE letter_id = %s ORDER BY id", letter_id)

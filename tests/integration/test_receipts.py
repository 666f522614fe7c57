"""Receipts of channels on real PostgreSQL: accepted with everything else, applied once in effect, only forward (S5)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.topology import Step
from crm_store import desks, inbox, ledger, outbox, receipts
from crm_store.database import DatabaseOptions, Session
from crm_store.outbox import FailedTry, LeasedDelivery
from crm_store.views import chats as views
from ingest.adapters.base import parse
from ingest.adapters.registry import adapter_for
from ingest.items import as_item, kept_headers
from tests.contract.adapter_requests import CUSTOM
from tests.pipeline import BOX, RecordingHints
from tests.webhooks import channel as channel_of
from tracker.channels import Channel, OpenChannelSettings
from tracker.deliveries import FORWARD, DeliveryState
from tracker.messages import MessageKind
from worker.clock import Clock, ClockOptions
from worker.delivery import Delivery

pytestmark = pytest.mark.integration

TIMEOUT = FailedTry("timeout", "timeout", "worker")

TODAY = datetime.now(UTC).date()

_numbers = count(1)


class Desk:
    """A custom channel and a Telegram channel, each with a chat; messages of ours are put into the outbox."""

    def __init__(self, session: Session, url: str) -> None:
        self.session = session
        self.url = url
        with session.transaction() as connection:
            open_channel_id = desks.put_open_channel(connection, "desk", OpenChannelSettings())
            for kind in ("custom", "telegram"):
                desks.put_channel(connection, channel_of(kind, open_channel_id, key=kind), BOX)
            self.channels = {channel.key: channel for channel in desks.read_channels(connection, BOX)}
            self.chat_ids = {
                key: one_value(
                    connection,
                    "INSERT INTO chats (channel_id, external_id) VALUES (%s, 'c-7') RETURNING id",
                    channel.id,
                )
                for key, channel in self.channels.items()
            }

    def write(self, key: str = "custom", state: str = "pending") -> UUID:
        """A message of ours; returns the id by which the channel knows it."""
        with self.session.transaction() as connection:
            chat_id = self.chat_ids[key]
            seq = one_value(
                connection, "UPDATE chats SET last_seq = last_seq + 1 WHERE id = %s RETURNING last_seq", chat_id
            )
            connection.execute(
                "INSERT INTO messages (chat_id, seq, direction, kind, text, sent_at, received_at) "
                "VALUES (%s, %s, 'out', 'text', 'good evening', now(), now())",
                (chat_id, seq),
            )
            key_of_message = one_value(
                connection,
                "INSERT INTO outbox (channel_id, chat_id, seq, state) VALUES (%s, %s, %s, %s) "
                "RETURNING idempotency_key",
                self.channels[key].id,
                chat_id,
                seq,
                state,
            )
            assert isinstance(key_of_message, UUID)
            return key_of_message

    def lease(self) -> LeasedDelivery:
        """The message is on its way to the channel."""
        with self.session.transaction() as connection:
            (leased,) = outbox.lease(connection, 1, 30)
        return leased

    def report(self, *statuses: Mapping[str, Any], key: str = "custom") -> list[int | None]:
        """The channel's server reports, as one signed request; its receipts are accepted and not yet applied."""
        channel: Channel = self.channels[key]
        request = CUSTOM.request(body={"messages": list(statuses)})
        request = replace(request, headers={**request.headers, "webhook-id": f"msg_{next(_numbers)}"})
        now = datetime.now(UTC)
        items = [
            as_item(event, channel, kept_headers(request.headers), now, BOX)
            for event in parse(adapter_for("custom"), request, channel)
        ]
        with self.session.transaction() as connection:
            return inbox.accept(connection, items, TODAY)

    def apply(self) -> int:
        """Apply what was reported."""
        with self.session.transaction() as connection:
            return receipts.apply(connection, 100)

    def change(self, act: Callable[..., None], *arguments: Any) -> None:
        """An act of the delivery's, in a transaction of its own."""
        with self.session.transaction() as connection:
            act(connection, *arguments)

    def state(self, message_key: UUID) -> str:
        """Of one message."""
        return str(self.value("SELECT state FROM outbox WHERE idempotency_key = %s", message_key))

    def value(self, query: str, *parameters: Any) -> Any:
        """The only value of a query."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            return one_value(connection, query, *parameters)


def one_value(connection: Any, query: str, *parameters: Any) -> Any:
    row = connection.execute(query, parameters).fetchone()
    assert row is not None
    return row[0]


def status_of(message_key: UUID, status: str) -> dict[str, str]:
    """The documented body of a receipt (docs/adapters.md)."""
    return {"type": "status", "id": str(message_key), "chat_id": "c-7", "status": status}


@contextmanager
def session_of(url: str) -> Iterator[Session]:
    session = Session(DatabaseOptions(url, "test"))
    try:
        yield session
    finally:
        session.close()


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """See Desk."""
    with session_of(database_url) as session:
        yield Desk(session, database_url)


def test_receipts_move_a_message_forward(desk: Desk) -> None:
    """S5: sent, delivered, read, and never back; the chat's history shows it."""
    message_key = desk.write()
    desk.change(outbox.sent, desk.lease())
    assert desk.state(message_key) == "sent"
    for reported, state in [("delivered", "delivered"), ("read", "read"), ("delivered", "read"), ("failed", "read")]:
        desk.report(status_of(message_key, reported))
        assert desk.apply() == 1
        assert desk.state(message_key) == state
    with desk.session.transaction() as connection:
        (message,) = views.chat_history(connection, desk.chat_ids["custom"], 10)
    assert message.delivery is not None
    assert (message.delivery.state, message.delivery.error) == ("read", "")


def test_a_receipt_that_is_faster_than_our_own_note(desk: Desk) -> None:
    """S5: the channel reports before `sent` is written; then neither `sent`, a retry nor a failure undoes it."""
    message_key = desk.write()
    delivery = desk.lease()
    desk.report(status_of(message_key, "delivered"))
    desk.apply()
    acts: list[tuple[Callable[..., None], tuple[Any, ...]]] = [
        (outbox.sent, ()),
        (outbox.retry, (datetime.now(UTC), TIMEOUT)),
        (outbox.failed, (TIMEOUT,)),
    ]
    for act, rest in acts:
        desk.change(act, delivery, *rest)
        assert desk.state(message_key) == "delivered"
    assert desk.value("SELECT sent_at IS NOT NULL AND error = '' FROM outbox")


def test_what_has_arrived_is_not_sent_again(desk: Desk) -> None:
    """S5: a call ran into its time limit, the channel has the message all the same, and says so."""
    message_key = desk.write()
    desk.change(outbox.retry, desk.lease(), datetime.now(UTC), TIMEOUT)
    desk.report(status_of(message_key, "delivered"))
    hints = RecordingHints()
    Delivery(desk.session, BOX, hints, "worker").run()
    assert desk.state(message_key) == "delivered"
    assert desk.value("SELECT attempts FROM outbox") == 1, "it was leased again"


def test_a_failure_that_the_channel_reports(desk: Desk) -> None:
    """S5: failed after sent, and says who says so; if it arrives after all, it has arrived."""
    message_key = desk.write()
    desk.change(outbox.sent, desk.lease())
    desk.report(status_of(message_key, "failed"))
    desk.apply()
    assert (desk.state(message_key), desk.value("SELECT error FROM outbox")) == ("failed", receipts.FAILED)
    desk.report(status_of(message_key, "delivered"))
    desk.apply()
    assert (desk.state(message_key), desk.value("SELECT error FROM outbox")) == ("delivered", "")


def test_receipts_make_nothing(desk: Desk) -> None:
    """C5: no chat, customer, card, dialog or step; they are counted as ignored, and the ledger balances."""
    message_key = desk.write()
    before = desk.value("SELECT count(*) FROM chats")
    desk.report({**status_of(message_key, "read"), "chat_id": "somebody new"})
    assert desk.value("SELECT reason FROM inbox_state WHERE stage = 'ignored'") == "status"
    assert desk.value("SELECT count(*) FROM chats") == before
    assert desk.value("SELECT count(*) FROM inbox_state WHERE stage < 'done'") == 0
    with desk.session.transaction() as connection:
        assert ledger.read(connection).balances


def test_only_a_channels_own_messages_move(desk: Desk) -> None:
    """S5: an unknown id, another channel's message, and what was never handed over stay as they are."""
    another, untried = desk.write("telegram"), desk.write()
    desk.value("UPDATE outbox SET first_tried_at = now() WHERE idempotency_key = %s RETURNING 1", another)
    held = desk.write(state="held")
    desk.report(*(status_of(key, "read") for key in (another, untried, held, uuid4())))
    assert desk.apply() == 4
    assert [desk.state(key) for key in (another, untried, held)] == ["pending", "pending", "held"]
    assert desk.value("SELECT count(*) FROM receipts") == 0


@pytest.mark.parametrize(
    ("field", "value"), [("id", "m-1"), ("id", "0198f3a2"), ("status", "seen"), ("status", "pending")]
)
def test_a_status_that_is_none_of_ours_is_only_kept(desk: Desk, field: str, value: str) -> None:
    """S5: an id that we never gave, a state that we do not know: accepted, ignored, without a receipt."""
    desk.report({**status_of(uuid4(), "read"), field: value})
    assert desk.value("SELECT stage::text FROM inbox_state") == "ignored"
    assert desk.apply() == 0


@pytest.mark.parametrize("missing", ["id", "status"])
def test_a_status_that_breaks_the_protocol(desk: Desk, missing: str) -> None:
    """It is kept and dead-lettered, and the receipts beside it count."""
    message_key = desk.write()
    desk.change(outbox.sent, desk.lease())
    broken = {name: value for name, value in status_of(message_key, "read").items() if name != missing}
    desk.report(broken, status_of(message_key, "delivered"))
    desk.apply()
    assert desk.state(message_key) == "delivered"
    assert desk.value("SELECT count(*) FROM dead_letters") == 1


def test_accepting_waits_for_no_message_of_ours(desk: Desk, database_url: str) -> None:
    """While a worker has the outbox's row locked, its receipt is accepted at once, and applied when the row is free."""
    message_key = desk.write()
    desk.change(outbox.sent, desk.lease())
    with psycopg.connect(database_url) as other:
        other.execute("SELECT FROM outbox FOR UPDATE")
        assert len(desk.report(status_of(message_key, "read"))) == 1
    assert desk.state(message_key) == "sent"
    desk.apply()
    assert desk.state(message_key) == "read"


def test_two_workers_take_different_receipts(desk: Desk, database_url: str) -> None:
    """Each receipt is taken once; one that was taken and rolled back is taken again."""
    message_key = desk.write()
    desk.change(outbox.sent, desk.lease())
    desk.report(status_of(message_key, "read"))
    with psycopg.connect(database_url) as other:
        assert receipts.apply(other, 10) == 1
        assert desk.apply() == 0
        other.rollback()  # the worker died
    assert desk.state(message_key) == "sent"
    assert desk.apply() == 1
    assert desk.state(message_key) == "read"


def test_the_clock_sees_that_receipts_wait(desk: Desk) -> None:
    """Where nothing is to be sent, they are applied all the same: the clock hints the delivery."""
    message_key = desk.write()
    desk.change(outbox.sent, desk.lease())
    hints = RecordingHints()
    clock = Clock(desk.session, hints, ClockOptions(interval=0.01, key_retention_days=30))
    clock.tick()
    assert hints.of(Step.DELIVER) == []
    desk.report(status_of(message_key, "read"))
    clock.tick()
    assert len(hints.of(Step.DELIVER)) == 1


def test_other_kinds_of_the_custom_channel_are_no_receipts(desk: Desk) -> None:
    """S5: the text of a customer's message reports nothing."""
    message_key = desk.write()
    desk.change(outbox.sent, desk.lease())
    desk.report({"id": "m-1", "chat_id": "c-7", "text": "read", "target": str(message_key), "kind": MessageKind.TEXT})
    assert desk.apply() == 0
    assert desk.state(message_key) == "sent"


_OURS: Sequence[str] = ("sent", "retry", "failed")
_THEIRS: Sequence[str] = ("delivered", "read", "failed", "sent")
events = st.lists(
    st.one_of(
        st.tuples(st.just("ours"), st.sampled_from(_OURS)),
        st.tuples(st.just("theirs"), st.sampled_from(_THEIRS)),
        st.just(("apply", "")),
        st.just(("lease", "")),
    ),
    max_size=8,
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(events)
def test_any_order_of_events_moves_only_forward(desk: Desk, happened: list[tuple[str, str]]) -> None:
    """S5: our tries and the channel's receipts in any order, applied at any moment: never a step back, and what
    arrived ends as arrived."""
    desk.value("WITH gone AS (DELETE FROM outbox) SELECT 1")
    message_key = desk.write()
    delivery = desk.lease()
    places = [_place(desk, message_key)]
    for kind, what in [*happened, ("apply", "")]:
        match kind, what:
            case "ours", "sent":
                desk.change(outbox.sent, delivery)
            case "ours", "retry":
                desk.change(outbox.retry, delivery, datetime.now(UTC), TIMEOUT)
            case "ours", "failed":
                desk.change(outbox.failed, delivery, FailedTry("http_400", "HTTP 400", "worker"))
            case "theirs", status:
                desk.report(status_of(message_key, status))
            case "lease", _:
                with desk.session.transaction() as connection:
                    delivery = next(iter(outbox.lease(connection, 1, 30)), delivery)
            case "apply", _:
                desk.apply()
        places.append(_place(desk, message_key))
    assert places == sorted(places)
    reported = [FORWARD.index(DeliveryState(what)) for kind, what in happened if kind == "theirs"]
    assert places[-1] >= max(reported, default=0), "a receipt was lost"


def _place(desk: Desk, message_key: UUID) -> int:
    return FORWARD.index(DeliveryState(desk.state(message_key)))

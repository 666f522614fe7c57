"""Replays of letters that never came to a step: they are read again, and the unique key survives."""

import json
from collections.abc import Iterator

import pytest

from config.topology import Step
from tests.pipeline import Desk, drain
from tests.replays import (
    POISON,
    Broken,
    Engine,
    accept_event,
    ask,
    events_of,
    letters,
    outcomes,
    slice_of,
    unreadable,
)
from tests.webhooks import message

pytestmark = pytest.mark.integration


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """An open channel with channels of several kinds, and somebody to serve them."""
    with Desk(database_url) as made:
        made.open_channel("desk", ["telegram", "whatsapp", "custom", "webform"], [made.operator("ann")])
        yield made


@pytest.fixture
def engine(desk: Desk) -> Iterator[Engine]:
    """A clock's part in replays."""
    made = Engine(desk)
    yield made
    made.close()


@pytest.mark.parametrize("kind", ["telegram", "whatsapp", "custom", "webform"])
def test_a_slice_is_read_as_its_adapter_reads_today(desk: Desk, engine: Engine, kind: str) -> None:
    """The adapter was mended: the message is what it would have been, and its redelivery is known."""
    event = events_of(desk, kind, 5, "hello")[0]
    inbox_id = unreadable(desk, event.raw, kind)
    replay_id = ask(desk)
    engine.finish(desk.worker())
    assert outcomes(desk, replay_id) == [("done", "done")]
    assert "hello" in desk.value("SELECT text FROM messages WHERE inbox_id = %s", inbox_id)
    assert event.message is not None
    kept = desk.value("SELECT message FROM inbox WHERE id = %s", inbox_id)
    assert (kept["key"], kept["chat_id"]) == (event.message.key, event.message.chat_id)
    assert accept_event(desk, event, kind) is None
    assert (desk.ledger().done, desk.ledger().accepted) == (1, 1)


@pytest.mark.parametrize("kind", ["telegram", "whatsapp", "custom", "webform"])
def test_what_was_done_in_fact_is_not_done_again(desk: Desk, engine: Engine, kind: str) -> None:
    """The provider came again after the adapter was mended: the unique key says so, and nothing changes."""
    event = events_of(desk, kind, 5, "hello")[0]
    inbox_id = unreadable(desk, event.raw, kind)
    assert accept_event(desk, event, kind) is not None
    drain(desk, desk.worker())
    before = desk.rows("SELECT * FROM messages"), desk.rows("SELECT * FROM dialogs"), desk.rows("SELECT * FROM cards")
    replay_id = ask(desk)
    engine.finish(desk.worker())
    assert outcomes(desk, replay_id) == [("done", "duplicate")]
    after = desk.rows("SELECT * FROM messages"), desk.rows("SELECT * FROM dialogs"), desk.rows("SELECT * FROM cards")
    assert after == before
    assert desk.rows("SELECT stage::text, reason FROM inbox_state WHERE inbox_id = %s", inbox_id) == [
        ("ignored", "duplicate")
    ]
    assert (desk.ledger().done, desk.ledger().ignored, desk.ledger().dead) == (1, 1, 0)


def test_what_was_done_in_fact_is_not_done_again_when_its_key_is_forgotten(desk: Desk, engine: Engine) -> None:
    """Keys are kept for a month, letters for ever: then the chat's history says that the message is there."""
    event = events_of(desk, "telegram", 5, "hello")[0]
    inbox_id = unreadable(desk, event.raw)
    accept_event(desk, event, "telegram")
    drain(desk, desk.worker())
    desk.rows("DELETE FROM inbox_keys RETURNING 1")
    replay_id = ask(desk)
    engine.finish(desk.worker())
    assert outcomes(desk, replay_id) == [("done", "duplicate")]
    assert desk.value("SELECT count(*) FROM messages") == 1
    assert desk.value("SELECT stage::text FROM inbox_state WHERE inbox_id = %s", inbox_id) == "ignored"


def test_two_deliveries_of_one_message_are_one(desk: Desk, engine: Engine) -> None:
    """They differ in their bytes, so each is a letter; read again in one commit, the first is done."""
    raw = slice_of(desk, "telegram", 5, "hello", number=99)
    unreadable(desk, raw)
    unreadable(desk, raw.replace(b'{"update_id', b'{"more":1,"update_id'))
    replay_id = ask(desk)
    engine.finish(desk.worker())
    assert outcomes(desk, replay_id) == [("done", "done"), ("done", "duplicate")]
    assert desk.value("SELECT count(*) FROM messages") == 1


def test_what_is_still_unreadable_is_the_same_letter(desk: Desk, engine: Engine) -> None:
    """It never leaves `dead`, so nothing is entered twice; what keeps it from being read today stands in it."""
    unreadable(desk, b'{"no": "update"}')
    unreadable(desk, b"\xff\xfe", whole_body=True)
    before = desk.ledger()
    replay_id = ask(desk)
    engine.finish(desk.worker())
    assert outcomes(desk, replay_id) == [("failed", "unparsable")] * 2
    assert desk.ledger() == before
    assert desk.rows("SELECT deaths, attempts, step, error LIKE '%%update_id%%' FROM dead_letters ORDER BY id") == [
        (2, 2, "parse", True),
        (2, 2, "parse", False),
    ]
    assert desk.value("SELECT count(*) FROM failures") == 4


def test_what_can_be_read_and_fails_then_has_had_one_try(desk: Desk, engine: Engine) -> None:
    """It stands before all messages of its chat that have no place yet: they do not wait for a minute."""
    unreadable(desk, slice_of(desk, "telegram", 5, POISON))
    replay_id = ask(desk)
    engine.look()
    drain(desk, Broken(Step.CRM_LOOKUP).worker(desk, retry_for=60.0))
    engine.look()
    assert outcomes(desk, replay_id) == [("failed", "key")]


def test_a_body_that_can_be_cut_now_becomes_its_events(desk: Desk, engine: Engine) -> None:
    """Several: each is an item of its own, in order, and the body ends ignored; one: it is the item itself."""
    first = webhook_body(desk, "whatsapp", [(1, "one"), (1, "two")])
    inbox_id = unreadable(desk, first, "whatsapp", whole_body=True)
    unreadable(desk, webhook_body(desk, "whatsapp", [(2, "alone")]), "whatsapp", whole_body=True)
    unreadable(desk, b'{"object": "x", "entry": []}', "whatsapp", whole_body=True)
    replay_id = ask(desk)
    engine.finish(desk.worker())
    assert outcomes(desk, replay_id) == [("done", "split"), ("done", "done"), ("done", "no_events")]
    assert [row[0] for row in desk.rows("SELECT text FROM messages ORDER BY chat_id, seq")] == ["alone", "one", "two"]
    assert desk.value("SELECT reason FROM inbox_state WHERE inbox_id = %s", inbox_id) == "split"
    read = desk.ledger()
    assert (read.accepted, read.done, read.ignored, read.dead) == (5, 3, 2, 0)


def webhook_body(desk: Desk, kind: str, said: list[tuple[int, str]]) -> bytes:
    """One body of WhatsApp with several messages."""
    bodies = [json.loads(message(kind, chat, text).body) for chat, text in said]
    for body in bodies[1:]:
        bodies[0]["entry"] += body["entry"]
    return json.dumps(bodies[0]).encode()


def test_a_letter_of_an_unknown_account_goes_to_the_channel_that_is_connected_now(desk: Desk, engine: Engine) -> None:
    """Its account was connected after it came; until then a replay says so again."""
    event = events_of(desk, "whatsapp", 5, "hello")[0]
    raw = event.raw.replace(b"155500001", b"155500002")
    unreadable(desk, raw, "whatsapp")
    replay_id = ask(desk)
    engine.finish(desk.worker())
    assert outcomes(desk, replay_id) == [("failed", "unknown_account")]
    desk.open_channel("other", ["whatsapp"], prefix="other-")
    desk.execute("UPDATE channels SET account_id = '155500002' WHERE key = 'other-whatsapp'")
    replay_id = ask(desk)
    engine.finish(desk.worker())
    assert outcomes(desk, replay_id) == [("done", "done")]
    keys = (
        "SELECT channels.key FROM chats JOIN channels ON channels.id = channel_id UNION ALL "
        "SELECT key FROM inbox JOIN channels ON channels.id = channel_id UNION ALL "
        "SELECT key FROM dead_letters JOIN channels ON channels.id = channel_id"
    )
    assert desk.rows(keys) == [("other-whatsapp",)] * 3


def test_a_row_that_postgresql_refused_is_accepted_although_its_key_is_there(desk: Desk, engine: Engine) -> None:
    """Its own key is no sign that it was done: PostgreSQL refused its row after its key was noted."""
    event = events_of(desk, "telegram", 5, "hello")[0]
    inbox_id = accept_event(desk, event, "telegram")
    desk.execute("UPDATE inbox SET message = NULL, digest = NULL")
    desk.execute("UPDATE inbox_state SET stage = 'dead', chat_id = NULL, reason = 'refused_by_database'")
    desk.execute("INSERT INTO ledger VALUES ('dead', 1)")
    desk.execute(
        "INSERT INTO dead_letters (inbox_id, channel_id, step, reason, fingerprint, attempts, error, traceback) "
        "SELECT id, channel_id, 'accept', 'refused_by_database', 'x', 1, 'x', '' FROM inbox"
    )
    replay_id = ask(desk)
    engine.finish(desk.worker())
    assert outcomes(desk, replay_id) == [("done", "done")]
    assert desk.value("SELECT text FROM messages WHERE inbox_id = %s", inbox_id) == "hello"


def test_an_edited_letter_goes_in_as_it_was_edited(desk: Desk, engine: Engine) -> None:
    """The message that a person has left is taken, under the key that it always had; what came in stays."""
    event = events_of(desk, "telegram", 5, "hello")[0]
    assert event.message is not None
    inbox_id = unreadable(desk, b'{"broken": true}')
    edited = event.message.model_copy(update={"text": "mended"})
    desk.execute("UPDATE inbox SET message = %s::jsonb", edited.model_dump_json(exclude_defaults=True))
    replay_id = ask(desk)
    engine.finish(desk.worker())
    assert outcomes(desk, replay_id) == [("done", "done")]
    assert desk.value("SELECT text FROM messages WHERE inbox_id = %s", inbox_id) == "mended"
    assert desk.value("SELECT raw = %s FROM inbox", b'{"broken": true}')
    assert accept_event(desk, event, "telegram") is None


def test_what_is_no_message_of_a_customer_ends_ignored(desk: Desk, engine: Engine) -> None:
    """C5, also by way of a replay; a receipt is kept for the outbox."""
    unreadable(desk, b'{"update_id": 5, "poll": {}}')
    replay_id = ask(desk)
    engine.finish(desk.worker())
    assert outcomes(desk, replay_id) == [("done", "ignored")]
    assert desk.ledger().ignored == 1


def test_one_letter_that_cannot_be_put_back_holds_up_no_other(desk: Desk, engine: Engine) -> None:
    """PostgreSQL refuses what it is now: its neighbours go on, and it is a dead letter with that reason."""
    unreadable(desk, slice_of(desk, "telegram", 1, "first"))
    unreadable(desk, b"{}")
    event = events_of(desk, "telegram", 2, "second")[0]
    assert event.message is not None
    long_chat = event.message.model_dump(mode="json", exclude_defaults=True) | {"chat_id": "x", "name": "bad"}
    desk.execute("UPDATE inbox SET message = %s::text::jsonb WHERE id = 2", json.dumps(long_chat))
    unreadable(desk, slice_of(desk, "telegram", 3, "third"))
    desk.execute("ALTER TABLE chats ADD CONSTRAINT refused CHECK (name <> 'bad')")
    replay_id = ask(desk)
    engine.finish(desk.worker())
    assert outcomes(desk, replay_id) == [("done", "done"), ("failed", "refused_by_database"), ("done", "done")]
    assert (desk.ledger().done, desk.ledger().dead) == (2, 1)
    assert len(letters(desk)) == 1

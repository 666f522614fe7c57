"""Edits of dead letters on real PostgreSQL: what is stored, what stays, what is refused."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import orjson
import pytest

from config.topology import Step
from crm_store.inbox import digest
from tests.desks import Desk, problem_of
from tests.letters import bury, poisoned, session_of, undelivered, unreadable
from tests.processes import wait_for
from tracker.identifiers import Evidence, phone
from tracker.messages import InboundMessage

pytestmark = pytest.mark.integration

LETTERS = "/api/dead-letters"
BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
SLICE = {"delivery": "d-1#0", "message": {"id": "m-1", "text": "hello", "chat_id": None}}


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """Two channels, an operator at his desk."""
    with Desk(database_url) as made:
        made.open_channel("desk", [made.operator("ann")], kinds=("telegram", "custom"))
        yield made


def edit(desk: Desk, letter_id: int, values: dict[str, Any], **more: Any) -> httpx.Response:
    """An edit by the service."""
    return desk.service.post(f"{LETTERS}/{letter_id}/edit", json={"set": values, **more})


def refusal(response: httpx.Response, status: int) -> str:
    """The reason of a refusal."""
    assert response.status_code == status, response.text
    return str(problem_of(response)["reason"])


def stored(desk: Desk, letter_id: int) -> tuple[InboundMessage, bytes, bytes]:
    """The message, its digest, and the slice."""
    message, kept, raw = desk.rows(
        "SELECT message::text, digest, raw FROM inbox JOIN dead_letters AS letters ON letters.inbox_id = inbox.id "
        "WHERE letters.id = %s",
        letter_id,
    )[0]
    return InboundMessage.model_validate_json(message), bytes(kept), bytes(raw)


def keys(desk: Desk) -> list[tuple[Any, ...]]:
    """The unique keys."""
    return desk.rows("SELECT channel_id, key_hash, day FROM inbox_keys ORDER BY 1, 2")


def test_a_message_is_edited(desk: Desk) -> None:
    """The message changes with its digest; the slice, the key and the letter's place stay; the difference is kept."""
    letter = poisoned(desk, "desk-telegram", "7", "call +49 171 2345678")
    _, before, raw = stored(desk, letter)
    unique, ledger = keys(desk), desk.rows("SELECT * FROM ledger")
    response = edit(desk, letter, {"text": "call me", "name": "Ann"}, reason="a bad number", by="Eva")
    assert response.status_code == 200, response.text
    message, kept, same = stored(desk, letter)
    assert (message.text, message.name, message.chat_id) == ("call me", "Ann", "7")
    assert (same, keys(desk), desk.rows("SELECT * FROM ledger")) == (raw, unique, ledger)
    assert kept != before
    assert kept == digest(message.model_dump_json(exclude_defaults=True))
    shown = response.json()
    assert shown["state"] == "dead"
    (act,) = shown["acts"]
    assert (act["actor"], act["act"], act["reason"]) == ("service:Eva", "edit", "a bad number")
    assert act["details"]["changes"][0] == {
        "path": "text", "was": "*** (20 characters)", "became": "*** (7 characters)"
    }  # fmt: skip
    revealed = desk.service.post(f"{LETTERS}/{letter}/reveal").json()["acts"][0]["details"]
    assert revealed == {
        "of": "message",
        "changes": [
            {"path": "text", "was": "call +49 171 2345678", "became": "call me"},
            {"path": "name", "was": "", "became": "Ann"},
        ],
    }
    audited = orjson.dumps(desk.rows("SELECT act, outcome, details FROM audit ORDER BY id")[0]).decode()
    assert "edit_dead_letter" in audited
    assert '"fields":"text, name"' in audited
    assert "2345678" not in audited
    assert "call me" not in audited


def test_what_was_found_in_the_old_message_is_found_again(desk: Desk) -> None:
    """A letter of bind_chat has been looked up: the identifiers of the edited text are those that bind."""
    inbox_id = desk.say("desk-telegram", "7", "call +49 171 2345678")
    desk._runners[Step.CRM_LOOKUP].run([inbox_id], {}, 0)
    letter = bury(desk, inbox_id, Step.BIND_CHAT)
    found = "SELECT found FROM inbox_state WHERE inbox_id = %s"
    assert "+491712345678" in str(desk.value(found, inbox_id))
    assert edit(desk, letter, {"text": "no, +49 171 2345679"}).status_code == 200
    identifiers = [one["value"] for one in desk.value(found, inbox_id)["identifiers"]]
    assert identifiers == ["+491712345679"]
    desk.rows("UPDATE inbox_state SET stage = 'bind_chat', finished_at = NULL WHERE inbox_id = %s", inbox_id)
    desk.rows("INSERT INTO ledger VALUES ('dead', -1)")
    desk.drain()
    facts = desk.rows("SELECT value FROM card_identifiers WHERE kind = 'phone'")
    assert facts == [("+491712345679",)]
    assert desk.value("SELECT text FROM messages WHERE inbox_id = %s", inbox_id) == "no, +49 171 2345679"


def test_a_slice_is_edited(desk: Desk) -> None:
    """What the adapter reads then is the message; what came in stays; edited again, it is the message's own field."""
    letter = unreadable(desk, "desk-custom", SLICE)
    raw = desk.value("SELECT raw FROM inbox JOIN dead_letters ON inbox_id = inbox.id")
    unique = keys(desk)
    assert refusal(edit(desk, letter, {"message.text": "x"}), 422) == "still_unreadable"
    assert desk.value("SELECT message FROM inbox") is None
    shown = edit(desk, letter, {"message.chat_id": "c-9"}).json()
    message, kept, same = stored(desk, letter)
    assert (message.chat_id, message.text, message.channel) == ("c-9", "hello", "desk-custom")
    assert kept == digest(message.model_dump_json(exclude_defaults=True))
    assert (same, keys(desk)) == (bytes(raw), unique)
    assert shown["acts"][0]["details"]["of"] == "raw"
    assert "replay" in shown["advice"]
    assert edit(desk, letter, {"text": "hello again"}).status_code == 200
    assert stored(desk, letter)[0].text == "hello again"
    assert [act["details"]["of"] for act in desk.get(f"{LETTERS}/{letter}")["acts"]] == ["raw", "message"]


def test_mistakes_change_nothing(desk: Desk) -> None:
    """Each names its field; nothing is stored, and the refusal is audited with its reason."""
    letter = poisoned(desk, "desk-telegram", "7", "my words")
    before = stored(desk, letter)
    for values, reason in (
        ({"key": "x"}, "fixed_field"),
        ({"txet": "x"}, "unknown_field"),
        ({"text": 5}, "invalid_value"),
        ({"kind": "status"}, "fixed_field"),
    ):
        response = edit(desk, letter, values)
        assert refusal(response, 422) == reason
        assert next(iter(values)) in problem_of(response)["detail"]
    assert refusal(edit(desk, letter, {}, remove=["reply"]), 422) == "unknown_field"
    assert refusal(edit(desk, letter, {}), 422) == "invalid_request"
    assert stored(desk, letter) == before
    assert desk.value("SELECT count(*) FROM dead_letter_acts") == 0
    outcomes = [outcome for (outcome,) in desk.rows("SELECT outcome FROM audit ORDER BY id")]
    assert outcomes == ["fixed_field", "unknown_field", "invalid_value", "fixed_field", "unknown_field"]


def test_what_cannot_be_edited(desk: Desk) -> None:
    """A delivery, what stands in the history, an account that nobody has connected, and what is dead no more."""
    sent = undelivered(desk, desk.dialog("desk-custom", "8"), "ann")
    assert refusal(edit(desk, sent, {"text": "x"}), 409) == "not_editable"
    inbox_id = desk.say("desk-telegram", "7")
    for step in (Step.CRM_LOOKUP, Step.BIND_CHAT):
        desk._runners[step].run([inbox_id], {}, 0)
    late = bury(desk, inbox_id, Step.ENSURE_CARD)
    response = edit(desk, late, {"text": "x"})
    assert refusal(response, 409) == "not_editable"
    assert "history" in problem_of(response)["detail"]
    stranger = unreadable(desk, "desk-custom", SLICE)
    desk.rows("UPDATE dead_letters SET reason = 'unknown_account' WHERE id = %s", stranger)
    assert refusal(edit(desk, stranger, {"message.chat_id": "x"}), 409) == "not_editable"
    gone = poisoned(desk, "desk-telegram", "9")
    desk.service.post(f"{LETTERS}/discard", json={"which": {"ids": [gone]}, "reason": "x"})
    assert refusal(edit(desk, gone, {"text": "x"}), 409) == "not_dead"


def test_an_edit_is_done_once_under_its_key(desk: Desk) -> None:
    """Asked again it shows the letter as it is; another edit under the key is refused."""
    letter = poisoned(desk, "desk-telegram", "7")

    def asked(text: str) -> httpx.Response:
        headers = {"Idempotency-Key": "one"}
        return desk.service.post(f"{LETTERS}/{letter}/edit", json={"set": {"text": text}}, headers=headers)

    assert asked("a").status_code == 200
    assert asked("a").headers["Idempotency-Replayed"] == "true"
    assert refusal(asked("b"), 422) == "idempotency_key_reused"
    assert len(desk.get(f"{LETTERS}/{letter}")["acts"]) == 1


def test_a_row_that_postgresql_refused_is_edited_as_a_slice(desk: Desk) -> None:
    """Step `accept`: the adapter can read it, and PostgreSQL could not keep it; what is needed is said and works."""
    letter = unreadable(desk, "desk-custom", {"delivery": "d#0", "message": {"chat_id": None, "customer_id": None}})
    desk.rows("UPDATE dead_letters SET step = 'accept', reason = 'refused_by_database' WHERE id = %s", letter)
    assert "Edit the field" in desk.get(f"{LETTERS}/{letter}")["advice"]
    assert edit(desk, letter, {"message": {"chat_id": "c-1", "text": "hi"}}).status_code == 200
    assert stored(desk, letter)[0].text == "hi"


def test_an_edited_phone_of_a_form_binds_as_typed(desk: Desk) -> None:
    """T3: even if the channel had proven what was there before."""
    proven = phone("+491712345678", Evidence.PROVEN)
    letter = bury(desk, desk.say("desk-custom", "7", given=[proven]))
    assert edit(desk, letter, {"identifiers.0.value": "+491712345679"}).status_code == 200
    (read,) = stored(desk, letter)[0].identifiers
    assert (read.key, read.evidence) == ("+491712345679", Evidence.TYPED)


def test_an_edit_waits_for_whoever_has_the_letter(desk: Desk) -> None:
    """Who discards it first wins; the edit finds it dead no more, and changes nothing."""
    letter = poisoned(desk, "desk-telegram", "7")
    before = stored(desk, letter)
    inbox_id = desk.value("SELECT inbox_id FROM dead_letters")
    with ThreadPoolExecutor(1) as threads, session_of(desk) as session:
        with session.transaction() as connection:
            connection.execute("UPDATE inbox_state SET stage = 'discarded' WHERE inbox_id = %s", [inbox_id])
            waiting = threads.submit(edit, desk, letter, {"text": "x"})
            assert wait_for(lambda: desk.value(BLOCKED) == 1, 60)
        assert refusal(waiting.result(), 409) == "not_dead"
    assert stored(desk, letter) == before

"""Dead letters over HTTP, on real PostgreSQL: looking at them, discarding and restoring them, exporting them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import httpx
import orjson
import pytest

from config.topology import Step
from console import dead_letters as acts
from crm_store.dead_letters import STEPS
from tests.customers import audit
from tests.desks import Desk, problem_of
from tests.letters import acts_of, bury, ledger_of, not_json, poisoned, undelivered, unreadable
from tracker.access import Role, Scope

pytestmark = pytest.mark.integration

LETTERS = "/api/dead-letters"
PHONE = "+49 171 2345678"


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """Two channels, an operator at his desk."""
    with Desk(database_url) as made:
        made.open_channel("desk", [made.operator("ann")], kinds=("telegram", "custom"))
        yield made


def ids_of(found: dict[str, Any]) -> list[int]:
    """Of a page."""
    return [one["id"] for one in found["items"]]


def test_every_kind_of_death_is_listed(desk: Desk) -> None:
    """A message, a body that nobody can read, and an answer that was not delivered; the latest first."""
    read = poisoned(desk, "desk-telegram", "7", "help")
    unread = unreadable(desk, "desk-custom", {"type": "message", "text": "no chat"})
    sent = undelivered(desk, desk.dialog("desk-custom", "8"), "ann")
    found = desk.get(LETTERS)
    assert ids_of(found) == [sent, unread, read]
    delivery, body, message = found["items"]
    assert (delivery["step"], delivery["reason"], delivery["channel"]) == ("deliver", "http_410", "desk-custom")
    assert delivery["inbox_id"] is None
    assert delivery["delivery_id"] == desk.value("SELECT id FROM outbox")
    assert (body["step"], body["reason"], body["chat_id"]) == ("parse", "unparsable", None)
    assert (message["step"], message["channel_kind"], message["attempts"]) == ("crm_lookup", "telegram", 1)
    assert message["chat_id"] == desk.value("SELECT id FROM chats WHERE external_id = '7'")
    assert {one["state"] for one in found["items"]} == {"dead"}


def test_filters(desk: Desk) -> None:
    """By channel, reason, step, cause, time, state, number and text; what does not fit is named in the error."""
    first = poisoned(desk, "desk-telegram", "7", 'Fahrrad "gekauft" 100%', reason="boom")
    unread = unreadable(desk, "desk-custom", {"type": "message", "text": 'Schlüssel_verloren\n"gestern"'})
    sent = undelivered(desk, desk.dialog("desk-custom", "8"), "ann", "Ihr Paket kommt")
    group = desk.get(f"{LETTERS}/{first}")["group"]
    died = desk.value("SELECT died_at FROM dead_letters WHERE id = %s", unread).isoformat()
    for wanted, expected in (
        ({"channel": "desk-telegram"}, [first]),
        ({"reason": "unparsable"}, [unread]),
        ({"step": "deliver"}, [sent]),
        ({"group": group}, [first]),
        ({"fingerprint": "Boom@worker/steps/crm_lookup.py:f"}, [first]),
        ({"since": died}, [sent, unread]),
        ({"until": died}, [first]),
        ({"state": "dead"}, [sent, unread, first]),
        ({"state": "discarded"}, []),
        ({"ids": [first, sent]}, [sent, first]),
        ({"text": "FAHRRAD"}, [first]),
        ({"text": "100%"}, [first]),
        ({"text": '"Gekauft" 1'}, [first]),
        ({"text": 'verloren\n"gestern"'}, [unread]),
        ({"text": "1_0%"}, []),
        ({"text": "schlüssel_"}, [unread]),
        ({"text": "paket"}, [sent]),
        ({"text": "nirgends"}, []),
        ({"text": "paket", "channel": "desk-telegram"}, []),
    ):
        assert ids_of(desk.get(LETTERS, **wanted)) == expected, wanted
    for wrong, reason, where in (
        ({"channel": "nowhere"}, "unknown_channel", "channel"),
        ({"step": "bind"}, "invalid_request", "step"),
        ({"group": "x"}, "invalid_request", "group"),
        ({"since": "yesterday"}, "invalid_request", "since"),
        ({"state": "alive"}, "invalid_request", "state"),
        ({"colour": "red"}, "invalid_request", "colour"),
        ({"cursor": "x"}, "bad_cursor", "cursor"),
    ):
        response = desk.service.get(LETTERS, params=wrong)
        assert response.status_code == 422
        assert problem_of(response)["reason"] == reason
        assert where in response.text


def test_pages_follow_each_other(desk: Desk) -> None:
    """Each letter once, whatever dies between two pages."""
    made = [poisoned(desk, "desk-telegram", str(n)) for n in range(5)]
    first = desk.get(LETTERS, limit=2)
    poisoned(desk, "desk-telegram", "later")
    second = desk.get(LETTERS, limit=2, cursor=first["next"])
    third = desk.get(LETTERS, limit=2, cursor=second["next"])
    assert [*ids_of(first), *ids_of(second), *ids_of(third)] == made[::-1]
    assert third["next"] is None


def test_groups_and_stats(desk: Desk) -> None:
    """By cause, with counts, channels, first and last time; a figure of each state, step, reason and channel."""
    alike = [poisoned(desk, "desk-telegram", "7"), poisoned(desk, "desk-custom", "8")]
    other = poisoned(desk, "desk-telegram", "9", fingerprint="KeyError@tracker/x.py:g")
    desk.service.post(f"{LETTERS}/discard", json={"which": {"ids": [alike[0]]}, "reason": "a test"})
    large, small = desk.get(f"{LETTERS}/groups")["items"]
    assert (large["letters"], large["dead"], large["discarded"], small["letters"]) == (2, 1, 1, 1)
    assert large["channels"] == ["desk-custom", "desk-telegram"]
    assert (large["latest_id"], small["latest_id"]) == (alike[1], other)
    assert large["first_at"] < large["last_at"] < small["last_at"]
    assert large["group"] != small["group"]
    assert ids_of(desk.get(LETTERS, group=large["group"])) == alike[::-1]
    (only,) = desk.get(f"{LETTERS}/groups", state="discarded")["items"]
    assert (only["letters"], only["channels"]) == (1, ["desk-telegram"])
    stats = desk.get(f"{LETTERS}/stats")
    assert (stats["all"]["letters"], stats["all"]["dead"], stats["all"]["last_hour"]) == (3, 2, 3)
    assert {name: one["letters"] for name, one in stats["states"].items()} == {"dead": 2, "discarded": 1}
    assert {name: one["dead"] for name, one in stats["channels"].items()} == {"desk-telegram": 1, "desk-custom": 1}
    assert stats["steps"].keys() == {"crm_lookup"}
    assert stats["reasons"].keys() == {"boom"}
    assert stats["all"]["oldest_dead_at"] == large["last_at"]
    nothing = desk.get(f"{LETTERS}/stats", channel="desk-telegram", reason="none")
    assert nothing["all"] == {
        "letters": 0, "dead": 0, "last_hour": 0, "last_day": 0, "oldest_dead_at": None, "last_died_at": None
    }  # fmt: skip


def test_a_letter_shows_its_structure_and_nobodys_words(desk: Desk) -> None:
    """Masked: names and kinds of fields, lengths of texts; attempts, cause and what to do are in the clear."""
    letter = unreadable(desk, "desk-custom", {"type": "message", "text": "call me", "from": {"phone": PHONE, "age": 7}})
    shown = desk.get(f"{LETTERS}/{letter}")
    assert shown["item"]["raw"]["form"] == "json"
    assert shown["item"]["raw"]["content"] == {
        "type": "*** (7 characters)",
        "text": "*** (7 characters)",
        "from": {"phone": "*** (15 characters)", "age": "*** (number)"},
    }
    assert shown["item"]["headers"] == {"content-type": "application/json", "x-from": "***"}
    assert shown["item"]["message"] is None
    assert shown["revealed"] is False
    (failure,) = shown["failures"]
    assert (failure["step"], failure["attempt"], failure["reason"]) == ("parse", 1, "unparsable")
    assert "ingest/adapters/custom.py" in shown["traceback"]
    assert "edit" in shown["advice"]
    assert str(letter) in shown["advice"]
    read = desk.get(f"{LETTERS}/{poisoned(desk, 'desk-telegram', '7', 'my secret')}")
    assert read["item"]["message"]["text"] == "*** (9 characters)"
    assert read["item"]["message"]["kind"] == "text"
    assert read["item"]["message"]["chat_id"] == "*** (1 characters)"
    assert (read["item"]["stage"], read["item"]["chat_seq"]) == ("dead", 1)
    assert "secret" not in orjson.dumps(read).decode()
    sent = desk.get(f"{LETTERS}/{undelivered(desk, desk.dialog('desk-custom', '8'), 'ann', 'my words')}")
    assert (sent["delivery"]["text"], sent["delivery"]["state"], sent["item"]) == ("***", "failed", None)
    assert sent["failures"][0]["worker"] == "worker-2"
    body = desk.get(f"{LETTERS}/{not_json(desk, 'desk-custom', b'name=Ann&x=1')}")["item"]["raw"]
    assert body == {"form": "text", "size": 12, "content": None}


def test_reveal_shows_all_and_is_audited(desk: Desk) -> None:
    """An administrator sees everything; the audit says who looked at which letter."""
    letter = unreadable(desk, "desk-custom", {"type": "message", "text": "call me", "x": "\ud800 \x00", "n": 2**70})
    response = desk.service.post(f"{LETTERS}/{letter}/reveal", json={"by": "Eva"})
    assert response.status_code == 200, response.text
    shown = response.json()
    assert shown["revealed"] is True
    assert shown["item"]["raw"]["content"]["text"] == "call me"
    assert shown["item"]["headers"]["x-from"] == PHONE
    assert "authorization" not in shown["item"]["headers"]
    assert desk.service.post(f"{LETTERS}/999/reveal").status_code == 404
    assert audit(desk) == [
        ("service:Eva", "reveal_dead_letter", "done"),
        ("service", "reveal_dead_letter", "unknown_dead_letter"),
    ]
    binary = not_json(desk, "desk-custom", b"\xff\xfe")
    assert desk.service.post(f"{LETTERS}/{binary}/reveal").json()["item"]["raw"] == {
        "form": "base64", "size": 2, "content": "//4="
    }  # fmt: skip


def test_discard_and_restore(desk: Desk) -> None:
    """What is dead is discarded, and the other way round; the ledger follows, deliveries never touch it."""
    items = [poisoned(desk, "desk-telegram", str(n)) for n in range(3)]
    sent = undelivered(desk, desk.dialog("desk-custom", "8"), "ann")
    before = ledger_of(desk)
    done = desk.service.post(f"{LETTERS}/discard", json={"which": {"ids": [*items[:2], sent]}, "reason": "spam"}).json()
    assert done == {"letters": 3, "left": 0, "more": False}
    after = ledger_of(desk)
    assert (after.dead, after.discarded) == (before.dead - 2, before.discarded + 2)
    assert ids_of(desk.get(LETTERS, state="discarded")) == [sent, items[1], items[0]]
    again = desk.service.post(f"{LETTERS}/discard", json={"which": {"ids": items}, "reason": "spam"}).json()
    assert again == {"letters": 1, "left": 2, "more": False}
    refused = desk.service.post(f"{LETTERS}/discard", json={"which": {"ids": items}, "reason": "spam"})
    assert (refused.status_code, problem_of(refused)["reason"]) == (409, "not_dead")
    assert "3 discarded" in problem_of(refused)["detail"]
    back = desk.service.post(f"{LETTERS}/restore", json={"which": {"all": True}, "reason": "a slip"}).json()
    assert back == {"letters": 4, "left": 0, "more": False}
    assert ledger_of(desk) == before
    assert desk.get(f"{LETTERS}/{sent}")["state"] == "dead"
    assert acts_of(desk, items[0]) == [("service", "discard", "spam"), ("service", "restore", "a slip")]
    assert desk.get(f"{LETTERS}/{items[0]}")["acts"][1]["reason"] == "a slip"
    assert desk.value("SELECT bool_and(finished_at = died_at) FROM inbox_state JOIN dead_letters USING (inbox_id)")
    assert problem_of(
        desk.service.post(f"{LETTERS}/restore", json={"which": {"step": "deliver"}, "reason": "x"})
    )["reason"] == "not_discarded"  # fmt: skip


def test_an_act_on_everything_must_say_so(desk: Desk) -> None:
    """Without a filter nothing happens; a reason is required; what may be a customer's word is not audited."""
    letter = poisoned(desk, "desk-telegram", "7", "Quirina")
    for which, reason in (({}, "nothing_selected"), ({"all": True, "step": "parse"}, "nothing_selected")):
        refused = desk.service.post(f"{LETTERS}/discard", json={"which": which, "reason": "x"})
        assert (refused.status_code, problem_of(refused)["reason"]) == (422, reason)
    assert desk.service.post(f"{LETTERS}/discard", json={"which": {"ids": [letter]}, "reason": " "}).status_code == 422
    assert desk.service.post(f"{LETTERS}/discard", json={"which": {"ids": [letter]}}).status_code == 422
    body = {"which": {"text": "quirina"}, "reason": f"he called from {PHONE}", "by": "Eva"}
    assert desk.service.post(f"{LETTERS}/discard", json=body).json()["letters"] == 1
    actor, act, details = desk.rows("SELECT actor, act, details::text FROM audit ORDER BY id")[-1]
    assert (actor, act) == ("service:Eva", "discard_dead_letters")
    assert "uirina" not in details
    assert "171" not in details
    assert '"letters": 1' in details


def test_an_act_is_done_once_under_its_key(desk: Desk) -> None:
    """Asked again under the same key it changes nothing, whatever has died meanwhile."""
    poisoned(desk, "desk-telegram", "7")
    body = {"which": {"all": True}, "reason": "spam"}
    headers = {"Idempotency-Key": "one"}
    first = desk.service.post(f"{LETTERS}/discard", json=body, headers=headers)
    later = poisoned(desk, "desk-telegram", "8")
    second = desk.service.post(f"{LETTERS}/discard", json=body, headers=headers)
    assert second.headers["Idempotency-Replayed"] == "true"
    assert first.json() == second.json() == {"letters": 1, "left": 0, "more": False}
    assert desk.get(f"{LETTERS}/{later}")["state"] == "dead"


def test_many_who_discard_and_restore_at_once_leave_the_ledger_right(desk: Desk) -> None:
    """Each letter is discarded by one, restored by one; nobody waits in a circle, and nothing is counted twice."""
    letters = [poisoned(desk, "desk-telegram", str(n % 3)) for n in range(12)]
    letters.append(undelivered(desk, desk.dialog("desk-custom", "8"), "ann"))
    orders = [letters, letters[::-1]]

    def act(n: int) -> httpx.Response:
        body = {"which": {"ids": orders[n % 2]}, "reason": "race"}
        return desk.service.post(f"{LETTERS}/{'discard' if n % 4 < 2 else 'restore'}", json=body)

    with ThreadPoolExecutor(8) as threads:
        responses = list(threads.map(act, range(24)))
    assert {response.status_code for response in responses} <= {200, 409}, [one.text for one in responses]
    read = ledger_of(desk)
    stages = dict(desk.rows("SELECT stage::text, count(*) FROM inbox_state GROUP BY 1"))
    assert (read.dead, read.discarded) == (stages.get("dead", 0), stages.get("discarded", 0))
    for letter in letters:
        done = [act for _, act, _ in acts_of(desk, letter)]
        assert all(one != other for one, other in pairwise(done)), "in turn"


def test_parts(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too many for one transaction is done in parts, in order of arrival; the answer says if there is more."""
    monkeypatch.setattr(acts, "MOST_AT_ONCE", 2)
    letters = [poisoned(desk, "desk-telegram", str(n)) for n in range(5)]
    body = {"which": {"reason": "boom"}, "reason": "spam"}
    parts = [desk.service.post(f"{LETTERS}/discard", json=body).json() for _ in range(3)]
    assert [(part["letters"], part["more"]) for part in parts] == [(2, True), (2, True), (1, False)]
    assert [acts_of(desk, letter) for letter in letters] == [[("service", "discard", "spam")]] * 5


def test_export(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of JSON in order of arrival, each a letter as it is shown; with everything only for administrators."""
    monkeypatch.setattr(acts, "READ_AT_ONCE", 2)
    letters = [poisoned(desk, "desk-telegram", str(n), f"words {n}") for n in range(5)]
    response = desk.service.get(f"{LETTERS}/export", params={"state": "dead"})
    lines = [orjson.loads(line) for line in response.text.splitlines()]
    assert [line["id"] for line in lines] == letters
    assert response.headers["letters"] == "5"
    assert response.headers["content-type"].startswith("application/x-ndjson")
    assert "words" not in response.text
    assert lines[0] == desk.get(f"{LETTERS}/{letters[0]}")
    response = desk.service.post(f"{LETTERS}/export", json={"which": {"ids": letters[:2]}})
    revealed = [orjson.loads(line)["item"]["message"]["text"] for line in response.text.splitlines()]
    assert revealed == ["words 0", "words 1"]
    ((act, details),) = desk.rows("SELECT act, details FROM audit")
    assert (act, details["letters"]) == ("export_dead_letters", 2)
    assert desk.service.get(f"{LETTERS}/export", params={"channel": "nowhere"}).status_code == 422


def test_who_may(desk: Desk) -> None:
    """Reading takes a supervisor who sees the whole desk; acting and revealing an administrator; all is audited."""
    letter = poisoned(desk, "desk-telegram", "7")
    desk.operator("sue", role=Role.SUPERVISOR)
    desk.operator("dan", role=Role.SUPERVISOR, scope=Scope.DEPARTMENT)
    desk.operator("eva", role=Role.ADMINISTRATOR, scope=None)
    looks = ("", "/groups", "/stats", "/export", f"/{letter}")
    edit = {"set": {"text": "x"}}
    some = {"which": {"ids": [letter]}, "reason": "x"}
    changes: tuple[tuple[str, dict[str, Any]], ...] = (
        (f"/{letter}/reveal", {}),
        ("/export", {}),
        (f"/{letter}/edit", edit),
        ("/discard", some),
        ("/restore", some),
    )
    for name, may_look in (("ann", False), ("dan", False), ("sue", True), ("eva", True)):
        for path in looks:
            response = desk.as_operator(name).get(LETTERS + path)
            assert response.status_code == (200 if may_look else 403), (name, path, response.text)
    for name in ("ann", "dan", "sue"):
        for path, body in changes:
            response = desk.as_operator(name).post(LETTERS + path, json=body)
            assert (response.status_code, problem_of(response)["reason"]) == (403, "administrators_only"), (name, path)
    assert len(audit(desk)) == 15
    assert {outcome for _, _, outcome in audit(desk)} == {"administrators_only"}
    for path, body in changes:
        assert desk.as_operator("eva").post(LETTERS + path, json=body).status_code == 200, path
    assert desk.with_token("").get(LETTERS).status_code == 401


def test_what_is_not_there(desk: Desk) -> None:
    """404 with its reason."""
    for response in (
        desk.service.get(f"{LETTERS}/999"),
        desk.service.post(f"{LETTERS}/999/reveal"),
        desk.service.post(f"{LETTERS}/999/edit", json={"set": {"text": "x"}}),
    ):
        assert (response.status_code, problem_of(response)["reason"]) == (404, "unknown_dead_letter")


def test_every_step_and_reason_has_its_advice(desk: Desk) -> None:
    """Whoever is woken by a letter is told what to do, in each step; what was done with it changes the advice."""
    assert {*STEPS} == {"parse", "accept", *(step.value for step in Step)}
    letter = bury(desk, desk.say("desk-telegram", "7"), reason="worker_crashed")
    assert "three workers died" in desk.get(f"{LETTERS}/{letter}")["advice"]
    other = poisoned(desk, "desk-telegram", "8")
    advice = desk.get(f"{LETTERS}/{other}")["advice"]
    assert "failed in crm_lookup" in advice
    assert desk.get(f"{LETTERS}/{other}")["group"] in advice
    desk.service.post(f"{LETTERS}/discard", json={"which": {"ids": [other]}, "reason": "x"})
    assert f"restore {other}" in desk.get(f"{LETTERS}/{other}")["advice"]
    refused = unreadable(desk, "desk-custom", {"type": "message"})
    desk.rows("UPDATE dead_letters SET step = 'accept', reason = 'refused_by_database' WHERE id = %s", refused)
    assert "PostgreSQL refused" in desk.get(f"{LETTERS}/{refused}")["advice"]

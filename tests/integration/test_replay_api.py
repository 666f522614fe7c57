"""Replays over HTTP, on real PostgreSQL: asked for once, rehearsed, stopped, resumed, and remembered."""

from collections.abc import Iterator
from typing import Any

import pytest

from crm_store.database import DatabaseOptions, Session
from tests.customers import audit
from tests.desks import BOX, Desk, problem_of
from tests.letters import ledger_of, poisoned
from tests.pipeline import RecordingHints
from tracker.access import Role, Scope
from worker.replaying import Replaying

pytestmark = pytest.mark.integration

REPLAYS = "/api/dead-letters/replays"


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """A channel, an operator at his desk."""
    with Desk(database_url) as made:
        made.open_channel("desk", [made.operator("ann")])
        yield made


@pytest.fixture
def look(desk: Desk) -> Iterator[Any]:
    """What a clock does for replays, once."""
    session = Session(DatabaseOptions(desk.url, "openchannel clock"))
    yield Replaying(session, RecordingHints(), BOX).look
    session.close()


def ask(desk: Desk, which: dict[str, Any], **wanted: Any) -> Any:
    """Ask for a replay with the service token."""
    response = desk.service.post(REPLAYS, json={"which": which, **wanted})
    assert response.status_code == 201, response.text
    return response.json()


def refused(response: Any, status: int) -> str:
    """The reason."""
    assert response.status_code == status, response.text
    return str(problem_of(response)["reason"])


def test_a_replay_from_the_first_word_to_the_last(desk: Desk, look: Any) -> None:
    """Asked for, driven by a clock, done; who, what and every letter's outcome stand in its history."""
    letters = [poisoned(desk, "desk-telegram", str(n), "help") for n in range(3)]
    asked = ask(desk, {"text": "help"}, pace={"canary": 1, "rate": 100.0}, by="Olga")
    assert (asked["state"], asked["total"], asked["waiting"]) == ("running", 3, 3)
    assert (asked["actor"], asked["canary"], asked["rate"], asked["max_failures"]) == ("service:Olga", 1, 100.0, 0.2)
    assert asked["selection"] == {"text": "***"}, "what was searched for is a customer's word"
    for _ in range(30):
        look()
        if desk.value("SELECT state FROM replays") == "done":
            break
        desk.drain()
    done = desk.get(f"{REPLAYS}/{asked['id']}")
    assert (done["state"], done["done"], done["failed"], done["waiting"]) == ("done", 3, 0, 0)
    assert done["outcomes"] == [{"state": "done", "outcome": "done", "letters": 3}]
    items = desk.get(f"{REPLAYS}/{asked['id']}/letters", limit=2)
    assert [(one["position"], one["letter_id"], one["state"]) for one in items["items"]] == [
        (1, letters[0], "done"),
        (2, letters[1], "done"),
    ]
    rest = desk.get(f"{REPLAYS}/{asked['id']}/letters", limit=2, cursor=items["next"])
    assert ([one["letter_id"] for one in rest["items"]], rest["next"]) == (letters[2:], None)
    assert desk.get(f"{REPLAYS}/{asked['id']}/letters", state="failed")["items"] == []
    assert [one["id"] for one in desk.get(REPLAYS)["items"]] == [asked["id"]]
    assert desk.get(f"/api/dead-letters/{letters[0]}")["acts"][0]["details"] == {"replay_id": asked["id"]}
    assert audit(desk) == [("service:Olga", "replay_dead_letters", "done")]
    pace = {"canary": 1, "rate": 100.0, "max_failures": 0.2}
    details = {"text": "***", **pace, "letters": 3, "replay_id": asked["id"]}
    assert desk.value("SELECT details FROM audit") == details
    assert (ledger_of(desk).done, ledger_of(desk).dead) == (3, 0)


def test_under_a_key_it_is_asked_for_once(desk: Desk) -> None:
    """Whoever asks again is told how far it is; no second replay begins."""
    poisoned(desk, "desk-telegram", "1")
    body = {"which": {"all": True}}
    first = desk.service.post(REPLAYS, json=body, headers={"idempotency-key": "k"})
    again = desk.service.post(REPLAYS, json=body, headers={"idempotency-key": "k"})
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["idempotency-replayed"] == "true"
    assert len(desk.get(REPLAYS)["items"]) == 1
    other = desk.service.post(REPLAYS, json={"which": {"ids": [1]}}, headers={"idempotency-key": "k"})
    assert refused(other, 422) == "idempotency_key_reused"


def test_a_dry_run_tells_and_asks_for_nothing(desk: Desk) -> None:
    """200 with the first letters' effects, and how many are meant; no replay, no entry of the audit."""
    for n in range(3):
        poisoned(desk, "desk-telegram", str(n))
    response = desk.service.post(REPLAYS, json={"which": {"all": True}, "dry_run": True, "limit": 2})
    assert response.status_code == 200, response.text
    found = response.json()
    assert found["total"] == 3
    assert [(one["ending"], one["dialog"]["operator"]["name"]) for one in found["letters"]] == [("done", "ann")] * 2
    assert found["letters"][0]["cards"][0]["new"] is True
    assert desk.get(REPLAYS)["items"] == []
    assert audit(desk) == []


def test_stopping_and_resuming(desk: Desk, look: Any) -> None:
    """Each once: what does not fit its state is refused with the reason, and audited."""
    poisoned(desk, "desk-telegram", "1")
    replay_id = ask(desk, {"all": True})["id"]
    path = f"{REPLAYS}/{replay_id}"
    assert refused(desk.service.post(f"{path}/resume"), 409) == "already_running"
    stopped = desk.service.post(f"{path}/stop", json={"by": "Olga"}).json()
    assert (stopped["state"], stopped["reason"], stopped["changed_by"]) == ("stopped", "asked", "service:Olga")
    assert refused(desk.service.post(f"{path}/stop"), 409) == "not_running"
    look()
    assert desk.get(path)["waiting"] == 1
    assert desk.service.post(f"{path}/resume").json()["state"] == "running"
    look()
    desk.drain()
    look()
    look()
    assert desk.get(path)["state"] == "done"
    assert refused(desk.service.post(f"{path}/resume"), 409) == "replay_done"
    assert [(act, outcome) for _, act, outcome in audit(desk)] == [
        ("replay_dead_letters", "done"),
        ("resume_replay", "already_running"),
        ("stop_replay", "done"),
        ("stop_replay", "not_running"),
        ("resume_replay", "done"),
        ("resume_replay", "replay_done"),
    ]


def test_what_cannot_be_replayed_is_refused(desk: Desk) -> None:
    """Nothing that is meant is dead; nothing is said; a channel, a replay, a pace that there is not."""
    assert refused(desk.service.post(REPLAYS, json={"which": {"all": True}}), 409) == "not_dead"
    assert refused(desk.service.post(REPLAYS, json={"which": {}}), 422) == "nothing_selected"
    assert refused(desk.service.post(REPLAYS, json={"which": {"channel": "none"}}), 422) == "unknown_channel"
    for pace in ({"rate": 0}, {"rate": -1}, {"canary": 0}, {"max_failures": 1.5}, {"speed": 1}, {"canary": "5"}):
        response = desk.service.post(REPLAYS, json={"which": {"all": True}, "pace": pace})
        assert refused(response, 422) == "invalid_request"
        assert problem_of(response)["errors"][0]["loc"][:3] == ["body", "pace", next(iter(pace))]
    for path in (f"{REPLAYS}/7", f"{REPLAYS}/7/letters"):
        assert refused(desk.service.get(path), 404) == "unknown_replay"
    assert refused(desk.service.post(f"{REPLAYS}/7/stop"), 404) == "unknown_replay"


def test_who_may(desk: Desk) -> None:
    """Supervisors who see everything look; administrators and the service act."""
    poisoned(desk, "desk-telegram", "1")
    replay_id = ask(desk, {"all": True})["id"]
    desk.operator("sue", role=Role.SUPERVISOR)
    desk.operator("sam", role=Role.SUPERVISOR, scope=Scope.DEPARTMENT)
    desk.operator("adam", role=Role.ADMINISTRATOR)
    looks = (REPLAYS, f"{REPLAYS}/{replay_id}", f"{REPLAYS}/{replay_id}/letters")
    acts: tuple[tuple[str, dict[str, Any]], ...] = (
        (REPLAYS, {"which": {"all": True}}),
        (REPLAYS, {"which": {"all": True}, "dry_run": True}),
        (f"{REPLAYS}/{replay_id}/stop", {}),
        (f"{REPLAYS}/{replay_id}/resume", {}),
    )
    for path in looks:
        assert refused(desk.as_operator("ann").get(path), 403) == "supervisors_only"
        assert refused(desk.as_operator("sam").get(path), 403) == "out_of_scope"
        assert desk.as_operator("sue").get(path).status_code == 200
    for path, body in acts:
        assert refused(desk.as_operator("sue").post(path, json=body), 403) == "administrators_only"
        assert desk.as_operator("adam").post(path, json=body).is_success

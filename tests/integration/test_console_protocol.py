"""Tokens, problem documents, hostile requests, health and metrics, on real PostgreSQL."""

import base64
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from config.topology import Step
from console.app import make_api
from console.broker import Broker
from console.dependencies import Dependencies
from console.metrics import MEANINGS
from crm_store.database import Database, DatabaseOptions
from crm_store.secrets import hash_token
from tests.desks import SERVICE_TOKEN, Desk, problem_of, serving
from tests.processes import wait_for
from tracker.messages import MessageKind

pytestmark = pytest.mark.integration

SHARED = (
    "/api/cards",
    "/api/cards/1",
    "/api/cards/1/history",
    "/api/cards/1/provenance",
    "/api/chats/1",
    "/api/chats/1/history",
    "/api/dialogs",
    "/api/dialogs/1",
)
SERVICE_LOOK_UPS = (
    "/api/operators",
    "/api/open-channels",
    "/api/inbox/1",
    "/api/ledger",
    "/api/tracker/reviews",
    "/api/tracker/merges",
    "/api/tracker/blocked",
    "/api/audit",
)
ACTS = (
    "/api/operator/online",
    "/api/operator/offline",
    "/api/operator/heartbeat",
    "/api/dialogs/1/accept",
    "/api/dialogs/1/answer",
    "/api/dialogs/1/close",
)


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """A desk with the API in front of it."""
    with Desk(database_url) as made:
        yield made


def reason(response: httpx.Response, status: int) -> str:
    """The reason of a problem document with this status."""
    assert response.status_code == status, response.text
    return str(problem_of(response)["reason"])


# Tokens


def test_every_endpoint_wants_a_token(desk: Desk) -> None:
    """401 with WWW-Authenticate, without a token, with another scheme, and with one that nobody has."""
    for path in (*SHARED, *SERVICE_LOOK_UPS, "/api/operator/dialogs"):
        bare = desk.with_token("").get(path)
        assert reason(bare, 401) == "no_token"
        assert bare.headers["www-authenticate"] == "Bearer"
    for path in (*ACTS, "/api/chats/1/card"):
        assert reason(desk.with_token("").post(path, json={"text": "hello"}), 401) == "no_token"
        wrong = desk.with_token("nobody's").post(path, json={"text": "hello"})
        assert reason(wrong, 401) == "unknown_token"
        assert "invalid_token" in wrong.headers["www-authenticate"]
    basic = desk.with_token("").get("/api/cards", headers={"authorization": f"Basic {SERVICE_TOKEN}"})
    assert reason(basic, 401) == "no_token"
    for header in ("Bearer", "Bearer \xff\xfe", "bearer " + "x" * 5000):
        response = desk.with_token("").get("/api/cards", headers={b"authorization": header.encode("latin-1")})
        assert response.status_code == 401


def test_operators_look_at_dialogs_chats_and_cards_only(desk: Desk) -> None:
    """What belongs to the whole desk needs a higher role, or the service token."""
    desk.open_channel("desk", [desk.operator("ann")])
    desk.dialog("desk-telegram", "7")
    for path in SHARED:
        assert desk.as_operator("ann").get(path).status_code == 200, path
    for path in SERVICE_LOOK_UPS:
        assert reason(desk.as_operator("ann").get(path), 403) in {
            "service_only",
            "administrators_only",
            "supervisors_only",
        }
        assert desk.service.get(path).status_code == 200, path


def test_the_service_does_not_act_as_an_operator(desk: Desk) -> None:
    """Operators act by themselves; closing is a supervisor's act too."""
    for path in (
        *ACTS,
        "/api/operator/away",
        "/api/operator/workday/start",
        "/api/dialogs/1/skip",
        "/api/dialogs/1/take",
    ):
        if path == "/api/dialogs/1/close":
            continue
        assert reason(desk.service.post(path, json={"text": "hello"}), 403) == "operator_only"
    assert reason(desk.service.get("/api/operator/dialogs"), 403) == "operator_only"


# Problem documents


def test_every_error_is_a_problem_document(desk: Desk) -> None:
    """RFC 9457: also what the framework answers; what was sent is not repeated."""
    desk.open_channel("desk", [desk.operator("ann")])
    ann = desk.as_operator("ann")
    assert reason(desk.service.get("/api/nothing"), 404) == "not_found"
    assert reason(desk.service.delete("/api/cards"), 405) == "method_not_allowed"
    invalid = desk.service.get("/api/cards/none")
    assert reason(invalid, 422) == "invalid_request"
    assert invalid.json()["errors"][0]["loc"] == ["path", "card_id"]
    private = ann.post("/api/dialogs/1/answer", json={"text": "", "phone": "+49 171 2345678"})
    assert reason(private, 422) == "invalid_request"
    assert "2345678" not in private.text
    assert reason(ann.post("/api/dialogs/1/answer", json={"text": "x" * 4001}), 422) == "invalid_request"
    assert reason(ann.post("/api/dialogs/1/answer", json={"text": "  \n "}), 422) == "invalid_request"
    assert reason(desk.service.get("/api/cards", params={"cursor": "forged"}), 422) == "bad_cursor"
    for body in (b"{", b"\xff\xfe", b"[" * 20_000, b'"\\ud800"', b'{"\\ud800": 1}', b"null", b""):
        response = ann.post("/api/dialogs/1/answer", content=body, headers={"content-type": "application/json"})
        assert response.status_code in (400, 422), (body, response.text)
        problem_of(response)


def test_a_body_is_limited_before_anybody_shows_a_token(desk: Desk) -> None:
    """413, with and without a declared length."""
    large = b'{"text": "' + b"x" * 70_000 + b'"}'
    headers = {"content-type": "application/json"}
    anybody = desk.with_token("")
    assert reason(anybody.post("/api/dialogs/1/answer", content=large, headers=headers), 413) == "too_large"
    chunks = (large[n : n + 1000] for n in range(0, len(large), 1000))
    assert reason(anybody.post("/api/dialogs/1/answer", content=chunks, headers=headers), 413) == "too_large"


def test_hostile_values_are_never_a_500(desk: Desk) -> None:
    """A small fuzz of paths, queries, cursors and bodies: the answer is 2xx, 4xx, and a problem document if 4xx."""
    desk.open_channel("desk", [desk.operator("ann")])
    desk.dialog("desk-telegram", "7", "+49 171 2345678")
    rng = random.Random(4)
    values = [
        "0", "-1", "1.0", "1e3", "", " ", "\x00", "a\x00b", "\xff", "\u202e",
        "9223372036854775807", "9223372036854775808", "9" * 400, "9" * 5000, "NaN", "null", "true", "[]", "{}", "١٢٣",
        "'; DROP TABLE cards; --", "%s", "%(before)s", "+", "+0", "+999999999999999", "@", "a@b", "é" * 300, "🎉",
        "2026-01-01", "../../etc/passwd", "x" * 512, "x" * 513, "queued", "closed", "lead", "provisional", "DE", "ZZ",
    ]  # fmt: skip
    values += [
        base64.urlsafe_b64encode(inner).decode().rstrip("=")
        for inner in (
            b"[]", b"[1]", b"[-1]", b"[9223372036854775808]", b"[1.5]", b"[null]", b'["1"]', b"{}", b"\xff", b"[1, 1]",
            b'["0001-01-01T00:00:00Z", 1, 1]', b'["9999-12-31T23:59:59-14:00", 1, 1]', b"[1e300, 1, 1]",
            b'["2026-01-01T00:00:00", 1, 1]', b'["2026-01-01T00:00:00Z", 1, 9223372036854775807]', b"[" * 100,
        )
    ]  # fmt: skip
    names = ["cursor", "limit", "identifier", "region", "type", "status", "operator", "open_channel", "order", "x"]
    paths = ["/api/cards", "/api/dialogs", "/api/cards/1/history", "/api/chats/1/history", "/api/chats/1"]

    def check(response: httpx.Response, what: object) -> None:
        assert response.status_code < 500, (what, response.text)
        if response.status_code >= 400:
            problem_of(response)

    for value in values:
        for path in ("cards", "chats", "dialogs", "inbox"):
            check(desk.service.get(f"/api/{path}/{quote(value, safe='')}"), (path, value))
        for path in paths:
            for name in names:
                check(desk.service.get(path, params={name: value}), (path, name, value))
        check(desk.as_operator("ann").post("/api/dialogs/1/answer", json={"text": value}), value)
        check(desk.service.post("/api/chats/1/card", json={"type": value, value: value}), value)
        check(desk.as_operator("ann").post(f"/api/dialogs/{quote(value, safe='')}/accept"), value)
    for _ in range(300):
        parameters: dict[str, Any] = {rng.choice(names): rng.choice(values) for _ in range(3)}
        check(desk.service.get(rng.choice(paths), params=parameters), parameters)


def test_the_api_describes_itself(desk: Desk) -> None:
    """OpenAPI at /docs: every operation says which problem documents it answers, and which token it wants."""
    assert desk.with_token("").get("/docs").status_code == 200
    document = desk.with_token("").get("/openapi.json").json()
    assert document["info"]["title"] == "openchannel"
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if path.startswith("/api/"):
                assert operation["security"], (method, path)
                assert operation["responses"]["401"]["content"].keys() == {"application/problem+json"}, path
                assert "HTTPValidationError" not in str(operation["responses"]["422"])


def test_acts_take_an_idempotency_key(desk: Desk) -> None:
    """All but heartbeats and reveals, which may be repeated, and the tracker's, whose second time is refused."""
    document = desk.with_token("").get("/openapi.json").json()
    without = set()
    for path, operations in document["paths"].items():
        if "post" in operations:
            names = {parameter["name"].lower() for parameter in operations["post"].get("parameters", ())}
            if "idempotency-key" not in names:
                without.add(path)
    assert without == {
        "/api/operator/heartbeat",
        "/api/cards/{card_id}/identifiers",
        "/api/cards/{card_id}/identifiers/remove",
        "/api/cards/{card_id}/detach",
        "/api/chats/{chat_id}/detach",
        "/api/tracker/merges",
        "/api/tracker/merges/{merge_id}/undo",
        "/api/tracker/reviews/{review_id}/accept",
        "/api/tracker/reviews/{review_id}/reject",
        "/api/tracker/blocked",
        "/api/tracker/blocked/remove",
        "/api/dead-letters/{letter_id}/reveal",
        "/api/dead-letters/export",
    }


# Without servers


@pytest.fixture
def away() -> Iterator[str]:
    """The API of a process whose PostgreSQL and broker are away; gives its URL."""
    options = DatabaseOptions("postgresql://nobody@127.0.0.1:1/none", "openchannel tests", connect_timeout=0.3)
    with Database(options) as database:
        needs = Dependencies(database, lambda _step: None, dict, hash_token(SERVICE_TOKEN))
        with serving(make_api(needs)) as url:
            yield url


def test_without_postgresql_the_caller_is_sent_away_for_a_while(away: str) -> None:
    """503 with Retry-After, on look-ups, acts, readiness and metrics; the process lives."""
    with httpx.Client(base_url=away, timeout=20) as client:
        headers = {"authorization": f"Bearer {SERVICE_TOKEN}"}
        operator = {"authorization": "Bearer somebody's"}
        responses = [
            client.get("/api/ledger", headers=headers),
            client.post("/api/dialogs/1/accept", headers=operator),
            client.get("/readyz"),
            client.get("/metrics"),
        ]
        for response in responses:
            assert reason(response, 503) == "database_away"
            assert int(response.headers["retry-after"]) > 0
        assert client.get("/healthz").json() == {"status": "ok"}


def test_ready_is_a_database_that_is_migrated(desk: Desk, empty_database_url: str) -> None:
    """DESIGN: readiness needs PostgreSQL with its schema; without a broker messages are accepted all the same."""
    assert desk.with_token("").get("/readyz").json() == {"database": "ok", "broker": "ok", "paused_steps": []}
    desk.depths.clear()
    assert desk.with_token("").get("/readyz").json() == {"database": "ok", "broker": "away", "paused_steps": []}
    desk.rows("DELETE FROM _yoyo_migration")
    assert reason(desk.with_token("").get("/readyz"), 503) == "not_migrated"
    with Database(DatabaseOptions(empty_database_url, "openchannel tests")) as database:
        needs = Dependencies(database, lambda _step: None, dict, hash_token(SERVICE_TOKEN))
        with serving(make_api(needs)) as url:
            assert reason(httpx.get(f"{url}/readyz"), 503) == "not_migrated"


def test_a_broker_that_does_not_answer_is_not_waited_for() -> None:
    """DESIGN: hints go out on a thread of their own, those of one step that wait are one; a look is given up soon."""
    blocked = threading.Event()
    published: list[Step] = []

    def publish(step: Step) -> None:
        blocked.wait(10)
        published.append(step)

    def depths() -> dict[str, int]:
        blocked.wait(10)
        return {"deliver": 1}

    broker = Broker(publish, depths)
    for _ in range(100):
        broker.hint(Step.DELIVER)
        broker.hint(Step.DISTRIBUTE)
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(lambda _n: broker.depths(), range(2))) == [{}, {}]
    blocked.set()
    assert wait_for(lambda: broker.depths() == {"deliver": 1})
    assert wait_for(lambda: {Step.DELIVER, Step.DISTRIBUTE} <= set(published))
    assert len(published) <= 3


# Metrics


def samples(desk: Desk) -> dict[tuple[str, str], float]:
    """What /metrics says: by sample's name and its only label's value."""
    response = desk.with_token("").get("/metrics")
    assert response.status_code == 200
    families = list(text_string_to_metric_families(response.text))
    assert {family.name for family in families} == set(MEANINGS)
    assert all(family.documentation == MEANINGS[family.name] for family in families)
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in families
        for sample in family.samples
    }


def test_metrics_say_what_the_database_says(desk: Desk) -> None:
    """DESIGN: ledger, lag, step durations, task queue depth, dialogs per status, cards per type."""
    desk.open_channel("desk", [desk.operator("ann")], max_dialogs=1)
    desk.open_channel("manual", create="manual", kinds=("custom",))
    for chat in ("1", "2"):
        desk.dialog("desk-telegram", chat)
    desk.dialog("manual-custom", "3")
    desk.say("desk-telegram", "1", kind=MessageKind.STATUS)
    desk.say("desk-telegram", "1")
    desk.rows("UPDATE inbox_state SET due_at = now() - interval '1 minute' WHERE stage = 'crm_lookup'")
    desk.depths["respond"] = 7
    found = samples(desk)
    assert found["openchannel_inbox_accepted_total", ""] == 5
    assert found["openchannel_inbox_done_total", ""] == 3
    assert found["openchannel_inbox_ignored_total", ""] == 1
    assert found["openchannel_inbox_dead", ""] == found["openchannel_inbox_discarded", ""] == 0
    assert found["openchannel_inbox_pending", ""] == 1
    assert found["openchannel_step_lag_seconds", "crm_lookup"] == pytest.approx(60, abs=10)
    assert found["openchannel_step_lag_seconds", "deliver"] == 0
    assert found["openchannel_step_seconds_count", "bind_chat"] == 3
    assert found["openchannel_step_seconds_sum", "bind_chat"] > 0
    assert found["openchannel_step_items_total", "bind_chat"] == 3
    assert found["openchannel_task_queue_depth", "respond"] == 7
    assert found["openchannel_dialogs", "assigned"] == 1
    assert found["openchannel_dialogs", "queued"] == 2
    assert found["openchannel_dialogs", "closed"] == 0
    assert found["openchannel_cards", "lead"] == 2
    assert ("openchannel_cards", "provisional") not in found


def test_metrics_of_what_has_gone_wrong(desk: Desk) -> None:
    """Dead letters by where they stand and why, deaths, paused steps, alerts; rare reasons have no label."""
    desk.open_channel("desk")
    for _ in range(3):
        desk.say("desk-telegram", "1")
    desk.rows("UPDATE inbox_state SET stage = 'dead' WHERE inbox_id <> (SELECT max(inbox_id) FROM inbox_state)")
    desk.rows(
        "INSERT INTO dead_letters (inbox_id, channel_id, step, reason, fingerprint, attempts, error, traceback, "
        "deaths, first_died_at) "
        "SELECT inbox_id, 1, 'bind_chat', 'key', 'x', 3, '', '', 2, now() - interval '1 hour' FROM inbox_state"
    )
    desk.rows("INSERT INTO deaths (step, reason, n) SELECT 'deliver', 'http_' || n, 1 FROM generate_series(400, 460) n")
    desk.rows(
        "INSERT INTO step_brakes (step, number, pauses, resumes_at, reason, fingerprint, worker) "
        "VALUES ('respond', 4, 1, now(), '', '', '')"
    )
    desk.rows("INSERT INTO alerts (kind, subject, details) VALUES ('test', '', '{}')")
    page = desk.with_token("").get("/metrics").text
    for line in (
        'openchannel_dead_letters{reason="key",state="dead",step="bind_chat"} 2.0',
        'openchannel_dead_letters{reason="key",state="replaying",step="bind_chat"} 1.0',
        'openchannel_deaths_total{reason="key",step="bind_chat"} 6.0',
        'openchannel_deaths_total{reason="other",step="deliver"} 12.0',
        'openchannel_step_paused{step="respond"} 1.0',
        'openchannel_step_paused{step="bind_chat"} 0.0',
        'openchannel_step_brakes_total{step="respond"} 4.0',
        'openchannel_alerts{state="waiting"} 1.0',
        'openchannel_alerts{state="sent"} 0.0',
    ):
        assert line in page
    assert samples(desk)["openchannel_dead_letters_oldest_seconds", ""] == pytest.approx(3600, abs=120)
    assert desk.with_token("").get("/readyz").json()["paused_steps"] == ["respond"]


def test_metrics_are_read_at_most_once_a_second(desk: Desk) -> None:
    """What was read is served again for a moment, then read anew."""
    assert samples(desk)["openchannel_inbox_pending", ""] == 0
    desk.open_channel("desk")
    desk.say("desk-telegram", "7")
    assert samples(desk)["openchannel_inbox_pending", ""] == 0
    assert wait_for(lambda: samples(desk)["openchannel_inbox_pending", ""] == 1, 10)

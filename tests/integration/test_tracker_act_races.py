"""Persons who decide at the same moment, and while customers write; and requests that mean no good."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import httpx
import pytest

from tests.customers import EMAIL, OTHER_PHONE, PHONE, audit, card_of, chat_id_of, live_id
from tests.desks import SERVICE_TOKEN, Desk, problem_of

pytestmark = pytest.mark.integration


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """A desk with three channels, and one that asks before it merges."""
    with Desk(database_url) as made:
        made.open_channel("desk", kinds=("telegram", "custom", "livechat"))
        made.open_channel("careful", kinds=("telegram",), typed_identifiers="suggest")
        yield made


def post(desk: Desk, path: str, body: dict[str, Any]) -> httpx.Response:
    """A request on a connection of its own, for threads."""
    headers = {"authorization": f"Bearer {SERVICE_TOKEN}"}
    return httpx.post(f"{desk.base_url}{path}", json=body, headers=headers, timeout=30, trust_env=False)


def at_once(desk: Desk, n: int, path: str, body: Callable[[int], dict[str, Any]]) -> Counter[int]:
    """The same act, n times at the same moment; how often it was answered with which status."""
    barrier = threading.Barrier(n)

    def one(number: int) -> int:
        barrier.wait()
        return post(desk, path, body(number)).status_code

    with ThreadPoolExecutor(n) as threads:
        return Counter(threads.map(one, range(n)))


def test_of_many_who_decide_one_does(desk: Desk) -> None:
    """T7: a merge, an undo, a review's answer and a detached chat happen once; the others are told, and audited."""
    desk.dialog("desk-telegram", "7", PHONE)
    desk.dialog("desk-custom", "8", EMAIL)
    desk.dialog("careful-telegram", "9", EMAIL)
    one, other = card_of(desk, "desk-telegram", "7"), card_of(desk, "desk-custom", "8")
    pair = [one, other]
    merged = at_once(
        desk,
        8,
        "/api/tracker/merges",
        lambda n: {"card_id": pair[n % 2], "other_id": pair[1 - n % 2], "reason": "he called"},
    )
    assert merged == {201: 1, 409: 7}
    review_id = desk.value("SELECT id FROM reviews")
    assert at_once(desk, 8, f"/api/tracker/reviews/{review_id}/accept", lambda _: {}) == {200: 1, 409: 7}
    merge_id = desk.value("SELECT min(id) FROM merges")
    assert at_once(desk, 8, f"/api/tracker/merges/{merge_id}/undo", lambda _: {"reason": "no"}) == {200: 1, 409: 7}
    assert live_id(desk, other) == other
    desk.dialog("desk-livechat", "10", EMAIL)
    chat_id = chat_id_of(desk, "desk-livechat", "10")
    assert at_once(desk, 8, f"/api/chats/{chat_id}/detach", lambda _: {"reason": "hers"}) == {201: 1, 409: 7}
    entries = Counter((act, outcome) for _, act, outcome in audit(desk))
    assert {act for act, outcome in entries if outcome == "done"} == {"merge", "accept_review", "undo", "detach_chat"}
    assert sum(entries.values()) == 32
    assert {count for (_, outcome), count in entries.items() if outcome == "done"} == {1}


def test_acts_while_customers_write(desk: Desk) -> None:
    """DESIGN, lock order: nothing deadlocks, nothing is lost, and every card ends under a live one."""
    for n in range(6):
        desk.dialog("desk-telegram", f"t{n}", f"+49171234560{n}")
        desk.dialog("desk-custom", f"c{n}", f"person{n}@shop-mail.de")
    card_ids = [card_id for (card_id,) in desk.rows("SELECT id FROM cards ORDER BY id")]
    chat_ids = [chat_id for (chat_id,) in desk.rows("SELECT id FROM chats ORDER BY id")]

    def acts(n: int) -> list[tuple[str, dict[str, Any]]]:
        one, other = card_ids[n % 12], card_ids[(5 * n + 3) % 12]
        number = {"identifier": f"+49171234560{n % 6}"}
        return [
            ("/api/tracker/merges", {"card_id": one, "other_id": other, "reason": "a"}),
            (f"/api/cards/{one}/identifiers", number),
            (f"/api/cards/{other}/detach", {**number, "reason": "b"}),
            (f"/api/tracker/merges/{n % 7 + 1}/undo", {"reason": "c"}),
            (f"/api/chats/{chat_ids[n % 12]}/detach", {"reason": "d"}),
            (f"/api/cards/{other}/identifiers/remove", number),
        ]

    planned = list(chain.from_iterable(zip(*(acts(n) for n in range(14)), strict=True)))
    with ThreadPoolExecutor(6) as threads:
        answers = threads.map(lambda act: post(desk, *act), planned)
        for n in range(6):
            desk.say("desk-telegram", f"t{n}", f"person{n}@shop-mail.de")
            desk.say("desk-livechat", f"l{n}", f"+49171234560{n} person{(n + 1) % 6}@shop-mail.de")
            desk.drain()
        wrong = [answer.text for answer in answers if answer.status_code not in (200, 201, 404, 409)]
    assert wrong == []
    desk.drain()
    assert desk.get("/api/ledger")["dead"] == 0
    assert desk.rows("SELECT inbox_id FROM inbox_state WHERE stage <> 'done'") == []
    astray = (
        "SELECT cards.id FROM cards JOIN cards AS live ON live.id = cards.live_id WHERE live.live_id IS NOT NULL "
        "UNION SELECT merges.card_id FROM merges "
        "JOIN cards AS one ON one.id = merges.card_id JOIN cards AS other ON other.id = merges.other_id "
        "WHERE undone_at IS NULL AND coalesce(one.live_id, one.id) <> coalesce(other.live_id, other.id)"
    )
    assert desk.rows(astray) == []
    for card_id in card_ids:
        assert desk.get(f"/api/cards/{card_id}/provenance")["id"] == live_id(desk, card_id)
    done = {act for _, act, outcome in audit(desk) if outcome == "done"}
    assert {"merge", "undo", "detach_chat", "enter_identifier"} <= done


def test_hostile_requests_are_never_a_500(desk: Desk) -> None:
    """What is no request is answered as a problem: NUL, lone surrogates, huge numbers and texts, odd times."""
    desk.dialog("desk-telegram", "7", f"{PHONE} {EMAIL} {OTHER_PHONE}")
    card_id = card_of(desk, "desk-telegram", "7")
    texts = [
        "\x00",
        "\ud800",
        "a" * 5000,
        "@" * 300,
        "+" * 300,
        "9" * 512,
        "\u202e",
        "' OR 1=1 --",
        "{}",
        "%s",
        "\x1b[",
    ]
    paths = [
        ("/api/tracker/blocked", "value"),
        ("/api/tracker/blocked/remove", "value"),
        (f"/api/cards/{card_id}/detach", "identifier"),
        (f"/api/cards/{card_id}/identifiers", "identifier"),
        (f"/api/cards/{card_id}/identifiers/remove", "identifier"),
        ("/api/tracker/merges", "reason"),
        ("/api/tracker/reviews/1/reject", "note"),
        (f"/api/cards/{2**63}/detach", "identifier"),
    ]
    for path, name in paths:
        for text in texts:
            body = {"reason": text, "by": "Ann", name: text}
            if name == "identifier" and not path.endswith("detach"):
                del body["reason"]
            if name == "note" or path.endswith("remove"):
                body.pop("reason", None)
            if path.endswith("merges"):
                body |= {"card_id": str(card_id), "other_id": "9" * 30}
            response = desk.service.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
            assert response.status_code < 500, (path, text, response.text)
            if response.status_code >= 400:
                problem_of(response)
    for query in (
        "since=0001-01-01T00:00:00%2B14:00",
        "since=9999-12-31T23:59:59-14:00",
        "since=2026-01-01",
        "act=%00",
        "actor=%ED%A0%80",
        "cursor=x",
        "limit=1000",
        "state=%00",
        "cause=%00",
        f"card={2**63}",
        "card=-1",
    ):
        for path in ("audit", "tracker/reviews", "tracker/merges"):
            assert desk.service.get(f"/api/{path}?{query}").status_code < 500, query
    assert all(outcome for _, _, outcome in audit(desk))

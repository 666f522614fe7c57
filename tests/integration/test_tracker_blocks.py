"""The block list (T9) and the audit over HTTP, on real PostgreSQL."""

from collections.abc import Iterator

import pytest

from tests.customers import EMAIL, PHONE, act, audit, cards_of, refusal, refused
from tests.desks import Desk

pytestmark = pytest.mark.integration


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """A desk with four channels and the API in front of it."""
    with Desk(database_url) as made:
        made.open_channel("desk", [made.operator("ann")], kinds=("telegram", "custom", "whatsapp", "livechat"))
        yield made


def test_a_blocked_value_never_matches_until_it_is_unblocked(desk: Desk) -> None:
    """T9: phones in any writing, addresses, domains and names; what is blocked cannot be entered either."""
    body = {"value": "0171 2345678", "region": "DE", "reason": "our own", "by": "Ann"}
    blocked = act(desk, "/api/tracker/blocked", body, 201)
    assert (blocked["kind"], blocked["value"], blocked["actor"]) == ("phone", PHONE, "service:Ann")
    assert act(desk, "/api/tracker/blocked", {**body, "value": PHONE}, 200) == blocked
    for value in ("@Shop-Mail.de", "INFO@", "<Ann@Shop.de>"):
        act(desk, "/api/tracker/blocked", {"value": value, "reason": "everybody's"}, 201)
    listed = [(one["kind"], one["value"]) for one in desk.get("/api/tracker/blocked")["items"]]
    assert listed == [("phone", PHONE), ("email", "@shop-mail.de"), ("email", "ann@shop.de"), ("email", "info@")]
    one, other = cards_of(desk, ("telegram", f"{PHONE} {EMAIL}"), ("custom", f"{PHONE} {EMAIL}"))
    assert one != other
    assert desk.get(f"/api/cards/{one}")["identifiers"] == []
    for value in (PHONE, EMAIL):
        assert refusal(desk, f"/api/cards/{one}/identifiers", {"identifier": value}) == "blocked"
    for value in ("12", "@", "a b@", "@nodomain", "hello", "@@"):
        assert refusal(desk, "/api/tracker/blocked", {"value": value, "reason": "?"}, 422) == "bad_identifier", value
    act(desk, "/api/tracker/blocked/remove", {"value": "+49 171 2345678"}, 204)
    assert refusal(desk, "/api/tracker/blocked/remove", {"value": PHONE}) == "not_blocked"
    third, fourth = cards_of(desk, ("whatsapp", PHONE), ("livechat", PHONE))
    assert third == fourth
    assert {name for _, name, _ in audit(desk)} == {"block", "unblock", "enter_identifier"}
    assert audit(desk)[-1] == ("service", "unblock", "not_blocked")


def test_the_audit_holds_no_phone_however_it_is_written(desk: Desk) -> None:
    """It outlives an erase: phones and e-mails in reasons are masked there, and kept in the records that it reaches."""
    one, other = cards_of(desk, ("telegram", "hello"), ("custom", "hello"))
    told = f"{EMAIL} is 0171/234 56 78, 0171 - 2345678, ٠١٧١٢٣٤٥٦٧٨ and telegram/1712345678; 2 cards, 3 chats"
    act(desk, "/api/tracker/merges", {"card_id": one, "other_id": other, "reason": told}, 201)
    (entry,) = desk.get("/api/audit")["items"]
    assert entry["details"]["reason"] == "*** is ***, ***, *** and telegram/***; 2 cards, 3 chats"
    assert desk.get("/api/tracker/merges")["items"][0]["reason"] == told


def test_the_audit_is_read_in_pages(desk: Desk) -> None:
    """Keyset, the newest first; by act, actor and time; refused acts stand there with their reason."""
    for n in range(4):
        act(desk, "/api/tracker/blocked", {"value": f"name{n}@", "reason": f"reason {n}", "by": f"Person {n % 2}"}, 201)
    refusal(desk, "/api/tracker/blocked/remove", {"value": "@other.org"})
    first = desk.get("/api/audit", limit=2)
    assert [(entry["act"], entry["outcome"]) for entry in first["items"]] == [
        ("unblock", "not_blocked"),
        ("block", "done"),
    ]
    rest = desk.get("/api/audit", limit=3, cursor=first["next"])
    assert [entry["details"]["reason"] for entry in rest["items"]] == ["reason 2", "reason 1", "reason 0"]
    assert rest["next"] is None
    assert len(desk.get("/api/audit", act="block", actor="service:Person 1")["items"]) == 2
    since = first["items"][1]["at"]
    assert len(desk.get("/api/audit", since=since)["items"]) == 2
    assert refused(desk.service.get("/api/audit", params={"since": "yesterday"}), 422) == "invalid_request"

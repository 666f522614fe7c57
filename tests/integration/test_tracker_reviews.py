"""The review list over HTTP (T7-T9), on real PostgreSQL."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.customers import EMAIL, OTHER_PHONE, PHONE, act, audit, card_of, chat_id_of, live_id, refusal, refused
from tests.desks import Desk
from tracker.identifiers import Evidence, phone

pytestmark = pytest.mark.integration


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """A desk that merges nothing by what was only typed, with the API in front of it."""
    with Desk(database_url) as made:
        kinds = ("telegram", "custom", "whatsapp", "livechat")
        made.open_channel("desk", kinds=kinds, typed_identifiers="suggest", max_claimants=2)
        yield made


def pair(desk: Desk, chat: str, number: str = PHONE) -> tuple[int, int]:
    """Two customers who typed the same phone: the older and the younger card."""
    desk.dialog("desk-telegram", chat, f"hello, {number}")
    desk.dialog("desk-custom", chat, number, name="Ben")
    return card_of(desk, "desk-telegram", chat), card_of(desk, "desk-custom", chat)


def reviews(desk: Desk, **filters: Any) -> list[dict[str, Any]]:
    """The list."""
    items: list[dict[str, Any]] = desk.get("/api/tracker/reviews", **filters)["items"]
    return items


def test_an_entry_says_all_that_a_person_needs(desk: Desk) -> None:
    """T8: both customers, the identifier with its evidence, the cause, and the message that gave it."""
    one, other = pair(desk, "1")
    (review,) = reviews(desk)
    assert (review["cause"], review["state"], review["settled"]) == ("suggested", "open", False)
    assert (review["card_id"], review["other_id"]) == (other, one)
    assert (review["card"]["id"], review["card"]["name"], review["other"]["id"]) == (other, "Ben", one)
    assert review["identifier"] == {"kind": "phone", "value": PHONE, "evidence": "typed"}
    assert review["chat_id"] == chat_id_of(desk, "desk-custom", "1")
    assert (review["message"]["chat_id"], review["message"]["seq"]) == (review["chat_id"], 1)
    assert review["created_at"]
    assert (review["decided_at"], review["decided_by"], review["note"]) == (None, None, "")


def test_an_accepted_pair_is_one_customer(desk: Desk) -> None:
    """T7: whatever stands in the way; a second decision is refused."""
    one, other = pair(desk, "1")
    (review,) = reviews(desk)
    path = f"/api/tracker/reviews/{review['id']}"
    decided = act(desk, f"{path}/accept", {"by": "Ann"})
    assert (decided["state"], decided["decided_by"], decided["note"]) == ("accepted", "service:Ann", "")
    assert decided["card"] == decided["other"]
    assert live_id(desk, other) == one
    assert reviews(desk) == []
    assert [entry["id"] for entry in reviews(desk, state="accepted")] == [review["id"]]
    assert refusal(desk, f"{path}/reject", {"note": "no, wait"}) == "decided"
    assert refusal(desk, f"{path}/accept", {}) == "decided"
    assert refusal(desk, "/api/tracker/reviews/999/accept", {}, 404) == "unknown_review"
    assert refusal(desk, "/api/tracker/reviews/999/reject", {"note": "no such"}, 404) == "unknown_review"
    assert audit(desk) == [
        ("service:Ann", "accept_review", "done"),
        ("service", "reject_review", "decided"),
        ("service", "accept_review", "decided"),
        ("service", "accept_review", "unknown_review"),
        ("service", "reject_review", "unknown_review"),
    ]


def test_a_rejected_pair_is_never_asked_about_again(desk: Desk) -> None:
    """T7: kept apart for ever, with who and why, also when a proof says otherwise; and it must be said why."""
    one, other = pair(desk, "1")
    path = f"/api/tracker/reviews/{reviews(desk)[0]['id']}/reject"
    assert refusal(desk, path, {}, 422) == "invalid_request"
    decided = act(desk, path, {"note": "father and son"})
    assert (decided["state"], decided["note"]) == ("rejected", "father and son")
    desk.dialog("desk-custom", "1", "mine", given=[phone(PHONE, Evidence.PROVEN)])
    assert live_id(desk, other) == other != one
    assert reviews(desk) == []
    (apart,) = desk.get(f"/api/cards/{one}/provenance")["kept_apart"]
    assert (apart["card_id"], apart["other_id"], apart["actor"], apart["reason"]) == (
        one,
        other,
        "service",
        "father and son",
    )


def test_what_is_settled_meanwhile_is_left_out(desk: Desk) -> None:
    """An open pair whose two were merged, or are kept apart over other cards of theirs, needs nobody any more."""
    one, other = pair(desk, "1")
    merge = act(desk, "/api/tracker/merges", {"card_id": one, "other_id": other, "reason": "he called"}, 201)
    assert reviews(desk) == []
    review_id = desk.value("SELECT id FROM reviews WHERE state = 'open'")
    path = f"/api/tracker/reviews/{review_id}"
    assert refusal(desk, f"{path}/accept", {}) == "already_one"
    assert refusal(desk, f"{path}/reject", {"note": "no"}) == "already_one"
    act(desk, f"/api/tracker/merges/{merge['id']}/undo", {"reason": "a slip"})
    assert reviews(desk) == [], "kept apart"
    (third, fourth) = pair(desk, "2", OTHER_PHONE)
    assert [review["card_id"] for review in reviews(desk)] == [fourth]
    # The customers of `one` and `other`, who are kept apart, are those of the second pair too: settled.
    act(desk, "/api/tracker/merges", {"card_id": one, "other_id": third, "reason": "he moved"}, 201)
    assert len(reviews(desk)) == 1
    act(desk, "/api/tracker/merges", {"card_id": other, "other_id": fourth, "reason": "she moved"}, 201)
    assert reviews(desk) == []
    act(desk, f"{path}/accept", {"note": "they are one after all"})
    assert len({live_id(desk, card_id) for card_id in (one, other, third, fourth)}) == 1


def test_a_shared_identifier_is_asked_about(desk: Desk) -> None:
    """T9: rejected, it matches again for ever; accepted, it is blocked, and once unblocked it may match again."""
    desk.dialog("desk-livechat", "0", EMAIL)
    for n in range(3):
        desk.dialog("desk-telegram", f"p{n}", PHONE, name=f"Person {n}")
    for n in range(3):
        desk.dialog("desk-telegram", f"e{n}", EMAIL, name=f"Person {n}")
    by_email, by_phone = reviews(desk, cause="shared")
    assert (by_phone["card"], by_phone["other"], by_phone["identifier"]["value"]) == (None, None, PHONE)
    assert by_email["identifier"] == {"kind": "email", "value": EMAIL, "evidence": "typed"}
    act(desk, f"/api/tracker/reviews/{by_phone['id']}/reject", {"note": "a family"})
    assert desk.value("SELECT standing FROM identifiers WHERE kind = 'phone'") == "trusted"
    act(desk, f"/api/tracker/reviews/{by_email['id']}/accept", {"note": "the shop's own"})
    assert [one["value"] for one in desk.get("/api/tracker/blocked")["items"]] == [EMAIL]
    assert reviews(desk, cause="shared") == []
    act(desk, "/api/tracker/blocked/remove", {"value": EMAIL}, 204)
    assert desk.value("SELECT standing FROM identifiers WHERE kind = 'email'") == "usual"
    desk.dialog("desk-livechat", "1", EMAIL, given=[])
    assert EMAIL in {one["identifier"]["value"] for one in reviews(desk, cause="suggested")}


def test_the_list_is_filtered_and_read_in_pages(desk: Desk) -> None:
    """Keyset, the newest first; by state, cause and card, where a merged card counts for its customer."""
    pairs = [pair(desk, str(n), f"+4917123456{n}0") for n in range(5)]
    first = desk.get("/api/tracker/reviews", limit=2)
    rest = desk.get("/api/tracker/reviews", limit=3, cursor=first["next"])
    ids = [review["id"] for review in [*first["items"], *rest["items"]]]
    assert ids == sorted(ids, reverse=True)
    assert (len(ids), rest["next"]) == (5, None)
    assert [review["card_id"] for review in reviews(desk, card=pairs[3][0])] == [pairs[3][1]]
    body = {"card_id": pairs[3][1], "other_id": pairs[0][1], "reason": "one of them"}
    act(desk, "/api/tracker/merges", body, 201)
    assert len(reviews(desk, card=pairs[3][1])) == 2
    assert reviews(desk, cause="edited") == []
    assert refused(desk.service.get("/api/tracker/reviews?card=999"), 404) == "unknown_card"
    for wrong in ("state=closed", "cause=because", "limit=0"):
        assert refused(desk.service.get(f"/api/tracker/reviews?{wrong}"), 422) == "invalid_request"

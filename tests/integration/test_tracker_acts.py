"""What persons decide about customers over HTTP (T5, T7-T9), on real PostgreSQL; each act is audited."""

from collections.abc import Iterator

import pytest

from tests.customers import (
    EMAIL,
    OTHER_PHONE,
    PHONE,
    act,
    audit,
    card_of,
    cards_of,
    chat_id_of,
    live_id,
    refusal,
    refused,
)
from tests.desks import Desk
from tracker.identifiers import Evidence, messenger, phone

pytestmark = pytest.mark.integration


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """A desk with four channels and the API in front of it."""
    with Desk(database_url) as made:
        made.open_channel("desk", [made.operator("ann")], kinds=("telegram", "custom", "whatsapp", "livechat"))
        yield made


# Merging, and undoing it


def test_a_person_merges_two_cards(desk: Desk) -> None:
    """T7: the younger points at the older, whichever is named first; the merge is listed, a second one refused."""
    older, younger = cards_of(desk, ("telegram", PHONE), ("custom", EMAIL))
    body = {"card_id": younger, "other_id": older, "reason": "the same person, he called", "by": "Ann Smith"}
    merge = act(desk, "/api/tracker/merges", body, 201)
    assert (merge["loser_id"], merge["survivor_id"], merge["rule"]) == (younger, older, "person")
    assert (merge["actor"], merge["reason"]) == ("service:Ann Smith", "the same person, he called")
    assert (merge["link"], merge["message"], merge["undone_at"]) == (None, None, None)
    assert desk.get(f"/api/cards/{younger}")["id"] == older
    assert [one["id"] for one in desk.get("/api/tracker/merges")["items"]] == [merge["id"]]
    assert desk.get("/api/tracker/merges", card=younger)["items"] == [merge]
    assert refusal(desk, "/api/tracker/merges", body) == "already_one"
    assert refusal(desk, "/api/tracker/merges", {**body, "other_id": 999}, 404) == "unknown_card"
    assert refusal(desk, "/api/tracker/merges", {**body, "other_id": younger}) == "already_one"
    for wrong in ({"reason": " "}, {"by": "ann@shop-mail.de"}, {"by": ""}, {"card_id": 0}, {"more": 1}):
        assert refusal(desk, "/api/tracker/merges", {**body, **wrong}, 422) == "invalid_request"
    actor = "service:Ann Smith"
    assert audit(desk) == [
        (actor, "merge", "done"),
        (actor, "merge", "already_one"),
        (actor, "merge", "unknown_card"),
        (actor, "merge", "already_one"),
    ]


def test_an_undone_merge_does_not_come_back(desk: Desk) -> None:
    """T7: each side has its chats again, and the same message again merges nothing; a merge by hand ends that."""
    older, younger = cards_of(desk, ("telegram", PHONE), ("custom", EMAIL))
    desk.dialog("desk-custom", "7", PHONE)
    (merge,) = desk.get("/api/tracker/merges")["items"]
    assert (merge["card_id"], merge["other_id"], merge["rule"], merge["actor"]) == (younger, older, "T7", "tracker")
    assert (merge["link"], merge["message"]["seq"]) == ({"kind": "phone", "value": PHONE, "evidence": "typed"}, 2)
    path = f"/api/tracker/merges/{merge['id']}/undo"
    undone = act(desk, path, {"reason": "two sisters"})
    assert (undone["undone_by"], undone["undo_reason"]) == ("service", "two sisters")
    assert undone["undone_at"]
    assert [live_id(desk, card_id) for card_id in (older, younger)] == [older, younger]
    assert [chat["channel_kind"] for chat in desk.get(f"/api/cards/{younger}")["chats"]] == ["custom"]
    desk.dialog("desk-custom", "7", PHONE)
    desk.dialog("desk-telegram", "7", EMAIL)
    assert [live_id(desk, card_id) for card_id in (older, younger)] == [older, younger]
    assert desk.get("/api/tracker/reviews")["items"] == []
    assert refusal(desk, path, {"reason": "again"}) == "already_undone"
    assert refusal(desk, "/api/tracker/merges/999/undo", {"reason": "no such"}, 404) == "unknown_merge"
    act(desk, "/api/tracker/merges", {"card_id": older, "other_id": younger, "reason": "one after all"}, 201)
    assert live_id(desk, younger) == older
    assert [(name, outcome) for _, name, outcome in audit(desk)] == [
        ("undo", "done"),
        ("undo", "already_undone"),
        ("undo", "unknown_merge"),
        ("merge", "done"),
    ]


def test_no_proof_undoes_what_a_person_merged(desk: Desk) -> None:
    """T8: typed links give way to a late proof; a person's decision over the same typed link does not."""
    desk.dialog("desk-whatsapp", "7", EMAIL, given=[phone(OTHER_PHONE, Evidence.PROVEN)])
    desk.dialog("desk-telegram", "7", "hi", given=[phone(PHONE, Evidence.PROVEN)])
    desk.dialog("desk-telegram", "7", EMAIL)
    (review,) = desk.get("/api/tracker/reviews")["items"]
    assert review["cause"] == "contradiction"
    act(desk, f"/api/tracker/reviews/{review['id']}/accept", {"note": "she has two phones"})
    (merge,) = desk.get("/api/tracker/merges")["items"]
    assert (merge["link"]["evidence"], merge["message"]["seq"]) == ("typed", 2)
    one, other = card_of(desk, "desk-whatsapp", "7"), card_of(desk, "desk-telegram", "7")
    desk.dialog("desk-telegram", "7", "and a third", given=[phone("+491723456789", Evidence.PROVEN)])
    assert live_id(desk, one) == live_id(desk, other)
    assert desk.get("/api/tracker/merges")["items"][0]["undone_at"] is None


def test_a_deal_is_no_customer(desk: Desk) -> None:
    """C1: chats and identifiers hang on its contact; a deal can be named, and nothing else."""
    desk.open_channel("deals", kinds=("telegram",), mode="deal")
    desk.dialog("deals-telegram", "7", PHONE)
    contact_id, deal_id = desk.rows("SELECT card_id, deal_id FROM chats WHERE deal_id IS NOT NULL")[0]
    body = {"card_id": contact_id, "other_id": deal_id, "reason": "a slip"}
    assert refusal(desk, "/api/tracker/merges", body) == "deal"
    path = f"/api/cards/{deal_id}"
    assert refusal(desk, f"{path}/detach", {"identifier": PHONE, "reason": "a slip"}) == "deal"
    assert refusal(desk, f"{path}/identifiers", {"identifier": EMAIL}) == "deal"
    assert refusal(desk, f"{path}/identifiers/remove", {"identifier": PHONE}) == "deal"
    assert desk.service.patch(path, json={"name": "Ten chairs"}).json()["name"] == "Ten chairs"
    assert desk.get(f"/api/cards/{contact_id}")["name"] == ""


# Wrong numbers, wrong chats


def test_a_deleted_phone_still_binds_and_a_detached_one_does_not(desk: Desk) -> None:
    """T5, end to end: delete the first phone from the card, and a later chat still comes to it; detach it: no more."""
    (card_id,) = cards_of(desk, ("telegram", f"{PHONE} {EMAIL}"))
    path = f"/api/cards/{card_id}"
    card = act(desk, f"{path}/identifiers/remove", {"identifier": "0171 2345678", "region": "de"})
    assert [one["value"] for one in card["identifiers"]] == [EMAIL]
    assert card["remembered_phones"] == [PHONE]
    desk.dialog("desk-custom", "1", PHONE)
    assert card_of(desk, "desk-custom", "1") == card_id
    body = {"identifier": "+49 (171) 234 56 78", "reason": "a typing mistake: +49 171 2345678", "by": "Ann"}
    card = act(desk, f"{path}/detach", body)
    assert [one["value"] for one in card["identifiers"]] == [EMAIL]
    assert card["remembered_phones"] == []
    desk.dialog("desk-livechat", "2", PHONE)
    other = card_of(desk, "desk-livechat", "2")
    assert live_id(desk, other) == other != card_id
    desk.dialog("desk-telegram", "7", PHONE)
    assert live_id(desk, other) == other, "it does not come back to the card by being typed there again"
    assert PHONE not in [one["value"] for one in desk.get(path)["identifiers"]]
    assert refusal(desk, f"{path}/detach", body) == "not_on_card"
    assert refusal(desk, f"{path}/identifiers/remove", {"identifier": "nonsense"}) == "not_on_card"
    assert refusal(desk, "/api/cards/999/detach", body, 404) == "unknown_card"
    assert refusal(desk, f"{path}/detach", {"identifier": PHONE}, 422) == "invalid_request"
    assert audit(desk) == [
        ("service", "remove_identifier", "done"),
        ("service:Ann", "detach", "done"),
        ("service:Ann", "detach", "not_on_card"),
        ("service", "remove_identifier", "not_on_card"),
    ]


def test_a_messenger_id_is_detached(desk: Desk) -> None:
    """T2: whatever identifies may turn out to be wrong."""
    desk.dialog("desk-telegram", "7", given=[messenger("telegram", "7")])
    card_id = card_of(desk, "desk-telegram", "7")
    card = act(desk, f"/api/cards/{card_id}/detach", {"identifier": "telegram/7", "reason": "his daughter's"})
    assert card["identifiers"] == []


def test_two_readings_of_one_writing_are_not_guessed(desk: Desk) -> None:
    """T5: a detach is for ever, so it is refused where the writing may mean two phones of the card."""
    (card_id,) = cards_of(desk, ("telegram", "hello"))
    for number in ("+551187654321", "+11987654321"):
        desk.rows(
            "INSERT INTO card_identifiers (card_id, kind, key, value, written, evidence, given_at) "
            "VALUES (%s, 'phone', %s, %s, '', 'typed', now())",
            card_id,
            number,
            number,
        )
    body = {"identifier": "11987654321", "region": "BR", "reason": "wrong"}
    assert refusal(desk, f"/api/cards/{card_id}/detach", body) == "ambiguous"
    assert audit(desk) == [("service", "detach", "ambiguous")]
    act(desk, f"/api/cards/{card_id}/detach", {"identifier": "+55 11 98765-4321", "reason": "wrong"})
    assert [one["value"] for one in desk.get(f"/api/cards/{card_id}")["identifiers"]] == ["+11987654321"]


def test_a_chat_gets_a_card_of_its_own(desk: Desk) -> None:
    """T5, T8: with all that it gave and its dialog; it does not come back; the last chat of a card stays."""
    desk.dialog("desk-telegram", "7", PHONE, name="Ann Smith")
    dialog_id = desk.dialog("desk-custom", "7", f"{PHONE} {EMAIL}", name="Ben Smith")
    card_id, chat_id = card_of(desk, "desk-telegram", "7"), chat_id_of(desk, "desk-custom", "7")
    assert card_of(desk, "desk-custom", "7") == card_id
    made = act(desk, f"/api/chats/{chat_id}/detach", {"reason": "her brother's chat"}, 201)
    assert (made["type"], made["name"]) == ("lead", "Ben Smith")
    assert desk.get(f"/api/chats/{chat_id}")["card_id"] == made["id"] != card_id
    assert desk.get(f"/api/dialogs/{dialog_id}")["card_id"] == made["id"]
    values = {one["value"] for one in desk.get(f"/api/cards/{made['id']}")["identifiers"]}
    assert values == {PHONE, EMAIL}
    assert [one["value"] for one in desk.get(f"/api/cards/{card_id}")["identifiers"]] == [PHONE]
    desk.dialog("desk-custom", "7", PHONE)
    desk.dialog("desk-telegram", "7", EMAIL)
    assert live_id(desk, made["id"]) == made["id"]
    path = f"/api/chats/{chat_id}/detach"
    assert refusal(desk, path, {"reason": "again"}) == "only_chat"
    assert refusal(desk, path, {}, 422) == "invalid_request"
    assert refusal(desk, "/api/chats/999/detach", {"reason": "no such"}, 404) == "unknown_chat"
    desk.say("desk-livechat", "8")
    waiting = chat_id_of(desk, "desk-livechat", "8")
    assert refusal(desk, f"/api/chats/{waiting}/detach", {"reason": "too soon"}) == "not_processed"
    assert [(name, outcome) for _, name, outcome in audit(desk)] == [
        ("detach_chat", "done"),
        ("detach_chat", "only_chat"),
        ("detach_chat", "unknown_chat"),
        ("detach_chat", "not_processed"),
    ]


@pytest.mark.parametrize("policy", ["reuse", "always_new"])
def test_deals_stay_with_the_chats_that_made_them(desk: Desk, policy: str) -> None:
    """C1, T5: who leaves a contact takes along the deal that his chat made, and has no part in another's."""
    desk.open_channel("deals", kinds=("telegram", "custom"), mode="deal", deals=policy)
    desk.dialog("deals-telegram", "7", PHONE, name="Ann")
    dialog_id = desk.dialog("deals-custom", "8", PHONE, name="Ben")
    stays, leaves = (chat_id_of(desk, f"deals-{kind}", chat) for kind, chat in (("telegram", "7"), ("custom", "8")))
    hers, his = (desk.get(f"/api/chats/{chat_id}")["deal_id"] for chat_id in (stays, leaves))
    assert (hers == his) == (policy == "reuse")
    made = act(desk, f"/api/chats/{leaves}/detach", {"reason": "her brother"}, 201)
    assert made["type"] == "contact"
    left = desk.get(f"/api/chats/{leaves}")["deal_id"]
    assert left == desk.get(f"/api/dialogs/{dialog_id}")["deal_id"] == (None if policy == "reuse" else his)
    assert desk.get(f"/api/chats/{stays}")["deal_id"] == hers
    desk.dialog("deals-custom", "8", "and now?")
    now = desk.get(f"/api/chats/{leaves}")["deal_id"]
    assert [deal["id"] for deal in desk.get(f"/api/cards/{made['id']}")["deals"]] == [now]
    assert now not in (None, hers)


# Editing cards by hand


def test_an_operator_edits_a_card(desk: Desk) -> None:
    """T4, T7: he names it and enters a phone, which binds later chats; from then on the tracker asks first."""
    (card_id,) = cards_of(desk, ("telegram", "hello"))
    ann = desk.as_operator("ann")
    path = f"/api/cards/{card_id}"
    assert ann.patch(path, json={"name": " Ann \n Smith "}).json()["name"] == "Ann Smith"
    entered = ann.post(f"{path}/identifiers", json={"identifier": "0171 2345678", "region": "de"})
    assert [(i["value"], i["evidence"]) for i in entered.json()["identifiers"]] == [(PHONE, "typed")]
    desk.dialog("desk-custom", "7", f"{PHONE} {EMAIL}")
    assert card_of(desk, "desk-custom", "7") == card_id
    desk.dialog("desk-livechat", "9", OTHER_PHONE)
    desk.dialog("desk-telegram", "7", OTHER_PHONE)
    assert [review["cause"] for review in desk.get("/api/tracker/reviews")["items"]] == ["edited"]
    removed = ann.post(f"{path}/identifiers/remove", json={"identifier": EMAIL})
    assert EMAIL not in [one["value"] for one in removed.json()["identifiers"]]
    actor = f"operator:{desk.value('SELECT id FROM operators')}"
    assert audit(desk) == [(actor, name, "done") for name in ("rename", "enter_identifier", "remove_identifier")]
    assert refused(ann.patch(path, json={"name": "Ann", "by": "Ben"}), 422) == "bad_by"
    assert refused(ann.patch(path, json={"name": " \n"}), 422) == "invalid_request"
    assert refused(ann.patch("/api/cards/999", json={"name": "Ann"}), 404) == "unknown_card"
    assert refused(ann.post(f"{path}/identifiers", json={"identifier": "hello"}), 422) == "bad_identifier"
    assert refused(ann.post(f"{path}/identifiers", json={"identifier": "test@test.ru"}), 422) == "bad_identifier"
    assert desk.service.patch(path, json={"name": "Ann", "by": "Ben"}).status_code == 200
    assert audit(desk)[-1] == ("service:Ben", "rename", "done")


def test_nobody_edits_a_card_that_is_none_yet(desk: Desk) -> None:
    """C2, C3: a provisional card answers as everywhere."""
    desk.open_channel("later", kinds=("telegram",), create="manual")
    desk.dialog("later-telegram", "7", PHONE)
    path = f"/api/cards/{card_of(desk, 'later-telegram', '7')}"
    assert refused(desk.service.patch(path, json={"name": "Ann"}), 404) == "no_card_yet"
    assert refusal(desk, f"{path}/identifiers", {"identifier": EMAIL}, 404) == "no_card_yet"
    assert refusal(desk, f"{path}/detach", {"identifier": PHONE, "reason": "wrong"}, 404) == "no_card_yet"


def test_acts_on_customers_need_the_service_token(desk: Desk) -> None:
    """An operator edits cards; he merges, parts and blocks nothing, and reads no lists of it."""
    ann = desk.as_operator("ann")
    for path in ("reviews", "merges", "blocked"):
        assert refused(ann.get(f"/api/tracker/{path}"), 403) == "administrators_only"
    assert refused(ann.get("/api/audit"), 403) == "administrators_only"
    for path in (
        "tracker/reviews/1/accept",
        "tracker/reviews/1/reject",
        "tracker/merges",
        "tracker/merges/1/undo",
        "cards/1/detach",
        "chats/1/detach",
        "tracker/blocked",
        "tracker/blocked/remove",
    ):
        assert refused(ann.post(f"/api/{path}", json={}), 403) == "administrators_only"
    assert refused(desk.with_token("").get("/api/tracker/reviews"), 401) == "no_token"

"""Everything that is known on a card is explained: what was planted through real messages, on real PostgreSQL."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.customers import EMAIL, OTHER_PHONE, PHONE, act, card_of, chat_id_of, live_id, refused
from tests.desks import Desk
from tracker.identifiers import Evidence, messenger, phone

pytestmark = pytest.mark.integration


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """A desk with the API in front of it."""
    with Desk(database_url) as made:
        kinds = ("telegram", "custom", "whatsapp", "livechat")
        made.open_channel("desk", [made.operator("ann")], kinds=kinds, max_claimants=1)
        yield made


def provenance(desk: Desk, card_id: int) -> dict[str, Any]:
    """The document."""
    document: dict[str, Any] = desk.get(f"/api/cards/{card_id}/provenance")
    return document


def identifier(document: dict[str, Any], value: str) -> dict[str, Any]:
    """One of its identifiers."""
    (found,) = (one for one in document["identifiers"] if one["key"] == value)
    assert isinstance(found, dict)
    return found


def test_everything_on_a_card_is_explained(desk: Desk) -> None:
    """T2-T7: each card, name, identifier, chat and merge, with its message and rule; nothing is left out."""
    first = desk.say("desk-telegram", "7", "hello", name="Ann Smith", given=[messenger("telegram", "7")])
    desk.drain()
    gave_phone = desk.say("desk-telegram", "7", "+49 (171) 2345678 is my number")
    desk.drain()
    other = desk.say("desk-custom", "8", EMAIL)
    desk.drain()
    merging = desk.say("desk-custom", "8", f"and {PHONE}")
    desk.drain()
    proving = desk.say("desk-whatsapp", "9", "hi", given=[phone(PHONE, Evidence.PROVEN)])
    desk.drain()
    older, younger = card_of(desk, "desk-telegram", "7"), card_of(desk, "desk-custom", "8")
    telegram, custom, whatsapp = (
        chat_id_of(desk, f"desk-{kind}", chat) for kind, chat in (("telegram", "7"), ("custom", "8"), ("whatsapp", "9"))
    )
    document = provenance(desk, younger)
    assert document == provenance(desk, older)
    assert (document["id"], document["name"]) == (older, "Ann Smith")
    live, merged = document["cards"]
    assert (live["id"], live["live"], live["type"], live["made_by"], live["edited_at"]) == (
        older,
        True,
        "lead",
        "tracker",
        None,
    )
    assert (live["made_from_chat_id"], live["open_channel"]["name"]) == (telegram, "desk")
    assert (live["name_from"]["by"], live["name_from"]["message"]["inbox_id"]) == ("customer", first)
    assert (merged["id"], merged["live"], merged["name_from"]) == (younger, False, None)

    number = identifier(document, PHONE)
    assert (number["kind"], number["remembered_for"], number["standing"]) == ("phone", older, "usual")
    assert (number["blocked"], number["detached"]) == (None, [])
    told = [
        (f["chat_id"], f["channel_key"], f["card_id"], f["evidence"], f["rule"], f["message"]["inbox_id"])
        for f in number["facts"]
    ]
    assert told == [
        (telegram, "desk-telegram", older, "typed", "T4", gave_phone),
        (custom, "desk-custom", younger, "typed", "T4", merging),
        (whatsapp, "desk-whatsapp", older, "proven", "T4", proving),
    ]
    assert number["facts"][0]["written"] == "+49 (171) 2345678"
    assert number["facts"][0]["message"]["seq"] == 2
    assert {fact["given_by"] for fact in number["facts"]} == {"customer"}
    (fact,) = identifier(document, EMAIL)["facts"]
    assert (fact["rule"], fact["message"]["inbox_id"], fact["given_at"] is not None) == ("T6", other, True)
    (fact,) = identifier(document, "telegram/7")["facts"]
    assert (fact["evidence"], fact["message"]["inbox_id"]) == ("proven", first)

    bound = [
        (c["id"], c["card_id"], c["bound_by"], c["link"], c["message"]["inbox_id"], c["channel_kind"])
        for c in document["chats"]
    ]
    link = {"kind": "phone", "value": PHONE, "evidence": "typed"}
    assert bound == [
        (telegram, older, "T6", None, first, "telegram"),
        (custom, younger, "T6", None, other, "custom"),
        (whatsapp, older, "T5 proven phone", link, proving, "whatsapp"),
    ]
    (merge,) = document["merges"]
    assert (merge["card_id"], merge["other_id"], merge["rule"], merge["actor"]) == (younger, older, "T7", "tracker")
    assert (merge["link"], merge["chat_id"], merge["message"]["inbox_id"]) == (link, custom, merging)
    assert document["kept_apart"] == document["reviews"] == document["audit"] == []
    # Complete: every identifier of the card as the other route shows it, and every fact of the database.
    shown = {one["value"] for one in desk.get(f"/api/cards/{older}")["identifiers"]}
    assert shown == {one["key"] for one in document["identifiers"]}
    facts = [fact for one in document["identifiers"] for fact in one["facts"]]
    assert len(facts) == desk.value("SELECT count(*) FROM card_identifiers")
    assert all(fact["message"] for fact in facts)


def test_what_persons_did_is_explained(desk: Desk) -> None:
    """T5, T7, T9: names, entered and detached identifiers, undone merges, who is kept apart, and the audit of it."""
    desk.dialog("desk-telegram", "7", PHONE, name="Ann")
    desk.dialog("desk-custom", "8", EMAIL)
    desk.dialog("desk-custom", "8", PHONE)
    card_id, other_id = card_of(desk, "desk-telegram", "7"), card_of(desk, "desk-custom", "8")
    (merge,) = desk.get("/api/tracker/merges")["items"]
    act(desk, f"/api/tracker/merges/{merge['id']}/undo", {"reason": "two sisters", "by": "Eve"})
    ann = desk.as_operator("ann")
    actor = f"operator:{desk.value('SELECT id FROM operators')}"
    ann.patch(f"/api/cards/{card_id}", json={"name": "Ann Smith"})
    ann.post(f"/api/cards/{card_id}/identifiers", json={"identifier": OTHER_PHONE})
    act(desk, f"/api/cards/{card_id}/detach", {"identifier": PHONE, "reason": "her sister's", "by": "Eve"})
    act(desk, "/api/tracker/blocked", {"value": OTHER_PHONE, "reason": "ours"}, 201)
    document = provenance(desk, card_id)
    (card,) = document["cards"]
    assert (card["name"], card["name_from"]["by"], card["name_from"]["actor"]) == ("Ann Smith", "person", actor)
    assert card["edited_at"]
    detached = identifier(document, PHONE)
    assert (detached["facts"], detached["remembered_for"]) == ([], None)
    assert [(one["card_id"], one["actor"], one["reason"]) for one in detached["detached"]] == [
        (card_id, "service:Eve", "her sister's")
    ]
    entered = identifier(document, OTHER_PHONE)
    (fact,) = entered["facts"]
    assert (fact["given_by"], fact["rule"], fact["chat_id"], fact["message"]) == (actor, "person", None, None)
    assert (entered["blocked"]["value"], entered["blocked"]["reason"]) == (OTHER_PHONE, "ours")
    (undone,) = document["merges"]
    assert (undone["undone_by"], undone["undo_reason"]) == ("service:Eve", "two sisters")
    (apart,) = document["kept_apart"]
    assert (apart["card_id"], apart["other_id"], apart["other_live_id"]) == (card_id, other_id, other_id)
    assert [(entry["actor"], entry["act"]) for entry in document["audit"]] == [
        ("service:Eve", "undo"),
        (actor, "rename"),
        (actor, "enter_identifier"),
        ("service:Eve", "detach"),
    ]
    assert [entry["act"] for entry in provenance(desk, other_id)["audit"]] == ["undo"]


def test_a_chat_that_left_is_explained_on_both_cards(desk: Desk) -> None:
    """T8: the new card's name is the chat's; both sides name the act and who keeps them apart."""
    desk.dialog("desk-telegram", "7", PHONE, name="Ann")
    desk.dialog("desk-custom", "8", PHONE, name="Ben")
    chat_id = chat_id_of(desk, "desk-custom", "8")
    card_id = card_of(desk, "desk-custom", "8")
    new_id = act(desk, f"/api/chats/{chat_id}/detach", {"reason": "her brother"}, 201)["id"]
    document = provenance(desk, new_id)
    assert (document["name"], document["cards"][0]["name_from"]["by"]) == ("Ben", "chat")
    (chat,) = document["chats"]
    assert (chat["bound_by"], chat["link"], chat["message"]) == ("person", None, None)
    for one in (card_id, new_id):
        assert [entry["act"] for entry in provenance(desk, one)["audit"]] == ["detach_chat"]
        assert [apart["reason"] for apart in provenance(desk, one)["kept_apart"]] == ["her brother"]


def test_shared_identifiers_and_reviews_are_explained(desk: Desk) -> None:
    """T8, T9: the standing, and what was asked about the cards or an identifier on them."""
    desk.dialog("desk-telegram", "1", PHONE, name="Ann")
    desk.dialog("desk-telegram", "2", PHONE, name="Ben")
    card_id = card_of(desk, "desk-telegram", "1")
    document = provenance(desk, card_id)
    assert identifier(document, PHONE)["standing"] == "shared"
    (review,) = document["reviews"]
    assert (review["cause"], review["identifier"]["value"], review["state"]) == ("shared", PHONE, "open")
    act(desk, f"/api/tracker/reviews/{review['id']}/reject", {"note": "a family"})
    document = provenance(desk, card_id)
    assert identifier(document, PHONE)["standing"] == "trusted"
    assert [entry["act"] for entry in document["audit"]] == ["reject_review"]
    assert [(one["state"], one["note"]) for one in document["reviews"]] == [("rejected", "a family")]


def test_who_may_ask(desk: Desk) -> None:
    """C2, C3: an operator, of any card; the service alone, where there is none yet; a deal shows its contact's."""
    desk.open_channel("later", kinds=("telegram",), create="manual")
    desk.dialog("later-telegram", "7", PHONE)
    path = f"/api/cards/{card_of(desk, 'later-telegram', '7')}/provenance"
    assert desk.get(path)["cards"][0]["type"] == "provisional"
    ann = desk.as_operator("ann")
    assert refused(ann.get(path), 404) == "no_card_yet"
    assert refused(ann.get("/api/cards/999/provenance"), 404) == "unknown_card"
    assert refused(desk.with_token("").get(path), 401) == "no_token"
    desk.open_channel("deals", kinds=("custom",), mode="deal")
    desk.dialog("deals-custom", "8", EMAIL)
    contact_id, deal_id = desk.rows("SELECT card_id, deal_id FROM chats WHERE deal_id IS NOT NULL")[0]
    response = ann.get(f"/api/cards/{deal_id}/provenance")
    assert response.json()["id"] == contact_id == live_id(desk, contact_id)
    assert [one["key"] for one in response.json()["identifiers"]] == [EMAIL]

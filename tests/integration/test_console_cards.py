"""Cards that operators make by hand (C2), on real PostgreSQL."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.desks import Desk, problem_of
from tracker.identifiers import Evidence, messenger, phone

pytestmark = pytest.mark.integration


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """A desk with the API in front of it."""
    with Desk(database_url) as made:
        yield made


def chat_of(desk: Desk, dialog_id: int) -> int:
    """The chat of a dialog."""
    return int(desk.get(f"/api/dialogs/{dialog_id}")["chat_id"])


def test_a_lead_is_made_by_hand(desk: Desk) -> None:
    """C2, C4: nothing is made by itself; the operator's act makes it, with name and history; a second is refused."""
    desk.open_channel("desk", [desk.operator("ann"), desk.operator("ben")], create="manual")
    dialog_id = desk.dialog("desk-telegram", "7", "+49 171 2345678", name="Ann Smith")
    chat_id = chat_of(desk, dialog_id)
    assert desk.get("/api/cards")["items"] == []
    response = desk.as_operator("ann").post(f"/api/chats/{chat_id}/card", json={"type": "lead"})
    assert response.status_code == 201
    made = response.json()
    assert (made["made"], made["deal_id"]) == (True, None)
    card = made["card"]
    assert (card["type"], card["name"], card["source"]["name"]) == ("lead", "Ann Smith", "telegram: desk telegram")
    assert card["remembered_phones"] == ["+491712345678"]
    assert [chat["id"] for chat in card["chats"]] == [chat_id]
    assert len(desk.get(f"/api/cards/{card['id']}/history")["items"]) == 1
    assert desk.get(f"/api/dialogs/{dialog_id}")["card_id"] == card["id"]
    again = desk.as_operator("ann").post(f"/api/chats/{chat_id}/card", json={"type": "lead"})
    assert again.status_code == 409
    assert (problem_of(again)["reason"], problem_of(again)["card_id"]) == ("card_exists", card["id"])


def test_a_card_is_made_once_under_a_key(desk: Desk) -> None:
    """Asked for again, it is the card as it is now, not the refusal of a second; and it is in the audit once."""
    desk.open_channel("desk", [desk.operator("ann")], create="manual")
    chat_id = chat_of(desk, desk.dialog("desk-telegram", "7", name="Ann Smith"))
    ann, headers = desk.as_operator("ann"), {"idempotency-key": "k"}
    first, again = (ann.post(f"/api/chats/{chat_id}/card", json={"type": "deal"}, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert (first.json()["made"], again.headers["idempotency-replayed"]) == (True, "true")
    other = ann.post(f"/api/chats/{chat_id}/card", json={"type": "lead"}, headers=headers)
    assert problem_of(other)["reason"] == "idempotency_key_reused"
    outcomes = desk.rows("SELECT outcome FROM audit WHERE act = 'create_card' ORDER BY id")
    assert outcomes == [("done",), ("idempotency_key_reused",)]


def test_a_deal_is_made_with_its_contact(desk: Desk) -> None:
    """C1, C2, C4: the contact has the identifiers, the dialog shows the deal, and the acceptor is responsible."""
    desk.open_channel("desk", [desk.operator("boss"), desk.operator("ann")], create="manual", distribution="all")
    dialog_id = desk.dialog("desk-telegram", "7", name="Ann Smith")
    desk.act("ann", f"/api/dialogs/{dialog_id}/accept")
    made = desk.act("ann", f"/api/chats/{chat_of(desk, dialog_id)}/card", {"type": "deal"})
    assert made["card"]["type"] == "contact"
    assert [deal["id"] for deal in made["card"]["deals"]] == [made["deal_id"]]
    assert desk.get(f"/api/dialogs/{dialog_id}")["deal_id"] == made["deal_id"]
    for card_id in (made["card"]["id"], made["deal_id"]):
        card = desk.get(f"/api/cards/{card_id}")
        assert (card["responsible"]["name"], card["responsible_by"]) == ("ann", "acceptor")


def enter_phone(desk: Desk, card_id: int, number: str) -> None:
    """A person in the company enters a phone on a card."""
    desk.rows(
        "INSERT INTO card_identifiers (card_id, kind, key, value, written, evidence, given_at, given_by) "
        "VALUES (%s, 'phone', %s, %s, '', 'typed', now(), 'operator:1') RETURNING card_id",
        card_id,
        number,
        number,
    )


def test_a_customer_who_gives_a_known_phone_later_has_a_card_at_once(desk: Desk) -> None:
    """C2, T7: his provisional card is merged into the one that is there; there is nothing to make by hand."""
    desk.open_channel("desk", [desk.operator("ann")], kinds=("telegram", "custom"), create="manual")
    desk.open_channel("auto", kinds=("custom",))
    dialog_id = desk.dialog("desk-telegram", "7", "hello")
    desk.dialog("auto-custom", "8", "+49 171 2345678")
    existing = desk.value("SELECT id FROM cards WHERE type = 'lead'")
    desk.dialog("desk-telegram", "7", "+49 171 2345678")
    assert desk.get(f"/api/dialogs/{dialog_id}")["card_id"] == existing
    assert desk.refusal("ann", f"/api/chats/{chat_of(desk, dialog_id)}/card", {"type": "lead"}) == "card_exists"


def test_the_look_up_is_repeated_when_the_card_is_made(desk: Desk) -> None:
    """C2, T2, T4: the customer turned out to have a card; no second one is made, his two cards are merged."""
    desk.open_channel("desk", [desk.operator("ann")], kinds=("telegram", "custom"), create="manual")
    desk.open_channel("auto", kinds=("custom",))
    dialog_id = desk.dialog("desk-telegram", "7", "hello", name="Ann Smith", given=[messenger("telegram", "7")])
    desk.dialog("auto-custom", "8", "hello")
    existing = desk.value("SELECT id FROM cards WHERE type = 'lead'")
    desk.dialog("desk-telegram", "7", "my number is +49 171 2345678, ann@shop-mail.de")
    enter_phone(desk, existing, "+491712345678")
    chat_id = chat_of(desk, dialog_id)
    assert desk.get(f"/api/chats/{chat_id}")["card_id"] is None
    response = desk.as_operator("ann").post(f"/api/chats/{chat_id}/card", json={"type": "lead"})
    assert (response.status_code, response.json()["made"]) == (200, False)
    card = response.json()["card"]
    assert (card["id"], card["name"]) == (existing, "Ann Smith")
    assert {identifier["value"] for identifier in card["identifiers"]} == {
        "+491712345678",
        "telegram/7",
        "ann@shop-mail.de",
    }
    assert desk.get(f"/api/chats/{chat_id}")["card_id"] == existing
    assert desk.rows("SELECT rule, survivor_id FROM merges") == [("C2 T2 typed phone", existing)]
    assert desk.get(f"/api/dialogs/{dialog_id}")["card_id"] == existing
    assert len(desk.get("/api/cards")["items"]) == 1
    # Whatever the customer gave before leads to the found card from now on.
    desk.dialog("desk-custom", "9", "ann@shop-mail.de")
    assert len(desk.get(f"/api/cards/{existing}")["chats"]) == 3
    desk.dialog("desk-telegram", "7", "thank you")
    assert desk.value("SELECT count(*) FROM cards WHERE live_id IS NULL") == 1


def test_a_repeated_look_up_never_joins_two_proven_customers(desk: Desk) -> None:
    """T8: a typed phone leads to a card with another proven phone; so a card of his own is made."""
    desk.open_channel("desk", [desk.operator("ann")], kinds=("whatsapp",), create="manual")
    desk.open_channel("auto", kinds=("whatsapp",))
    desk.dialog("auto-whatsapp", "8", "ann@shop-mail.de", given=[phone("+491701111111", Evidence.PROVEN)])
    existing = desk.value("SELECT id FROM cards")
    dialog_id = desk.dialog("desk-whatsapp", "7", "hi", given=[phone("+491712345678", Evidence.PROVEN)])
    desk.dialog("desk-whatsapp", "7", "write to ann@shop-mail.de")
    made = desk.act("ann", f"/api/chats/{chat_of(desk, dialog_id)}/card", {"type": "lead"})
    assert made["made"] is True
    assert made["card"]["id"] != existing


def test_a_found_contact_gets_the_deal_of_the_setting(desk: Desk) -> None:
    """C1, C2: under the contact that the look-up found, the active deal is reused."""
    desk.open_channel("desk", [desk.operator("ann")], create="manual", mode="deal")
    desk.open_channel("auto", kinds=("custom",), mode="deal")
    dialog_id = desk.dialog("desk-telegram", "7", "hello")
    desk.dialog("auto-custom", "8", "hello")
    contact_id, deal_id = desk.rows("SELECT card_id, deal_id FROM chats WHERE deal_id IS NOT NULL")[0]
    desk.dialog("desk-telegram", "7", "+49 171 2345678")
    enter_phone(desk, contact_id, "+491712345678")
    made = desk.act("ann", f"/api/chats/{chat_of(desk, dialog_id)}/card", {"type": "deal"})
    assert (made["made"], made["card"]["id"], made["deal_id"]) == (False, contact_id, deal_id)
    assert desk.get(f"/api/dialogs/{dialog_id}")["deal_id"] == deal_id


def test_only_who_has_the_dialog_makes_the_card(desk: Desk) -> None:
    """C2: another operator may not, the service may; a chat of which nothing is processed has nothing to make."""
    desk.open_channel("desk", [desk.operator("ann")], create="manual")
    desk.operator("ben")
    dialog_id = desk.dialog("desk-telegram", "7")
    path = f"/api/chats/{chat_of(desk, dialog_id)}/card"
    assert desk.refusal("ben", path, {"type": "lead"}) == "not_yours"
    desk.act("ann", f"/api/dialogs/{dialog_id}/close")
    assert desk.refusal("ben", path, {"type": "lead"}) == "not_yours"
    assert desk.service.post(path, json={"type": "lead"}).status_code == 201
    desk.say("desk-telegram", "8")
    unprocessed = desk.service.post(f"/api/chats/{desk.value('SELECT max(id) FROM chats')}/card", json={"type": "lead"})
    assert (unprocessed.status_code, problem_of(unprocessed)["reason"]) == (409, "not_processed")
    unknown = desk.service.post("/api/chats/999/card", json={"type": "lead"})
    assert (unknown.status_code, problem_of(unknown)["reason"]) == (404, "unknown_chat")
    invalid = desk.service.post(path, json={"type": "contact"})
    assert (invalid.status_code, problem_of(invalid)["reason"]) == (422, "invalid_request")


def test_who_closed_the_dialog_may_still_make_the_card(desk: Desk) -> None:
    """C2, C4: the last dialog of the chat was his."""
    desk.open_channel("desk", [desk.operator("boss", online=False), desk.operator("ann")], create="manual")
    dialog_id = desk.dialog("desk-telegram", "7")
    desk.act("ann", f"/api/dialogs/{dialog_id}/accept")
    desk.act("ann", f"/api/dialogs/{dialog_id}/close")
    made = desk.act("ann", f"/api/chats/{chat_of(desk, dialog_id)}/card", {"type": "lead"})
    assert made["card"]["responsible"]["name"] == "ann"


def test_many_who_make_one_card_make_one(desk: Desk) -> None:
    """C2: twenty at the same moment, over two chats of one customer: one card, one deal, the others are told."""
    desk.open_channel("desk", kinds=("telegram", "custom"), create="manual")
    chats = [chat_of(desk, desk.dialog(f"desk-{kind}", "7", "+49 171 2345678")) for kind in ("telegram", "custom")]

    def make(n: int) -> int:
        headers = dict(desk.service.headers)
        url = f"{desk.base_url}/api/chats/{chats[n % 2]}/card"
        return httpx.post(url, headers=headers, json={"type": "deal"}, timeout=30).status_code

    with ThreadPoolExecutor(20) as threads:
        statuses = Counter(threads.map(make, range(20)))
    assert statuses == {201: 1, 409: 19}
    assert desk.rows("SELECT type::text, count(*) FROM cards GROUP BY 1 ORDER BY 1") == [("contact", 1), ("deal", 1)]

"""What the API shows of cards, chats, dialogs, desks and the inbox, on real PostgreSQL."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.desks import Desk, problem_of, typed_email, typed_phone
from tracker.access import Role, Scope
from tracker.identifiers import Evidence, messenger, phone
from tracker.messages import MessageKind

pytestmark = pytest.mark.integration


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """A desk with the API in front of it."""
    with Desk(database_url) as made:
        yield made


def all_of(desk: Desk, path: str, limit: int, **parameters: Any) -> list[dict[str, Any]]:
    """A whole list, page by page."""
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = desk.get(path, limit=limit, **parameters, **cursor)
        assert len(page["items"]) <= limit
        items += page["items"]
        if page["next"] is None:
            return items
        cursor = {"cursor": page["next"]}


def not_found(desk: Desk, path: str) -> str:
    """The reason of a 404."""
    response = desk.service.get(path)
    assert response.status_code == 404
    return str(problem_of(response)["reason"])


def test_a_card_shows_what_hangs_on_it(desk: Desk) -> None:
    """T3, T4, T5, C4: identifiers with evidence and writing, the remembered phone, chats with what bound them."""
    desk.open_channel("desk", [desk.operator("ann")], kinds=("telegram", "custom", "whatsapp"))
    dialog_id = desk.dialog("desk-telegram", "7", "0171 1111111 or +49 171 2345678", name="Ann Smith")
    desk.dialog("desk-custom", "8", "+49 171 2345678 ann@shop-mail.de")
    desk.dialog("desk-whatsapp", "9", given=[phone("+491712345678", Evidence.PROVEN)])
    card_id = desk.get(f"/api/dialogs/{dialog_id}")["card_id"]
    card = desk.get(f"/api/cards/{card_id}")
    assert (card["id"], card["type"], card["name"]) == (card_id, "lead", "Ann Smith")
    assert card["source"]["name"] == "telegram: desk telegram"
    assert (card["responsible"]["name"], card["responsible_by"]) == ("ann", "roster")
    assert card["open_channel"]["name"] == "desk"
    assert {(i["kind"], i["value"], i["evidence"]) for i in card["identifiers"]} == {
        ("phone", "+491712345678", "proven"),
        ("email", "ann@shop-mail.de", "typed"),
    }
    assert all(identifier["since"] and identifier["written"] for identifier in card["identifiers"])
    assert card["remembered_phones"] == ["+491712345678"]
    assert [(chat["channel_kind"], chat["bound_by"]) for chat in card["chats"]] == [
        ("telegram", "T6"),
        ("custom", "T5 typed phone"),
        ("whatsapp", "T5 proven phone"),
    ]
    assert card["deals"] == []
    history = all_of(desk, f"/api/cards/{card_id}/history", 2)
    assert [message["chat_id"] for message in history] == [chat["id"] for chat in card["chats"]]


def test_a_contact_shows_its_deals_and_a_deal_its_chats(desk: Desk) -> None:
    """C1: identifiers hang on the contact; a deal's history is that of the chats that belong to it."""
    desk.open_channel("desk", [desk.operator("ann")], kinds=("telegram", "custom"), mode="deal", deals="always_new")
    first = desk.dialog("desk-telegram", "7", "+49 171 2345678")
    second = desk.dialog("desk-custom", "8", "it is me: +49 171 2345678")
    contact_id = desk.get(f"/api/dialogs/{first}")["card_id"]
    deal_ids = [desk.get(f"/api/dialogs/{dialog_id}")["deal_id"] for dialog_id in (first, second)]
    contact = desk.get(f"/api/cards/{contact_id}")
    assert contact["type"] == "contact"
    assert sorted(deal["id"] for deal in contact["deals"]) == sorted(deal_ids)
    assert len(set(deal_ids)) == 2
    deal = desk.get(f"/api/cards/{deal_ids[1]}")
    assert (deal["type"], deal["contact_id"]) == ("deal", contact_id)
    assert [identifier["value"] for identifier in deal["identifiers"]] == ["+491712345678"]
    assert [chat["channel_kind"] for chat in deal["chats"]] == ["custom"]
    assert len(desk.get(f"/api/cards/{deal_ids[1]}/history")["items"]) == 1
    assert len(desk.get(f"/api/cards/{contact_id}/history")["items"]) == 2
    # The first deal's dialog is closed, the chat goes on with another deal: its history is the first deal's too.
    desk.act("ann", f"/api/dialogs/{first}/accept")
    desk.act("ann", f"/api/dialogs/{first}/close")
    third = desk.dialog("desk-telegram", "7", "another matter")
    assert desk.get(f"/api/dialogs/{third}")["deal_id"] not in deal_ids
    assert len(desk.get(f"/api/cards/{deal_ids[0]}/history")["items"]) == 2


def test_nobody_sees_a_provisional_card(desk: Desk) -> None:
    """C2, C3: it is no card yet, in the list, by its id, on the chat, on the dialog and on the inbox item."""
    desk.open_channel("desk", [desk.operator("ann")], create_when="contact_details")
    dialog_id = desk.dialog("desk-telegram", "7", name="Ann")
    card_id = desk.value("SELECT card_id FROM chats")
    assert not_found(desk, f"/api/cards/{card_id}") == "no_card_yet"
    assert not_found(desk, f"/api/cards/{card_id}/history") == "no_card_yet"
    assert desk.get("/api/cards")["items"] == []
    dialog = desk.get(f"/api/dialogs/{dialog_id}")
    assert (dialog["card_id"], dialog["customer"]) == (None, "Ann")
    chat = desk.get(f"/api/chats/{dialog['chat_id']}")
    assert (chat["card_id"], chat["name"], chat["bound_by"]) == (None, "Ann", "T6")
    assert desk.get(f"/api/inbox/{desk.value('SELECT id FROM inbox')}")["card_id"] is None
    desk.dialog("desk-telegram", "7", "ann@shop-mail.de")
    assert desk.get(f"/api/dialogs/{dialog_id}")["card_id"] == card_id
    assert desk.get(f"/api/chats/{dialog['chat_id']}")["card_id"] == card_id


def test_a_merged_card_leads_to_its_survivor(desk: Desk) -> None:
    """T7: the pointer is followed; identifiers, memory, chats and history of both show on one."""
    desk.open_channel("desk", kinds=("telegram", "custom"))
    desk.dialog("desk-telegram", "7", "+49 171 2345678")
    desk.dialog("desk-custom", "8", "ann@shop-mail.de")
    older, younger = (card_id for (card_id,) in desk.rows("SELECT id FROM cards ORDER BY id"))
    desk.rows("UPDATE cards SET live_id = %s WHERE id = %s", older, younger)
    card = desk.get(f"/api/cards/{younger}")
    assert card["id"] == older
    assert {identifier["kind"] for identifier in card["identifiers"]} == {"phone", "email"}
    assert len(card["chats"]) == len(desk.get(f"/api/cards/{younger}/history")["items"]) == 2
    assert [found["id"] for found in desk.get("/api/cards")["items"]] == [older]
    assert [found["id"] for found in desk.get("/api/cards", identifier="ann@shop-mail.de")["items"]] == [older]
    assert desk.get(f"/api/chats/{desk.value('SELECT max(id) FROM chats')}")["card_id"] == older


def test_cards_are_found_by_any_writing_of_an_identifier(desk: Desk) -> None:
    """T2, T5, T12: phones by key, with a region nationally, remembered ones too; e-mails in any case; messenger ids."""
    desk.open_channel("desk", kinds=("telegram", "custom"))
    desk.dialog("desk-telegram", "7", given=[typed_phone("+55 11 98765-4321"), messenger("telegram", "7")])
    desk.dialog("desk-custom", "8", given=[typed_email("Ann@Shop-Mail.de")])
    by_phone, by_email = (card_id for (card_id,) in desk.rows("SELECT id FROM cards ORDER BY id"))

    def found(identifier: str, **parameters: str) -> list[int]:
        items = desk.get("/api/cards", identifier=identifier, **parameters)["items"]
        return [card["id"] for card in items]

    for written in ("+55 (11) 98765-4321", "551187654321", "0055 11 8765-4321", "telegram/7"):
        assert found(written) == [by_phone], written
    assert found("11 98765-4321", region="br") == [by_phone]
    assert found("11 98765-4321") == []
    assert found("<ANN@shop-mail.DE>") == [by_email]
    desk.rows("DELETE FROM card_identifiers WHERE kind = 'phone'")
    assert found("+5511987654321") == [by_phone], "T5: remembered"
    assert desk.get(f"/api/cards/{by_phone}")["remembered_phones"] == ["+551187654321"], "its key is left"
    assert found("nobody") == []


def test_lists_are_read_in_pages_newest_first(desk: Desk) -> None:
    """Keyset: every page begins where the one before ended, also when something was added meanwhile."""
    ann, ben = desk.operator("ann"), desk.operator("ben")
    desk.open_channel("desk", [ann, ben])
    desk.open_channel("other", kinds=("custom",))
    for n in range(7):
        desk.say("desk-telegram", f"chat-{n}")
    desk.say("other-custom", "chat-8")
    desk.drain()
    for path in ("/api/cards", "/api/dialogs"):
        ids = [item["id"] for item in all_of(desk, path, 3)]
        assert ids == sorted(ids, reverse=True)
        assert len(ids) == 8
        assert [item["id"] for item in all_of(desk, path, 8)] == ids
    page = desk.get("/api/cards", limit=3)
    desk.dialog("desk-telegram", "chat-9")
    following = desk.get("/api/cards", limit=3, cursor=page["next"])["items"]
    assert page["items"][-1]["id"] > following[0]["id"]
    assert len(all_of(desk, "/api/cards", 4, type="lead")) == 9
    assert all_of(desk, "/api/cards", 4, type="deal") == []

    assert {dialog["operator"]["id"] for dialog in all_of(desk, "/api/dialogs", 2, operator=ben)} == {ben}
    assert len(all_of(desk, "/api/dialogs", 2, open_channel=desk.value("SELECT max(id) FROM open_channels"))) == 1
    statuses = [d["status"] for d in all_of(desk, "/api/dialogs", 5, status=["queued", "closed"])]
    assert statuses == ["queued"]


def test_a_history_is_read_forwards_and_backwards(desk: Desk) -> None:
    """T4, DESIGN: in the chat's order, in pages, from either end; edits, deletions and reactions show."""
    desk.open_channel("desk", [desk.operator("ann")])
    for n in range(7):
        desk.say("desk-telegram", "7", f"message {n}")
    desk.drain()
    chat_id, card_id = desk.rows("SELECT id, card_id FROM chats")[0]
    desk.rows("UPDATE messages SET deleted_at = now(), reactions = '{\"7\": \"+1\"}' WHERE text = 'message 3'")
    texts = [f"message {n}" for n in range(7)]
    for path in (f"/api/chats/{chat_id}/history", f"/api/cards/{card_id}/history"):
        forwards = all_of(desk, path, 3)
        assert [message["text"] for message in forwards] == texts
        assert [message["text"] for message in all_of(desk, path, 2, order="newest")] == texts[::-1]
        assert forwards[3]["deleted_at"]
        assert forwards[3]["reactions"] == {"7": "+1"}
        assert (forwards[0]["direction"], forwards[0]["delivery"], forwards[0]["attachments"]) == ("in", None, [])


def test_a_chat_shows_its_open_dialog(desk: Desk) -> None:
    """S1: with who has it; none after it is closed."""
    desk.open_channel("desk", [desk.operator("ann")])
    dialog_id = desk.dialog("desk-telegram", "49171", name="Ann")
    chat = desk.get(f"/api/chats/{desk.value('SELECT id FROM chats')}")
    assert (chat["external_id"], chat["channel_kind"], chat["channel_key"]) == ("49171", "telegram", "desk-telegram")
    assert chat["open_channel"]["name"] == "desk"
    assert chat["dialog"]["id"] == dialog_id
    assert (chat["dialog"]["status"], chat["dialog"]["operator"]["name"]) == ("assigned", "ann")
    desk.act("ann", f"/api/dialogs/{dialog_id}/close")
    assert desk.get(f"/api/chats/{chat['id']}")["dialog"] is None


def test_every_assignment_shows_why(desk: Desk) -> None:
    """D12: the rule, the chosen one, and the others by reason, with their names."""
    ann, ben, gone = desk.operator("ann"), desk.operator("ben"), desk.operator("gone", online=False)
    desk.open_channel("desk", [ann, ben, gone])
    (record,) = desk.get(f"/api/dialogs/{desk.dialog('desk-telegram', '7')}")["decisions"]
    assert (record["rule"], record["chosen"]) == ("D2", {"id": ann, "name": "ann"})
    assert record["passed_over"] == {
        "later_in_turn": [{"id": ben, "name": "ben"}],
        "offline": [{"id": gone, "name": "gone"}],
    }


def test_operators_show_presence_and_loads(desk: Desk) -> None:
    """D6, D7: online by heartbeat, open and counted dialogs per open channel and over all."""
    ann = desk.operator("ann", personal_limit=9)
    desk.operator("gone", online=False)
    open_channel_id = desk.open_channel("desk", [ann], max_dialogs=5, counted="without_answered")
    first = desk.dialog("desk-telegram", "7")
    desk.dialog("desk-telegram", "8")
    desk.act("ann", f"/api/dialogs/{first}/answer", {"text": "hello"})
    shown, gone = desk.get("/api/operators")["items"]
    assert (shown["name"], shown["online"], shown["personal_limit"]) == ("ann", True, 9)
    assert (shown["open"], shown["counted"]) == (2, 1)
    assert shown["loads"] == [
        {"open_channel": {"id": open_channel_id, "name": "desk"}, "open": 2, "counted": 1, "limit": 5}
    ]
    assert (gone["online"], gone["open"], gone["loads"]) == (False, 0, [])


def test_open_channels_show_settings_roster_and_backlog(desk: Desk) -> None:
    """D1, D8: the roster in order, effective settings, and how much waits since when."""
    ann, ben = desk.operator("ann", online=False), desk.operator("ben", online=False)
    desk.open_channel("desk", [ben, ann], kinds=("telegram", "custom"), max_dialogs=3)
    desk.open_channel("empty", kinds=())
    for n in range(2):
        desk.dialog("desk-telegram", f"chat-{n}")
    shown, empty = desk.get("/api/open-channels")["items"]
    assert (shown["name"], shown["active"]) == ("desk", True)
    assert shown["settings"]["max_dialogs"] == 3
    assert shown["settings"]["distribution"] == "evenly"
    assert [place["operator"]["name"] for place in shown["roster"]] == ["ben", "ann"]
    assert [(channel["key"], channel["kind"]) for channel in shown["channels"]] == [
        ("desk-telegram", "telegram"),
        ("desk-custom", "custom"),
    ]
    assert (shown["backlog"]["queued"], shown["backlog"]["offered"]) == (2, 0)
    assert shown["backlog"]["oldest_at"]
    assert shown["dialogs"] == {"queued": 2}
    assert (empty["roster"], empty["channels"], empty["backlog"]["queued"]) == ([], [], 0)


def test_an_item_can_be_followed_through_the_steps(desk: Desk) -> None:
    """DESIGN: stage, seconds per step that add up, result; an ignored item took no step."""
    desk.open_channel("desk", [desk.operator("ann")])
    inbox_id = desk.say("desk-telegram", "7")
    waiting = desk.get(f"/api/inbox/{inbox_id}")
    assert (waiting["stage"], waiting["steps"], waiting["seconds"]) == ("crm_lookup", [], None)
    desk.drain()
    item = desk.get(f"/api/inbox/{inbox_id}")
    assert (item["stage"], item["channel_kind"], item["kind"], item["attempts"]) == ("done", "telegram", "text", 0)
    assert [step["step"] for step in item["steps"]] == [
        "crm_lookup",
        "bind_chat",
        "ensure_card",
        "distribute",
        "respond",
    ]
    assert sum(step["seconds"] for step in item["steps"]) == pytest.approx(item["seconds"], abs=1e-6)
    assert (item["card_id"], item["dialog_id"]) == desk.rows("SELECT card_id, id FROM dialogs")[0]
    ignored = desk.get(f"/api/inbox/{desk.say('desk-telegram', '7', kind=MessageKind.STATUS)}")
    assert (ignored["stage"], ignored["reason"], ignored["steps"]) == ("ignored", "status", [])


def test_a_dead_item_shows_its_failures(desk: Desk) -> None:
    """DESIGN: attempts, reasons and the dead letter."""
    desk.open_channel("desk")
    inbox_id = desk.say("desk-telegram", "7")
    desk.rows(
        "INSERT INTO failures (inbox_id, step, attempt, worker, reason, error, traceback) "
        "VALUES (%s, 'bind_chat', 1, 'w', 'KeyError', 'masked', 'Traceback')",
        inbox_id,
    )
    desk.rows(
        "INSERT INTO dead_letters (inbox_id, channel_id, step, reason, fingerprint, attempts, error, traceback) "
        "VALUES (%s, 1, 'bind_chat', 'KeyError', 'KeyError bind', 1, 'masked', 'Traceback')",
        inbox_id,
    )
    desk.rows("UPDATE inbox_state SET stage = 'dead', reason = 'KeyError', finished_at = now()")
    item = desk.get(f"/api/inbox/{inbox_id}")
    assert (item["stage"], item["reason"]) == ("dead", "KeyError")
    assert [(f["step"], f["attempt"], f["reason"]) for f in item["failures"]] == [("bind_chat", 1, "KeyError")]
    assert (item["dead_letter"]["fingerprint"], item["dead_letter"]["attempts"]) == ("KeyError bind", 1)


def test_the_ledger_balances(desk: Desk) -> None:
    """DESIGN: accepted = done + ignored + dead + discarded + pending."""
    desk.open_channel("desk")
    desk.dialog("desk-telegram", "7")
    desk.say("desk-telegram", "7")
    desk.say("desk-telegram", "7", kind=MessageKind.STATUS)
    ledger = {"accepted": 3, "done": 1, "ignored": 1, "dead": 0, "discarded": 0, "pending": 1, "balances": True}
    assert desk.get("/api/ledger") == ledger


def test_what_is_not_there_is_named(desk: Desk) -> None:
    """404, with the kind of thing in its reason."""
    assert not_found(desk, "/api/cards/999") == "unknown_card"
    assert not_found(desk, "/api/cards/999/history") == "unknown_card"
    assert not_found(desk, "/api/chats/999") == "unknown_chat"
    assert not_found(desk, "/api/chats/999/history") == "unknown_chat"
    assert not_found(desk, "/api/dialogs/999") == "unknown_dialog"
    assert not_found(desk, "/api/inbox/999") == "unknown_inbox_item"


def test_a_backlog_says_why_nobody_has_it(desk: Desk) -> None:
    """D8, D12: what waits, oldest first, what each operator is doing, and one word for why nothing moves."""
    ann = desk.operator("ann", online=False)
    open_channel_id = desk.open_channel("desk", [ann], max_dialogs=2)
    ids = [desk.dialog("desk-telegram", chat) for chat in ("7", "8")]
    found = desk.get(f"/api/open-channels/{open_channel_id}/backlog", limit=1)
    assert (found["verdict"], found["queued"], found["offered"], found["free"]) == ("nobody_available", 2, 0, 0)
    assert (found["open_channel"]["name"], found["obstacles"]) == ("desk", {"offline": 1})
    assert [waiting["id"] for waiting in found["dialogs"]] == ids[:1]
    (standing,) = found["operators"]
    assert (standing["operator"]["name"], standing["availability"], standing["obstacle"]) == (
        "ann",
        "offline",
        "offline",
    )
    assert (standing["load"], standing["limit"], standing["personal_limit"]) == (0, 2, None)
    assert found["next_try_at"] > found["now"]
    assert not_found(desk, "/api/open-channels/999/backlog") == "unknown_open_channel"


@pytest.mark.parametrize(
    ("role", "scope", "reason"),
    [
        (Role.OPERATOR, Scope.ANY, "supervisors_only"),
        (Role.SUPERVISOR, Scope.OWN, "out_of_scope"),
        (Role.SUPERVISOR, Scope.DEPARTMENT, ""),
        (Role.ADMINISTRATOR, None, ""),
    ],
)
def test_who_sees_a_backlog(desk: Desk, role: Role, scope: Scope | None, reason: str) -> None:
    """Loads and customers' names are for supervisors, as far as what waits there is within their reach."""
    ann, sue = desk.operator("ann", online=False), desk.operator("sue", role=role, scope=scope)
    desk.department("sales", [ann], [sue])
    path = f"/api/open-channels/{desk.open_channel('desk', [ann])}/backlog"
    response = desk.as_operator("sue").get(path)
    assert (problem_of(response)["reason"] if response.status_code == 403 else "") == reason
    assert response.status_code == (403 if reason else 200)


def test_a_dialog_shows_its_clocks_and_marks(desk: Desk) -> None:
    """D5, S1, D12: the hand-over clock of who is to accept; events with operators; a decision with its cause."""
    ann = desk.operator("ann")
    desk.open_channel("desk", [ann])
    dialog = desk.get(f"/api/dialogs/{desk.dialog('desk-telegram', '7')}")
    assert [clock["kind"] for clock in dialog["clocks"]] == ["handover"]
    marks = ("pinned", "spam", "unanswered_at", "over_limit", "preferred")
    assert [dialog[mark] for mark in marks] == [False, False, None, False, None]
    assert [(event["was_operator"], event["operator"]) for event in dialog["events"]] == [
        (None, None),
        (None, {"id": ann, "name": "ann"}),
    ]
    (decision,) = dialog["decisions"]
    assert (decision["cause"], decision["over_limit"], decision["not_named"]) == ("waiting", False, {})


def test_of_a_long_story_the_newest_is_told(desk: Desk) -> None:
    """S1, D12: 200 events and 200 decisions, the oldest of them first, and whether there are older ones."""
    desk.open_channel("desk", [desk.operator("ann")])
    dialog_id = desk.dialog("desk-telegram", "chat-1")
    shown = desk.get(f"/api/dialogs/{dialog_id}")
    assert (shown["events_more"], shown["decisions_more"]) == (False, False)
    events, decisions = len(shown["events"]), len(shown["decisions"])
    kept = (
        "INSERT INTO events (dialog_id, actor, cause) "
        "SELECT %s, 'system', 'kept ' || n FROM generate_series(1, %s) AS n"
    )
    decided = (
        "INSERT INTO decisions (dialog_id, rule, cause, candidates, unnamed) "
        "SELECT %s, 'D5', 'kept ' || n, '{}', '{}' FROM generate_series(1, %s) AS n"
    )
    for query, told, number in ((kept, "events", 200 - events), (decided, "decisions", 200 - decisions)):
        desk.rows(query, dialog_id, number)
        full = desk.get(f"/api/dialogs/{dialog_id}")
        assert (len(full[told]), full[f"{told}_more"]) == (200, False)
        desk.rows(query, dialog_id, 1)
        more = desk.get(f"/api/dialogs/{dialog_id}")
        assert more[told][:-1] == full[told][1:]
        assert (len(more[told]), more[f"{told}_more"], more[told][-1]["cause"]) == (200, True, "kept 1")

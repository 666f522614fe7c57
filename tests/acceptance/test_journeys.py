"""What customers and operators live through, over HTTP, on real processes."""

import random
from collections import Counter

import pytest

from tests.acceptance.system import System
from tests.webhooks import KINDS, message

pytestmark = pytest.mark.acceptance


def test_the_stories_of_the_seeds_end_on_one_card(system: System) -> None:
    """T11, T2, T4, T6: a name, a phone in the talk, the same phone elsewhere with an e-mail, then that e-mail."""
    system.open_channel("desk", ["telegram", "livechat", "whatsapp", "webform", "custom"])

    assert system.post(message("custom", 1, "Good evening!", name="Ann Smith")).status_code == 200
    system.drained()
    assert system.rows("SELECT name, type::text FROM cards") == [("Ann Smith", "lead")]

    system.post(message("custom", 1, "you can call me: 0171 2345678"))
    system.drained()
    system.post(message("livechat", 7, "hello", name="Ann", phone="+49 171 2345678", email="ann@shop-mail.de"))
    system.drained()
    system.post(message("telegram", 99, "it is me, ann@shop-mail.de", name="A."))
    system.drained()
    system.post(message("whatsapp", 491712345678, "and from my phone"))
    system.drained()

    ((card_id, name),) = system.rows("SELECT id, name FROM cards WHERE type <> 'provisional'")
    card = system.get(f"/api/cards/{card_id}")
    assert name == "Ann Smith", "T4: a filled name is never overwritten"
    assert {(i["kind"], i["value"]) for i in card["identifiers"]} >= {
        ("phone", "+491712345678"),
        ("email", "ann@shop-mail.de"),
    }
    assert {chat["channel_kind"] for chat in card["chats"]} == {"custom", "livechat", "telegram", "whatsapp"}
    history = system.get(f"/api/cards/{card_id}/history")["items"]
    assert len(history) == 5, "T4: the whole history shows on the card"


def test_a_web_form_may_be_the_first_touch(system: System) -> None:
    """T11: the form makes the card, the messenger finds it."""
    system.open_channel("desk", ["webform", "telegram"])
    system.post(message("webform", 1, "please call", name="Ben", phone="+49 171 5556667"))
    system.drained()
    system.post(message("telegram", 5, "+49 171 5556667 as I wrote in the form"))
    system.drained()
    assert system.value("SELECT count(*) FROM cards") == 1
    assert system.value("SELECT count(DISTINCT card_id) FROM chats") == 1


def test_a_first_phone_is_remembered_for_ever(system: System) -> None:
    """T5: deleted from the card, a later chat that gives it binds to that card still."""
    system.open_channel("desk", ["telegram", "custom"])
    system.post(message("telegram", 1, "my number is +49 171 2345678", name="Ann"))
    system.drained()
    system.rows("WITH gone AS (DELETE FROM card_identifiers WHERE kind = 'phone' RETURNING 1) SELECT * FROM gone")
    system.post(message("custom", 2, "call +49 171 2345678"))
    system.drained()
    assert system.value("SELECT count(DISTINCT card_id) FROM chats") == 1
    assert system.value("SELECT bound_by FROM chats ORDER BY id DESC LIMIT 1") == "T5 typed phone"


def test_phone_variants_of_one_subscriber_match(system: System) -> None:
    """T12: with and without Brazil's ninth digit; the raw id stays as the address."""
    system.open_channel("desk", ["whatsapp", "custom"])
    system.post(message("whatsapp", 551187654321, "oi", name="Rui"))
    system.drained()
    system.post(message("custom", 2, "meu telefone: +55 11 98765-4321"))
    system.drained()
    assert system.value("SELECT count(DISTINCT card_id) FROM chats") == 1
    assert system.value("SELECT external_id FROM chats ORDER BY id LIMIT 1") == "551187654321"


def test_a_hundred_first_messages_with_one_phone_make_one_card(system: System) -> None:
    """T10: at the same moment, on a hundred chats of five channels, over several connections and two workers."""
    system.open_channel("desk", KINDS)
    webhooks = [
        message("whatsapp", 491712345678, "hello", name="Ann Smith")
        if KINDS[n % 5] == "whatsapp"
        else message(KINDS[n % 5], n, "call me on +49 171 2345678", name="Ann Smith")
        for n in range(100)
    ]
    random.Random(1).shuffle(webhooks)
    assert set(system.post_all(webhooks, at_once=100)) == {200}
    ledger = system.drained()
    assert (ledger.done, ledger.dead) == (100, 0)
    assert system.value("SELECT count(*) FROM cards") == 1
    assert system.value("SELECT count(DISTINCT card_id) FROM chats") == 1
    assert system.value("SELECT count(*) FROM chats WHERE card_id IS NULL") == 0
    assert system.value("SELECT count(*) FROM identifiers WHERE remembered_card_id IS NOT NULL") == 1


def test_a_thousand_deliveries_of_one_message_are_one_message(system: System) -> None:
    """Never twice: duplicates in one group commit, in neighbouring ones, and later."""
    system.open_channel("desk", ["telegram"])
    same = message("telegram", 1, "only once", name="Ann", number=77)
    assert set(system.post_all([same] * 1000, at_once=100)) == {200}
    system.drained()
    assert system.post(same).status_code == 200
    assert system.drained().accepted == 1
    assert system.rows("SELECT text FROM messages") == [("only once",)]
    assert system.value("SELECT count(*) FROM dialogs") == 1


def test_two_thousand_messages_are_distributed_by_the_rules(system: System) -> None:
    """D2 and D13: evenly is even; D3: strictly is strict; D4: all offers to all; D12: each is explained."""
    operators = [system.operator(f"operator-{n}") for n in range(7)]
    evenly = system.open_channel("evenly", ["telegram"], operators, distribution="evenly")
    strictly = system.open_channel("strictly", ["custom"], operators, distribution="strictly", max_dialogs=100)
    to_all = system.open_channel("all", ["livechat"], operators, distribution="all")
    webhooks = [
        message(kind, chat, f"message {n}", name="Ann")
        for chat in range(250)
        for n in range(2)
        for kind in ("telegram", "custom", "livechat")
    ]
    webhooks += [message("telegram", 1000 + n, "more") for n in range(500)]
    assert set(system.post_all(webhooks, at_once=60)) == {200}
    assert system.drained().done == 2000

    given = dict(system.rows("SELECT operator_id, count(*) FROM dialogs WHERE open_channel_id = %s GROUP BY 1", evenly))
    assert sum(given.values()) == 750
    assert max(given.values()) - min(given.values()) <= 1, f"D13: {given}"
    assert set(given) == set(operators)

    held = dict(
        system.rows("SELECT operator_id, count(*) FROM dialogs WHERE open_channel_id = %s GROUP BY 1", strictly)
    )
    assert held == {operators[0]: 100, operators[1]: 100, operators[2]: 50}, "D3: the head of the roster first, D7"

    offered = Counter(
        status for (status,) in system.rows("SELECT status::text FROM dialogs WHERE open_channel_id = %s", to_all)
    )
    assert offered == {"offered": 250}
    for number in (0, 6):
        mine = system.get("/api/operator/dialogs", f"token of operator-{number}")
        assert sum(dialog["status"] == "offered" for dialog in mine["items"]) == 250, "D4: each of them sees them all"
    unexplained = system.value(
        "SELECT count(*) FROM dialogs WHERE NOT EXISTS (SELECT FROM decisions WHERE dialog_id = dialogs.id)"
    )
    assert unexplained == 0, "D12"


def test_nobody_available_is_told_once_and_the_backlog_is_served_by_age(system: System) -> None:
    """D6, D8, S1: told once per dialog; who comes online gets the oldest first, up to his limit (D7)."""
    operator = system.operator("late", online=False)
    system.open_channel(
        "desk", ["telegram"], [operator], max_dialogs=2, nobody_available_text="We are away for a while."
    )
    for chat in (1, 2, 3):
        system.post(message("telegram", chat, "is anybody there?"))
        system.drained()
        system.post(message("telegram", chat, "hello?"))
        system.drained()
    assert system.rows("SELECT status::text, operator_id FROM dialogs") == [("queued", None)] * 3
    assert system.value("SELECT count(*) FROM messages WHERE direction = 'out'") == 3
    assert system.rows("SELECT DISTINCT state, error FROM outbox") == [
        ("held", "sending over telegram is not built yet")
    ]

    assert system.act("/api/operator/online", "late").status_code in (200, 204)
    oldest = "SELECT array_agg(status::text ORDER BY id) FROM dialogs"
    _eventually(system, oldest, ["assigned", "assigned", "queued"])
    first = system.value("SELECT min(id) FROM dialogs")
    assert system.act(f"/api/dialogs/{first}/accept", "late").status_code == 200
    assert system.act(f"/api/dialogs/{first}/close", "late").status_code == 200
    _eventually(system, oldest, ["closed", "assigned", "assigned"])
    assert system.value("SELECT state FROM outbox WHERE dialog_id = %s", first) == "expired"


def test_an_item_can_be_followed_through_the_steps(system: System) -> None:
    """`GET /api/inbox/{id}`: time per step, attempts, result."""
    system.open_channel("desk", ["telegram"])
    system.post(message("telegram", 1, "hello", name="Ann"))
    system.drained()
    item = system.get(f"/api/inbox/{system.value('SELECT max(id) FROM inbox')}")
    assert item["stage"] == "done"
    assert [step["step"] for step in item["steps"]] == [
        "crm_lookup",
        "bind_chat",
        "ensure_card",
        "distribute",
        "respond",
    ]
    assert all(step["seconds"] >= 0 for step in item["steps"])


def _eventually(system: System, query: str, expected: object) -> None:
    from tests.acceptance.system import wait_until

    wait_until(lambda: system.value(query) == expected, f"{query} is {expected}", 15)

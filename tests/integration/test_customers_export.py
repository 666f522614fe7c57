"""`openchannel customers export`: everything that is known of a customer, for a request of access."""

import json
import stat
from collections.abc import Iterator
from typing import Any

import pytest

from crm_store import customer_records
from tests.canary import CANARIES, DIGITS, EMAIL, NAME, PHONE, TEXTS, Planted, canaries_in, planted_desk
from tests.commands import CommandLine, command
from tests.pipeline import text_message

pytestmark = pytest.mark.integration

__all__ = ["command"]


@pytest.fixture
def planted(database_url: str) -> Iterator[Planted]:
    """The customer, and a neighbour."""
    with planted_desk(database_url) as here:
        yield here


def exported(command: CommandLine, *arguments: str) -> Any:
    """The only customer of the document."""
    document = json.loads(command.done("customers", "export", *arguments))
    assert document["format"] == "openchannel customers 1"
    (customer,) = document["customers"]
    return customer


@pytest.mark.parametrize("by", [("--phone", PHONE), ("--email", EMAIL), ("--card", "2")])
def test_it_holds_everything_that_is_known(planted, command, by):
    """Cards, identifiers with their evidence, merges, reviews, chats, histories, dialogs, what providers sent."""
    customer = exported(command, *by)
    assert customer["card_id"] == 1
    assert [(card["id"], card["live_id"], card["name"]) for card in customer["cards"]] == [
        (1, None, NAME),
        (2, 1, NAME),
    ]
    facts = {(fact["kind"], fact["value"], fact["evidence"], fact["written"]) for fact in customer["identifiers"]}
    assert ("phone", PHONE, "proven", PHONE) in facts
    assert ("phone", PHONE, "typed", "0171 / 98 76 501") in facts
    assert ("email", EMAIL, "typed", EMAIL) in facts
    assert [phone["phone"] for phone in customer["remembered_phones"]] == [PHONE]
    assert [(merge["card_id"], merge["other_id"], merge["rule"]) for merge in customer["merges"]] == [(1, 2, "T7")]
    assert len(customer["reviews"]) == len(customer["kept_apart"]) == 1
    assert {chat["external_id"] for chat in customer["chats"]} == {"visitor-1", DIGITS, f"form-{DIGITS}"}
    said = {message["text"]: message for message in customer["messages"]}
    assert said[TEXTS[1]]["edited_at"] is not None
    assert said[f"{TEXTS[2]}, wir rufen {PHONE} an"]["delivery"]["state"] == "held"
    assert said[f"{TEXTS[2]}, wir rufen {PHONE} an"]["operator"] == "Olga"
    assert all(dialog["events"] for dialog in customer["dialogs"])
    kinds = [item["message"].get("kind") for item in customer["inbox"]]
    assert {"status", "echo", "edit"} <= set(kinds), "also what makes no chat"
    assert [item["dead_letter"]["error"] for item in customer["inbox"] if item["dead_letter"]] == [f"bad {DIGITS}"]
    ((act,),) = [item["dead_letter"]["acts"] for item in customer["inbox"] if item["dead_letter"]]
    assert act["details"]["changes"][0]["was"]["phone"] == PHONE
    assert [one["error"] for item in customer["inbox"] for one in item["failures"] or ()] == [f"bad {PHONE}"]
    delivery = said[f"{TEXTS[2]}, wir rufen {PHONE} an"]["delivery"]
    assert (delivery["dead_letter"]["error"], delivery["dead_letter"]["acts"]) == (f"nobody at {DIGITS}", [])
    assert all(item["raw"]["text"] for item in customer["inbox"])


def test_it_holds_nothing_of_others(planted, command):
    """Neither the neighbour's messages nor his name; and his own export has not the customer's texts."""
    assert "Nachbar" not in json.dumps(exported(command, "--phone", PHONE))
    neighbour = exported(command, "--card", str(planted.neighbour_id))
    assert next(message["text"] for message in neighbour["messages"]) == "Hallo"
    assert not set(TEXTS) & canaries_in(json.dumps(neighbour).encode())


def test_a_file_is_the_owners_alone(planted, command):
    """Mode 0600 from the beginning, and no part of it under another name."""
    command.done("customers", "export", "--phone", PHONE, "-o", "access.json")
    path = command.folder / "access.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["customers"][0]["card_id"] == 1
    assert [entry.name for entry in command.folder.iterdir()] == ["access.json"]
    ran = command("customers", "export", "--phone", PHONE, "-o", "nowhere/access.json")
    assert (ran.code, "no folder" in ran.errors) == (2, True)


def test_a_long_history_is_not_held_in_memory(planted, command, monkeypatch):
    """Rows come in small lots through a cursor, the inbox in ranges; the document is whole all the same."""
    monkeypatch.setattr(customer_records, "AT_ONCE", 7)
    monkeypatch.setattr(customer_records, "ITEMS_AT_ONCE", 3)
    chat_id = planted.desk.value("SELECT id FROM chats WHERE external_id = %s", DIGITS)
    planted.desk.execute(
        "INSERT INTO messages (chat_id, seq, direction, kind, text, sent_at, received_at) "
        "SELECT %s, n, 'in', 'text', 'x' || n, now(), now() FROM generate_series(1000, 3999) AS n",
        chat_id,
    )
    customer = exported(command, "--phone", PHONE)
    assert len(customer["messages"]) == 3006
    ids = [item["id"] for item in customer["inbox"]]
    assert ids == sorted(set(ids))
    assert len(ids) == 9


def test_nobody_and_several(planted, command):
    """Nobody: exit code 1. Several: they are listed, with masked names, until one is chosen or all are taken."""
    ran = command("customers", "export", "--phone", "+491725559999")
    assert (ran.code, ran.output, ran.errors) == (1, "", "nobody is known by this phone\n")
    number = "+491725550101"
    planted.desk.run_through(text_message("custom", 31, "0172 5550101 suggested", name="Otto Other"))
    planted.desk.execute("UPDATE cards SET live_id = NULL")
    planted.desk.execute("UPDATE chats SET card_id = 2 WHERE external_id = '31'")
    planted.desk.execute("UPDATE card_identifiers SET card_id = 2 WHERE written = '0172 5550101' AND chat_id > 4")
    ran = command("customers", "export", "--phone", number)
    assert (ran.code, ran.output) == (1, "")
    assert "2 customers have this phone" in ran.errors
    assert "--card" in ran.errors
    assert not canaries_in(ran.errors.encode()), "names are masked"
    document = json.loads(command.done("customers", "export", "--phone", number, "--all"))
    assert [customer["card_id"] for customer in document["customers"]] == [2, planted.neighbour_id]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "say who"),
        (("--phone", PHONE, "--card", "1"), "say who"),
        (("--phone", "0171 9876501"), "give --region"),
        (("--email", "nobody"), "not an e-mail"),
    ],
)
def test_who_is_meant_has_to_be_clear(command, arguments, said):
    """Exactly one of the options, and one that can be read; what was given is not repeated."""
    ran = command("customers", "export", *arguments)
    assert (ran.code, said in ran.errors) == (2, True)
    assert "9876501" not in ran.errors


def test_it_is_audited(planted, command):
    """Who, when, and which cards; no value."""
    exported(command, "--phone", PHONE)
    ((actor, outcome, details),) = planted.desk.rows(
        "SELECT actor, outcome, details FROM audit WHERE act = 'customer_exported'"
    )
    assert (actor.partition(":")[0], outcome) == ("cli", "done")
    assert details == {"card_ids": [1], "by": "phone", "to": "standard output"}


def test_after_an_erase_it_knows_nobody(planted, command):
    """And the neighbour's export has nothing of him either."""
    before = json.dumps(exported(command, "--card", str(planted.neighbour_id)))
    assert canaries_in(before.encode()) & CANARIES.keys()
    command.done("customers", "erase", "--email", EMAIL, "--reason", "x", "--yes")
    for by in (("--phone", PHONE), ("--email", EMAIL), ("--card", "1")):
        assert command("customers", "export", *by).code == 1
    after = command.done("customers", "export", "--card", str(planted.neighbour_id))
    assert not canaries_in(after.encode())

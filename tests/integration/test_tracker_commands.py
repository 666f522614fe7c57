"""`openchannel tracker` on real PostgreSQL: every command, its refusals, its audit; and what `why` tells."""

import os
import pwd
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from tests.commands import CommandLine, command
from tests.customers import EMAIL, OTHER_PHONE, PHONE, audit, card_of, chat_id_of, live_id
from tests.desks import Desk
from tracker.identifiers import Evidence, phone

pytestmark = pytest.mark.integration

__all__ = ["command"]

ACTOR = f"cli:{pwd.getpwuid(os.getuid()).pw_name}"


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """A desk with three channels; one of another open channel asks before it merges by what was only typed."""
    with Desk(database_url) as made:
        made.open_channel("desk", kinds=("telegram", "custom", "livechat"))
        made.open_channel("careful", kinds=("telegram",), typed_identifiers="suggest", max_claimants=1)
        yield made


def refused(command: CommandLine, *arguments: str, code: int = 1) -> str:
    """What a command says that is not done: one line."""
    ran = command("tracker", *arguments)
    assert (ran.code, ran.output) == (code, ""), ran
    if code == 1:
        assert ran.errors.count("\n") == 1, ran.errors
    return ran.errors


def json_of(command: CommandLine, *arguments: str) -> Any:
    """What a command says to programs."""
    return orjson.loads(command.done("tracker", *arguments, "--json"))


def two_cards(desk: Desk) -> tuple[int, int]:
    """Two customers, by a phone and by an e-mail."""
    desk.dialog("desk-telegram", "7", PHONE, name="Ann Smith")
    desk.dialog("desk-custom", "8", EMAIL)
    return card_of(desk, "desk-telegram", "7"), card_of(desk, "desk-custom", "8")


def test_merge_and_undo(desk: Desk, command: CommandLine) -> None:
    """T7: merged, explained, undone; what is not there or done already is refused, and audited with its reason."""
    one, other = two_cards(desk)
    said = command.done("tracker", "merge", str(one), str(other), "--reason", "he called")
    merge_id = desk.value("SELECT id FROM merges")
    assert said == f"card {other} is merged into card {one}; to take it back: tracker undo {merge_id}\n"
    assert "already_one" in refused(command, "merge", str(one), str(other), "--reason", "again")
    assert "there is no card 999" in refused(command, "merge", str(one), "999", "--reason", "no such")
    undone = json_of(command, "undo", str(merge_id), "--reason", "a slip")
    assert (undone["undone_by"], undone["undo_reason"], undone["actor"]) == (ACTOR, "a slip", ACTOR)
    assert "already_undone" in refused(command, "undo", str(merge_id), "--reason", "again")
    assert "there is no merge 999" in refused(command, "undo", "999", "--reason", "no such")
    merged = json_of(command, "merge", str(other), str(one), "--reason", "after all")
    assert (merged["survivor_id"], merged["rule"]) == (one, "person")
    assert "two customers" in command.done("tracker", "undo", str(merged["id"]), "--reason", "no")
    for wrong in (["merge", str(one)], ["merge", "x", "y", "--reason", "z"], ["undo", "1"]):
        refused(command, *wrong, code=2)
    assert "say why" in refused(command, "merge", str(one), str(other), "--reason", " ", code=2)
    assert audit(desk) == [
        (ACTOR, "merge", "done"),
        (ACTOR, "merge", "already_one"),
        (ACTOR, "merge", "unknown_card"),
        (ACTOR, "undo", "done"),
        (ACTOR, "undo", "already_undone"),
        (ACTOR, "undo", "unknown_merge"),
        (ACTOR, "merge", "done"),
        (ACTOR, "undo", "done"),
    ]


def test_detach(desk: Desk, command: CommandLine) -> None:
    """T5: a phone, an e-mail, a messenger id or a chat; one of them, and with its reason."""
    desk.dialog("desk-telegram", "7", f"{PHONE} {EMAIL}")
    desk.dialog("desk-custom", "8", PHONE)
    card_id, chat_id = card_of(desk, "desk-telegram", "7"), chat_id_of(desk, "desk-custom", "8")
    new = json_of(command, "detach", "--chat", str(chat_id), "--reason", "her brother's")
    assert new["id"] == live_id(desk, card_of(desk, "desk-custom", "8")) != card_id
    assert "only_chat" in refused(command, "detach", "--chat", str(chat_id), "--reason", "again")
    assert "there is no chat 999" in refused(command, "detach", "--chat", "999", "--reason", "no such")
    wrong_number = ("detach", str(card_id), "--phone", "0171 2345678", "--region", "de", "--reason", "wrong")
    assert "off card" in command.done("tracker", *wrong_number)
    assert "not_on_card" in refused(command, *wrong_number)
    assert json_of(command, "detach", str(card_id), "--email", EMAIL, "--reason", "wrong")["kind"] == "email"
    assert "not_on_card" in refused(command, "detach", str(card_id), "--messenger", "a/1", "--reason", "wrong")
    assert desk.get(f"/api/cards/{card_id}")["identifiers"] == []
    assert desk.get(f"/api/cards/{card_id}")["remembered_phones"] == []
    desk.dialog("desk-livechat", "9", PHONE)
    assert live_id(desk, card_of(desk, "desk-livechat", "9")) == new["id"]
    for usage in (
        ["detach", str(card_id), "--reason", "nothing named"],
        ["detach", "--phone", PHONE, "--reason", "no card"],
        ["detach", str(card_id), "--phone", PHONE, "--email", EMAIL, "--reason", "two"],
        ["detach", str(card_id), "--chat", "1", "--reason", "two"],
        ["detach", str(card_id), "--phone", "hello", "--reason", "no phone"],
        ["detach", str(card_id), "--phone", "0171 2345678", "--region", "Germany", "--reason", "no country"],
        ["detach", str(card_id), "--phone", PHONE],
    ):
        refused(command, *usage, code=2)
    assert {(actor, name) for actor, name, _ in audit(desk)} == {(ACTOR, "detach"), (ACTOR, "detach_chat")}


def test_block(desk: Desk, command: CommandLine) -> None:
    """T9: on the list, off it, and the list itself."""
    assert command.done("tracker", "block", "--list") == "nothing is blocked\n"
    assert command.done("tracker", "block", PHONE, "--reason", "ours") == "the phone is blocked: it never matches\n"
    assert "blocked already" in command.done("tracker", "block", "0171 2345678", "--region", "DE", "--reason", "ours")
    assert json_of(command, "block", "@Shop-Mail.de", "--reason", "ours") == {
        "kind": "email",
        "value": "@shop-mail.de",
        "state": "blocked",
    }
    listed = command.done("tracker", "block", "--list").splitlines()
    assert listed[0].split() == ["kind", "value", "reason", "by", "since", "(UTC)"]
    assert [line.split()[:4] for line in listed[1:]] == [
        ["phone", PHONE, "ours", ACTOR],
        ["email", "@shop-mail.de", "ours", ACTOR],
    ]
    assert [one["value"] for one in json_of(command, "block", "--list")] == [PHONE, "@shop-mail.de"]
    two_cards(desk)
    assert desk.rows("SELECT * FROM card_identifiers") == []
    assert "may match again" in command.done("tracker", "block", "--remove", "@shop-mail.de")
    assert "not_blocked" in refused(command, "block", "--remove", "@shop-mail.de")
    for usage in (
        ["block"],
        ["block", PHONE],
        ["block", "nonsense", "--reason", "what"],
        ["block", "--list", PHONE],
        ["block", "--remove", PHONE, "--reason", "none wanted"],
    ):
        refused(command, *usage, code=2)
    assert audit(desk)[-2:] == [(ACTOR, "unblock", "done"), (ACTOR, "unblock", "not_blocked")]


def test_review(desk: Desk, command: CommandLine) -> None:
    """T7-T9: alone it lists; an answer is final; a rejected one says why."""
    assert command.done("tracker", "review") == "nothing is open\n"
    desk.dialog("desk-telegram", "7", PHONE, name="Ann")
    desk.dialog("careful-telegram", "8", PHONE, name="Ann")
    one, other = card_of(desk, "desk-telegram", "7"), card_of(desk, "careful-telegram", "8")
    (entry,) = json_of(command, "review")
    review_id = str(entry["id"])
    assert (entry["cause"], entry["card"]["id"], entry["other"]["id"]) == ("suggested", other, one)
    listed = command.done("tracker", "review", "--card", str(one))
    for told in (f"review {review_id}", f"card {one} (lead, “Ann”)", PHONE, "only typed", "T8", "review accept"):
        assert told in listed, told
    assert command.done("tracker", "review", "--cause", "edited") == "nothing is open\n"
    assert "there is no card 999" in refused(command, "review", "--card", "999")
    refused(command, "review", "--state", "closed", code=2)
    refused(command, "review", "reject", review_id, code=2)
    refused(command, "review", "reject", review_id, "--note", "  ", code=2)
    assert "is accepted; merged: card" in command.done("tracker", "review", "accept", review_id)
    assert live_id(desk, other) == one
    assert command.done("tracker", "review") == "nothing is open\n"
    assert "accepted by" in command.done("tracker", "review", "--state", "accepted")
    assert "decided" in refused(command, "review", "reject", review_id, "--note", "too late")
    assert "there is no review 999" in refused(command, "review", "accept", "999")
    desk.dialog("careful-telegram", "9", PHONE, name="Ben")
    (shared,) = json_of(command, "review", "--cause", "shared")
    assert "many people's?" in command.done("tracker", "review", "--cause", "shared")
    rejected = json_of(command, "review", "reject", str(shared["id"]), "--note", "a family")
    assert (rejected["state"], rejected["decided_by"], rejected["note"]) == ("rejected", ACTOR, "a family")
    assert [(name, outcome) for _, name, outcome in audit(desk)] == [
        ("accept_review", "done"),
        ("reject_review", "decided"),
        ("accept_review", "unknown_review"),
        ("reject_review", "done"),
    ]


def test_why(desk: Desk, command: CommandLine) -> None:
    """Every chat with the message and the rule that brought it there; what persons did; and the same for programs."""
    one, other = two_cards(desk)
    desk.dialog("desk-custom", "8", PHONE)
    desk.dialog("desk-livechat", "9", f"{PHONE}", name="Ann \x1b[31mred")
    telegram, custom, livechat = (
        chat_id_of(desk, f"desk-{kind}", chat) for kind, chat in (("telegram", "7"), ("custom", "8"), ("livechat", "9"))
    )
    told = command.done("tracker", "why", str(other))
    assert "\x1b" not in told
    for part in (
        f"card {one} “Ann Smith”: 2 cards, 3 chats",
        f"matched nobody, so card {one} was made for it (T6)",
        f"card {other} and card {one} are one customer's: merge",
        f"gave the phone {PHONE} (only typed), which belonged to card {one} too (T7)",
        f"gave the phone {PHONE} (only typed), which is the first phone of card {one}, remembered for ever (T5)",
        f"remembered for ever: chats that give it come to card {one} (T5)",
        f"email {EMAIL}",
        f"chat {custom} (custom, desk-custom)",
    ):
        assert part in told, (part, told)
    about = command.done("tracker", "why", "--chat", str(custom))
    assert f"is on card {one}" in about
    assert f"message 1 of chat {custom}" in about
    assert "are one customer's" in about
    assert f"the email {EMAIL}, written" in about
    assert f"chat {telegram} (" not in about
    document = json_of(command, "why", str(one))
    assert document == desk.get(f"/api/cards/{other}/provenance")
    assert json_of(command, "why", "--chat", str(livechat)) == document

    command.done("tracker", "undo", str(document["merges"][0]["id"]), "--reason", "two sisters")
    command.done("tracker", "detach", str(one), "--phone", PHONE, "--reason", "wrong")
    told = command.done("tracker", "why", str(one))
    for part in ("UNDONE", "“two sisters”", "kept apart", f"off card {one} for ever, by {ACTOR}", "detach, done"):
        assert part in told, (part, told)
    command.done("tracker", "detach", "--chat", str(livechat), "--reason", "her brother")
    assert f"by {ACTOR}: “her brother”" in command.done("tracker", "why", "--chat", str(livechat))


def test_why_tells_of_late_proofs_and_cards_by_hand(desk: Desk, command: CommandLine) -> None:
    """T8, C2: what gave way to a proof, and what the look-up found when a person made a card."""
    desk.open_channel("whatsapp", kinds=("whatsapp",))
    desk.dialog("whatsapp-whatsapp", "1", EMAIL, given=[phone(PHONE, Evidence.PROVEN)])
    desk.dialog("desk-telegram", "2", EMAIL)
    desk.dialog("desk-telegram", "2", "my own", given=[phone(OTHER_PHONE, Evidence.PROVEN)])
    told = command.done("tracker", "why", "--chat", str(chat_id_of(desk, "desk-telegram", "2")))
    own = card_of(desk, "desk-telegram", "2")
    assert f"a later proof contradicted what was only typed, so it got card {own} of its own" in told
    told = command.done("tracker", "why", str(own))
    assert "contradiction: are" in told
    assert "(proven by the channel)" not in told.split("review list")[1]

    desk.open_channel("manual", kinds=("telegram",), create="manual")
    desk.dialog("manual-telegram", "3", "+491723456789")
    desk.dialog("desk-custom", "4", "hello")
    existing, chat_id = card_of(desk, "desk-custom", "4"), chat_id_of(desk, "manual-telegram", "3")
    desk.service.post(f"/api/cards/{existing}/identifiers", json={"identifier": "+491723456789"})
    assert desk.service.post(f"/api/chats/{chat_id}/card", json={"type": "lead"}).json()["made"] is False
    told = command.done("tracker", "why", "--chat", str(chat_id))
    assert "when a person made the card (C2): a message gave the phone +491723456789 (only typed)" in told
    assert f"which belonged to card {existing} too" in told
    assert "service entered it on card" in command.done("tracker", "why", str(existing))


def test_why_of_what_is_not_there(desk: Desk, command: CommandLine) -> None:
    """One clear line."""
    assert "there is no card 999" in refused(command, "why", "999")
    assert "there is no chat 999" in refused(command, "why", "--chat", "999")
    desk.say("desk-telegram", "7")
    assert "not_processed" in refused(command, "why", "--chat", str(chat_id_of(desk, "desk-telegram", "7")))
    refused(command, "why", code=2)
    refused(command, "why", "1", "--chat", "1", code=2)


def test_a_card_that_is_none_yet_is_explained(desk: Desk, command: CommandLine) -> None:
    """C2, C3: whoever operates the desk may look at it."""
    desk.open_channel("later", kinds=("telegram",), create="manual")
    desk.dialog("later-telegram", "7", PHONE)
    assert "(provisional)" in command.done("tracker", "why", str(card_of(desk, "later-telegram", "7")))

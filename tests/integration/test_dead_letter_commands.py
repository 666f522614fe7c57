"""`openchannel dead-letters` on real PostgreSQL: what it says, to people and to programs; refusals; the audit."""

import os
import pwd
import stat
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from cli.dead_letters import handling
from console import dead_letters as acts
from tests.commands import CommandLine, command
from tests.customers import audit
from tests.desks import Desk
from tests.letters import acts_of, bury, ledger_of, poisoned, undelivered, unreadable

pytestmark = pytest.mark.integration

__all__ = ["command"]

ACTOR = f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
BROKEN = {"delivery": "d-1#0", "message": {"id": "m-1", "text": "call me", "chat_id": None}}


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """Two channels, an operator at his desk."""
    with Desk(database_url) as made:
        made.open_channel("desk", [made.operator("ann")], kinds=("telegram", "custom"))
        yield made


def said(command: CommandLine, *arguments: str) -> str:
    """What a command says that is done."""
    return command.done("dead-letters", *arguments)


def json_of(command: CommandLine, *arguments: str) -> Any:
    """What a command says to programs."""
    return orjson.loads(said(command, *arguments, "--json"))


def refused(command: CommandLine, *arguments: str, code: int = 1) -> str:
    """What a command says that is not done; a refusal is one line."""
    ran = command("dead-letters", *arguments)
    assert (ran.code, ran.output) == (code, ""), ran
    if code == 1:
        assert ran.errors.count("\n") == 1, ran.errors
    return ran.errors


def test_list_groups_and_stats(desk: Desk, command: CommandLine) -> None:
    """For people a table with what is besides; for programs what the API says; without letters one line."""
    assert "no letter that is meant is dead" in said(command, "list")
    assert "no letter that is meant is dead" in said(command, "groups")
    assert said(command, "stats") == "there is no dead letter\n"
    letters = [poisoned(desk, "desk-telegram", str(n), error=f"ValueError: {'long ' * 20}") for n in range(3)]
    unread = unreadable(desk, "desk-custom", BROKEN)
    said(command, "discard", str(letters[0]), "--reason", "spam")
    text = said(command, "list")
    head, *lines = text.splitlines()
    assert head.split() == ["id", "state", "died", "(UTC)", "channel", "step", "reason", "group", "error"]
    assert [int(line.split()[0]) for line in lines[:3]] == [unread, letters[2], letters[1]]
    assert lines[3] == "besides 1 discarded: --state any lists them too"
    assert lines[1].endswith("...")
    assert len(json_of(command, "list")) == 3
    assert json_of(command, "list", "--state", "any") == desk.get("/api/dead-letters")["items"]
    assert [one["id"] for one in json_of(command, "list", str(letters[0]))] == [letters[0]], "wherever it stands"
    assert [one["id"] for one in json_of(command, "list", "--reason", "unparsable", "--since", "1h")] == [unread]
    assert json_of(command, "list", "--until", "1h") == []
    assert "and more; --limit 2 shows them" in said(command, "list", "--limit", "1")
    groups = json_of(command, "groups", "--state", "any")
    assert groups == desk.get("/api/dead-letters/groups")["items"]
    assert [(one["letters"], one["reason"]) for one in groups] == [(3, "boom"), (1, "unparsable")]
    text = said(command, "groups")
    assert groups[0]["group"] in text
    assert f"openchannel dead-letters show {letters[2]}" in text
    assert len(json_of(command, "list", "--group", groups[0]["group"])) == 2
    assert json_of(command, "stats") == desk.get("/api/dead-letters/stats")
    assert "3 of 4 letters wait for a person" in said(command, "stats")


def test_options_that_mean_nothing(desk: Desk, command: CommandLine) -> None:
    """Each is named, with what to write instead."""
    for option, value, expected in (
        ("--step", "bind", "--step: a step is one of parse, accept, crm_lookup"),
        ("--since", "yesterday", "--since: 'yesterday' is no time"),
        ("--group", "x", "--group: "),
        ("--channel", "nowhere", "there is no channel 'nowhere'"),
    ):
        for name in ("list", "groups", "stats", "export"):
            assert expected in refused(command, name, option, value, code=2), (name, option)
    assert "say which" in refused(command, "discard", "--reason", "x", code=2)
    assert "stands alone" in refused(command, "discard", "--all", "--step", "parse", "--reason", "x", code=2)
    assert "say why" in refused(command, "discard", "--all", "--reason", " ", code=2)
    refused(command, "discard", "--all", code=2)


def test_show(desk: Desk, command: CommandLine) -> None:
    """Why it died, what it was, every attempt, and what to do; masked, and with --reveal everything, audited."""
    letter = unreadable(desk, "desk-custom", BROKEN)
    text = said(command, "show", str(letter))
    for expected in (
        f"letter {letter} is dead: it waits for a person",
        "What to do",
        f"openchannel dead-letters edit {letter} --set PATH=VALUE",
        "parse: unparsable",
        "nobody knows yet whose it is",
        "attempt 1, openchannel worker: unparsable",
        "ingest/adapters/custom.py",
        "What came in (json, ",
        '"text": "*** (7 characters)"',
        "content-type: application/json",
        "x-from: ***",
        "--reveal shows it",
    ):
        assert expected in text, expected
    assert "call me" not in text
    assert json_of(command, "show", str(letter)) == desk.get(f"/api/dead-letters/{letter}")
    assert audit(desk) == []
    revealed = said(command, "show", str(letter), "--reveal")
    assert '"text": "call me"' in revealed
    assert "+49 171 2345678" in revealed
    assert "--reveal" not in revealed
    assert audit(desk) == [(ACTOR, "reveal_dead_letter", "done")]
    sent = undelivered(desk, desk.dialog("desk-custom", "8"), "ann", "my\n\x1b[31mwords")
    shown = said(command, "show", str(sent), "--reveal")
    assert "when it answers again, replay it" in shown
    assert "written by operator" in shown
    assert "\x1b" not in shown
    assert "there is no dead letter 999" in refused(command, "show", "999")


def test_a_letter_with_a_past(desk: Desk, command: CommandLine) -> None:
    """Deaths after replays, edits and discards are told in order."""
    inbox_id = desk.say("desk-telegram", "7")
    letter = bury(desk, inbox_id)
    said(command, "edit", str(letter), "--set", "text=hello Ann", "--reason", "she asked")
    desk.rows("UPDATE inbox_state SET stage = 'crm_lookup', finished_at = NULL WHERE inbox_id = %s", inbox_id)
    desk.rows("INSERT INTO ledger VALUES ('dead', -1)")
    assert bury(desk, inbox_id) == letter
    said(command, "discard", str(letter), "--reason", "enough")
    text = said(command, "show", str(letter))
    assert "it died 2 times" in text
    assert text.index("edit: she asked") < text.index("discard: enough")
    assert 'text: "*** (5 characters)" became "*** (9 characters)"' in text
    assert 'text: "hello" became "hello Ann"' in said(command, "show", str(letter), "--reveal")
    assert "(2 deaths)" in said(command, "list", str(letter))
    assert text.count("crm_lookup, attempt") == 2


def test_edit(desk: Desk, command: CommandLine) -> None:
    """JSON values, or else plain text; what cannot be edited, and why, in one line."""
    letter = poisoned(desk, "desk-telegram", "7", "old")
    values = ("--set", "text=new = text", "--set", "forwarded=true", "--set", 'attachments=[{"kind": "image"}]')
    text = said(command, "edit", str(letter), *values)
    assert text == (
        f"letter {letter} is edited: text, forwarded, attachments; "
        f"now replay it: openchannel dead-letters replay {letter}\n"
    )
    message = desk.value("SELECT message FROM inbox")
    assert (message["text"], message["forwarded"], message["attachments"]) == ("new = text", True, [{"kind": "image"}])
    assert "key: may not be edited" in refused(command, "edit", str(letter), "--set", "key=x", code=2)
    assert "text: Input should be a valid string" in refused(command, "edit", str(letter), "--set", "text=5", code=2)
    assert "as PATH=VALUE" in refused(command, "edit", str(letter), "--set", "text", code=2)
    assert "say what" in refused(command, "edit", str(letter), code=2)
    sent = undelivered(desk, desk.dialog("desk-custom", "8"), "ann")
    assert "not_editable" in refused(command, "edit", str(sent), "--set", "text=x")
    unread = unreadable(desk, "desk-custom", BROKEN)
    assert "still" not in said(command, "edit", str(unread), "--set", "message.chat_id=c-9")
    assert json_of(command, "show", str(unread))["item"]["message"]["kind"] == "text"
    done = [(act, outcome) for actor, act, outcome in audit(desk) if actor == ACTOR]
    assert done[:4] == [
        ("edit_dead_letter", "done"),
        ("edit_dead_letter", "fixed_field"),
        ("edit_dead_letter", "invalid_value"),
        ("edit_dead_letter", "not_editable"),
    ]


def test_discard_and_restore(desk: Desk, command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """By number, by filter, all of them, in parts; each with its reason, and the ledger right."""
    monkeypatch.setattr(handling, "MOST_AT_ONCE", 2)
    letters = [poisoned(desk, "desk-telegram", str(n)) for n in range(5)]
    other = unreadable(desk, "desk-custom", BROKEN)
    dry = said(command, "discard", "--died-of", "boom", "--reason", "spam", "--dry-run")
    assert dry == "5 letters would be discarded; nothing was changed: this was a dry run\n"
    assert ledger_of(desk).dead == 6
    assert said(command, "discard", "--died-of", "boom", "--reason", "spam") == "5 letters are discarded\n"
    assert (ledger_of(desk).dead, ledger_of(desk).discarded) == (1, 5)
    assert acts_of(desk, letters[4]) == [(ACTOR, "discard", "spam")]
    assert "5 discarded (not_dead)" in refused(command, "discard", "--died-of", "boom", "--reason", "spam")
    assert said(command, "restore", str(letters[0]), "--reason", "a slip") == "1 letter is dead again\n"
    assert json_of(command, "restore", "--all", "--reason", "a slip") == {"letters": 4, "left": 0}
    assert "there is none (not_dead)" in refused(command, "discard", "999", "--reason", "x")
    assert said(command, "discard", "--all", "--reason", "x") == "6 letters are discarded\n"
    assert desk.get(f"/api/dead-letters/{other}")["state"] == "discarded"
    refusals = [outcome for _, _, outcome in audit(desk) if outcome != "done"]
    assert refusals == ["not_dead", "not_dead"]


def test_stopped_in_the_middle(desk: Desk, command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C between two parts: what was done is done, and the same command does the rest."""
    letters = [poisoned(desk, "desk-telegram", str(n)) for n in range(4)]
    monkeypatch.setattr(handling, "MOST_AT_ONCE", 2)
    act, calls = acts.discard, []

    def stopping(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return act(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(acts, "discard", stopping)
        ran = command("dead-letters", "discard", "--all", "--reason", "spam")
    assert ran.code == 130
    assert "stopped after 2 of 4 letters; the same command does the rest" in ran.errors
    assert (ledger_of(desk).dead, ledger_of(desk).discarded) == (2, 2)
    assert said(command, "discard", "--all", "--reason", "spam") == "2 letters are discarded\n"
    assert [len(acts_of(desk, letter)) for letter in letters] == [1, 1, 1, 1]


def test_export(desk: Desk, command: CommandLine) -> None:
    """Lines of JSON on standard output or in a file of one's own; revealed ones are audited."""
    letters = [poisoned(desk, "desk-telegram", str(n), f"words {n}") for n in range(3)]
    lines = [orjson.loads(line) for line in said(command, "export").splitlines()]
    assert lines == [desk.get(f"/api/dead-letters/{letter}") for letter in letters]
    ran = command("dead-letters", "export", str(letters[0]), "--reveal", "-o", "out.jsonl")
    assert (ran.code, ran.output, ran.errors) == (0, "", "1 letter in out.jsonl\n")
    path = command.folder / "out.jsonl"
    assert orjson.loads(path.read_bytes())["item"]["message"]["text"] == "words 0"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert audit(desk) == [(ACTOR, "export_dead_letters", "done")]
    assert "there is no folder" in refused(command, "export", "-o", "nowhere/out.jsonl", code=2)
    assert said(command, "export", "--died-of", "nothing") == ""

"""`openchannel dialogs` and `openchannel backlog` on real PostgreSQL: why somebody has it, or nobody (D8, D12)."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from crm_store.database import Connection, Session
from crm_store.views import backlogs
from crm_store.views.backlogs import BacklogView, Verdict
from tests.commands import CommandLine, command
from tests.pipeline import Desk, text_message
from tracker.distribution import PassedOver

pytestmark = pytest.mark.integration

__all__ = ["command"]


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """A desk without anything."""
    with Desk(database_url) as made:
        yield made


def dialog(desk: Desk, chat: int, key: str = "telegram", **more: Any) -> int:
    """A customer writes, and what can be distributed is; returns the dialog's id."""
    desk.run_through(text_message(key, chat, "hello", **more))
    return int(desk.value("SELECT max(id) FROM dialogs"))


def said(command: CommandLine, *arguments: str) -> list[str]:
    """The lines of a story, without the tree's branches."""
    return [line.lstrip("│├└─ ").rstrip() for line in command.done(*arguments).splitlines()]


def json_of(command: CommandLine, *arguments: str) -> Any:
    """What a command says to programs."""
    return orjson.loads(command.done(*arguments, "--json"))


def backlog_of(desk: Desk, open_channel_id: int, limit: int = 50) -> BacklogView:
    """As the view shows it."""
    with desk.session.transaction() as connection:
        found = backlogs.read(connection, open_channel_id, limit)
    assert found is not None
    return found


def decide(desk: Desk, dialog_id: int, rule: str, chosen: int | None, **more: Any) -> None:
    """A decision record."""
    plan_id = None
    if "ineligible" in more:
        plan_id = desk.rows(
            "INSERT INTO plans (open_channel_id, ineligible) "
            "SELECT open_channel_id, %s::jsonb FROM dialogs WHERE id = %s RETURNING id",
            orjson.dumps(more["ineligible"]).decode(),
            dialog_id,
        )[0][0]
    desk.execute(
        "INSERT INTO decisions (dialog_id, rule, operator_id, candidates, unnamed, cause, over_limit, plan_id) "
        "VALUES (%s, %s, %s, %s::jsonb, %s::jsonb, %s, %s, %s)",
        dialog_id,
        rule,
        chosen,
        orjson.dumps(more.get("candidates", {})).decode(),
        orjson.dumps(more.get("unnamed", {})).decode(),
        more.get("cause", "waiting"),
        more.get("over_limit", False),
        plan_id,
    )


# Why somebody has it


def test_who_got_it_and_who_was_passed_over(desk: Desk, command: CommandLine) -> None:
    """D2, D12: the rule in words, who it was, and the others by reason; the events with status and operators."""
    ann, ben, cem = desk.operator("Ann"), desk.operator("Ben", online=False), desk.operator("Cem")
    desk.open_channel("Shop", ["telegram"], [ben, ann, cem])
    dialog_id = dialog(desk, 7, name="Dora")
    lines = said(command, "dialogs", "why", str(dialog_id))
    assert lines[0].startswith(
        f"dialog {dialog_id} with “Dora” (chat 1, telegram, telegram), open channel “Shop”: assigned"
    )
    got_it = "Ann got it by D2 (evenly): of all who could have it, Ann has gone longest without being given one here"
    assert any(line.endswith(got_it) for line in lines)
    assert "offline: Ben" in lines
    assert "has the turn later: Cem" in lines
    assert any(line.startswith("Ann has it for ") and line.endswith(": available, 1 dialog here") for line in lines)
    assert any(line.startswith("hand-over (D5): in ") for line in lines)
    assert any("customer: wrote, waits" in line for line in lines)
    assert any("system: given by D2, waits -> assigned, nobody -> Ann" in line for line in lines)
    found = json_of(command, "dialogs", "why", str(dialog_id))
    (decision,) = found["dialog"]["decisions"]
    assert (decision["rule"], decision["cause"], decision["chosen"]["name"]) == ("D2", "waiting", "Ann")
    assert {why: [one["name"] for one in them] for why, them in decision["passed_over"].items()} == {
        "offline": ["Ben"],
        "later_in_turn": ["Cem"],
    }
    assert (decision["over_limit"], decision["not_named"]) == (False, {})
    assert [clock["kind"] for clock in found["dialog"]["clocks"]] == ["handover"]
    assert found["holder"]["operator"]["name"] == "Ann"
    assert (found["place"], found["backlog"]) == (None, None)
    assert found["dialog"]["events"][-1]["operator"] == {"id": ann, "name": "Ann"}


def test_a_record_and_its_plan_are_one_answer(desk: Desk, command: CommandLine) -> None:
    """D12: whom the plan could give nothing is passed over too, each once for each reason; never who has it (D9)."""
    ids = [desk.operator(name, online=False) for name in ("Ann", "Ben", "Cem", "Dan")]
    ann, ben, cem, dan = ids
    desk.open_channel("Shop", ["telegram"], ids)
    dialog_id = dialog(desk, 7)
    decide(
        desk, dialog_id, "D9", ann, ineligible={"at_limit": [ann, ben], "offline": [cem]},
        candidates={"at_limit": [ben, dan]}, unnamed={"not_reached": 40, "later_in_turn": 0}, over_limit=True,
    )  # fmt: skip
    (decision,) = json_of(command, "dialogs", "why", str(dialog_id))["dialog"]["decisions"]
    assert {why: sorted(one["name"] for one in them) for why, them in decision["passed_over"].items()} == {
        "at_limit": ["Ben", "Dan"],
        "offline": ["Cem"],
    }
    assert decision["not_named"] == {"not_reached": 40}
    lines = said(command, "dialogs", "why", str(dialog_id))
    assert "not looked at: the decision was made before it came to them: 40" in lines
    assert any("Ann is the customer's responsible person" in line and "above a limit" in line for line in lines)


@pytest.mark.parametrize(
    ("rule", "cause", "words"),
    [
        ("D2", "handover", "did not react in time"),
        ("D3", "skip", "skipped it"),
        ("D5", "handover", "Ann keeps it (D5): nobody else could have it"),
        ("D4", "accept", "Ann was the first to accept the offer (D4)"),
        ("take", "take", "Ann took it, which nobody decided but the one who took it (D7)"),
        ("transfer", "transfer", "Ann was given it by a transfer (D10)"),
        ("D99", "moon", "Ann got it by D99, moon"),
    ],
)
def test_every_rule_has_words(desk: Desk, command: CommandLine, rule: str, cause: str, words: str) -> None:
    """D12: a decision of each rule and cause, and one of a rule that these words do not know."""
    ann = desk.operator("Ann", online=False)
    desk.open_channel("Shop", ["telegram"], [ann])
    dialog_id = dialog(desk, 7)
    decide(desk, dialog_id, rule, ann, cause=cause)
    assert any(words in line for line in said(command, "dialogs", "why", str(dialog_id)))


def test_marks_clocks_and_a_foreign_name(desk: Desk, command: CommandLine) -> None:
    """S1, S2: pinned, spam, unanswered, above a limit; an overdue clock; control characters do not reach a terminal."""
    ann = desk.operator("Ann")
    desk.open_channel("Shop", ["telegram"], [ann])
    dialog_id = dialog(desk, 7, name="A\x1b[31mB")
    desk.execute("UPDATE chats SET name = %s", "A\x1b[31mB")
    desk.execute("UPDATE cards SET name = ''")
    desk.execute("UPDATE dialogs SET pinned = true, spam = true, over_limit = true, unanswered_at = now()")
    desk.execute("UPDATE timers SET kind = 'auto_close', due_at = now() - interval '2 hours' WHERE dialog_id <> 0")
    desk.execute(
        "INSERT INTO events (dialog_id, actor, cause, was, became, was_operator_id, operator_id, details) "
        "VALUES (%s, 'operator:' || %s, 'pin', 'assigned', 'assigned', %s, %s, '{\"key\": \"k-1\"}')",
        dialog_id, ann, ann, ann,
    )  # fmt: skip
    output = command.done("dialogs", "why", str(dialog_id))
    assert "\x1b" not in output
    for words in ("pinned", "marked as spam", "marked as unanswered (S2)", "above a limit (D7)"):
        assert words in output
    assert "auto-close (S3): overdue by 2 h" in output
    assert "Ann: pinned it (key k-1)" in output
    listed = command.done("dialogs", "list")
    assert "assigned, pinned, spam, unanswered, above a limit" in listed
    assert "\x1b" not in listed


def test_a_dialog_that_is_not_there(desk: Desk, command: CommandLine) -> None:
    """One line, exit 1; nonsense is a wrong usage."""
    ran = command("dialogs", "why", "999")
    assert (ran.code, ran.output, ran.errors) == (1, "", "there is no dialog 999 (unknown_dialog)\n")
    assert command("dialogs", "why", "x").code == 2


# Why nobody has it


UNAVAILABLE = {
    "dismissed": "dismissed_at = now()",
    "workday_not_started": "time_tracking = true",
    "workday_paused": "time_tracking = true, workday = 'paused'",
    "offline": "seen_at = now() - interval '61 seconds'",
    "away": "away = true",
}


@pytest.mark.parametrize("why", [*UNAVAILABLE, "on_leave"])
def test_why_each_of_them_may_not_have_it(desk: Desk, command: CommandLine, why: str) -> None:
    """D6, D12: computed afresh, with the reason of each; without check_availability only a dismissal counts."""
    ann = desk.operator("Ann")
    open_channel_id = desk.open_channel("Shop", ["telegram"], [ann])
    if why == "on_leave":
        desk.execute(
            "INSERT INTO leaves (operator_id, from_at, until_at) VALUES (%s, now(), now() + interval '1 day')", ann
        )
    else:
        desk.execute(f"UPDATE operators SET {UNAVAILABLE[why]}")
    dialog_id = dialog(desk, 7)
    found = backlog_of(desk, open_channel_id)
    assert (found.verdict, found.free, found.obstacles) == (Verdict.NOBODY_AVAILABLE, 0, {PassedOver(why): 1})
    assert [(one.availability, one.obstacle) for one in found.operators] == [(why, why)]
    lines = said(command, "dialogs", "why", str(dialog_id))
    assert any(line.startswith("nobody has it: nobody is available: of 1 operator on the roster 1 ") for line in lines)
    assert any(line.endswith(": Ann") for line in lines)
    desk.execute("UPDATE open_channels SET settings = settings || '{\"check_availability\": false}'")
    free = why != "dismissed"
    assert backlog_of(desk, open_channel_id).free == free


def test_everybody_is_at_a_limit(desk: Desk, command: CommandLine) -> None:
    """D7: the limit of the open channel and the personal one, over all open channels, each with load and limit."""
    ann, ben = desk.operator("Ann"), desk.operator("Ben", personal_limit=1)
    desk.open_channel("Other", ["telegram"], [ben], prefix="other-")
    open_channel_id = desk.open_channel("Shop", ["telegram"], [ann, ben], max_dialogs=2)
    dialog(desk, 1, "other-telegram")
    for chat in range(2, 6):
        dialog(desk, chat)
    found = backlog_of(desk, open_channel_id)
    assert (found.verdict, found.queued, found.free) == (Verdict.ALL_AT_LIMIT, 2, 0)
    assert [(one.operator.name, one.obstacle, one.load, one.limit, one.personal_load, one.personal_limit)
            for one in found.operators] == [
        ("Ann", PassedOver.AT_LIMIT, 2, 2, 2, None),
        ("Ben", PassedOver.AT_PERSONAL_LIMIT, 0, 2, 1, 1),
    ]  # fmt: skip
    lines = said(command, "backlog", "show", "Shop")
    assert (
        lines[0] == "open channel “Shop”: all 2 available operators are at a limit, of this open channel or their own"
    )
    assert lines[1].startswith("it is tried again in 1 min 59 s, and at once when") or "2 min" in lines[1]
    assert "Ann: at the limit of this open channel -- available, 2 of 2 dialogs here" in lines


def test_the_backlog_is_shown_oldest_first(desk: Desk, command: CommandLine) -> None:
    """D8: by age, the first of them and how many in all; whom they prefer (D9), who let them pass (D3), who knows."""
    ann, eve = desk.operator("Ann", online=False), desk.operator("Eve", online=False)
    open_channel_id = desk.open_channel("Shop", ["telegram"], [ann], nobody_available_text="Soon!")
    ids = [dialog(desk, chat) for chat in range(1, 6)]
    desk.execute(
        "UPDATE dialogs SET preferred_id = %s, passed_by = ARRAY[%s]::bigint[] WHERE id = %s", eve, ann, ids[1]
    )
    found = backlog_of(desk, open_channel_id, 3)
    assert ([one.id for one in found.dialogs], found.queued) == (ids[:3], 5)
    assert found.dialogs[1].preferred is not None
    assert found.dialogs[1].preferred.name == "Eve"
    assert [one.name for one in found.dialogs[1].let_pass] == ["Ann"]
    assert found.dialogs[0].noticed_at is not None
    assert [(one.operator.name, one.position is None) for one in found.operators] == [("Ann", False), ("Eve", True)]
    assert found.obstacles == {PassedOver.OFFLINE: 1}, "who is not on the roster is not counted with it"
    output = command.done("backlog", "show", "Shop", "--limit", "3")
    assert "and 2 more" in output
    assert "would go to Eve first (D9; offline), let pass by Ann, the customer was told" in output
    assert json_of(command, "backlog", "show", "Shop")["verdict"] == "nobody_available"
    lines = said(command, "dialogs", "why", str(ids[1]))
    assert any(line.endswith("in place 2 of 5 of the backlog") for line in lines)
    assert any(line.startswith("it would go to Eve first, who is responsible (D9): offline, ") for line in lines)
    assert "let it pass so far: Ann" in lines


def test_a_dialog_that_came_back_keeps_its_place(desk: Desk) -> None:
    """D8, D11: it stands by its age, and waits since it came back."""
    ann = desk.operator("Ann", online=False)
    open_channel_id = desk.open_channel("Shop", ["telegram"], [ann])
    ids = [dialog(desk, chat) for chat in (1, 2)]
    desk.execute("UPDATE dialogs SET created_at = '2026-01-01 UTC'")
    desk.execute("UPDATE events SET at = '2026-01-01 UTC'")
    desk.execute(
        "INSERT INTO events (dialog_id, actor, cause, was, became, was_operator_id) "
        "VALUES (%s, 'system', 'workday_ended', 'assigned', 'queued', %s)", ids[0], ann,
    )  # fmt: skip
    first, second = backlog_of(desk, open_channel_id).dialogs
    assert (first.id, second.id) == tuple(ids)
    assert first.created_at == second.created_at
    assert first.waiting_since > second.waiting_since == second.created_at


def test_verdicts(desk: Desk) -> None:
    """D4, D8: nothing waits; nobody on the roster; offered to all; being distributed."""
    ann = desk.operator("Ann")
    empty = desk.open_channel("Empty", ["telegram"], [ann], prefix="empty-")
    alone = desk.open_channel("Alone", ["telegram"], prefix="alone-")
    offering = desk.open_channel("Offering", ["telegram"], [ann], prefix="offering-", distribution="all")
    busy = desk.open_channel("Busy", ["telegram"], [ann], prefix="busy-")
    dialog(desk, 1, "alone-telegram")
    dialog(desk, 2, "offering-telegram")
    waiting = dialog(desk, 3, "busy-telegram")
    desk.execute("UPDATE dialogs SET status = 'queued', operator_id = NULL WHERE id = %s", waiting)
    assert [backlog_of(desk, each).verdict for each in (empty, alone, offering, busy)] == [
        Verdict.NOTHING_WAITS,
        Verdict.NOBODY_ON_ROSTER,
        Verdict.OFFERED,
        Verdict.BEING_DISTRIBUTED,
    ]
    offered = backlog_of(desk, offering)
    assert (offered.queued, offered.offered, offered.free) == (0, 1, 1)


def test_since_when_somebody_is_there(desk: Desk) -> None:
    """D6: by the log's last word of him; not where he has fallen silent since, which the log does not know yet."""
    ann = desk.operator("Ann")
    open_channel_id = desk.open_channel("Shop", ["telegram"], [ann])
    desk.execute("DELETE FROM events")
    desk.execute("INSERT INTO events (actor, cause, operator_id, at) VALUES ('x', 'online', %s, '2026-01-01 UTC')", ann)
    desk.execute("UPDATE operators SET logged_availability = 'available'")
    (one,) = backlog_of(desk, open_channel_id).operators
    assert one.since is not None
    assert one.since.isoformat() == "2026-01-01T00:00:00+00:00"
    desk.execute("UPDATE operators SET seen_at = now() - interval '2 minutes'")
    (one,) = backlog_of(desk, open_channel_id).operators
    assert (one.availability, one.since) == ("offline", None)


def test_many_operators_are_counted(desk: Desk, command: CommandLine) -> None:
    """D12: about twenty names, then a number; programs get all of them."""
    ids = [desk.operator(f"Operator {number:02}", online=False) for number in range(25)]
    desk.open_channel("Shop", ["telegram"], ids)
    dialog_id = dialog(desk, 7)
    lines = said(command, "dialogs", "why", str(dialog_id))
    (offline,) = (line for line in lines if line.startswith("offline: "))
    assert offline.endswith("Operator 19, and 5 more")
    assert "and 5 more" in said(command, "backlog", "show", "Shop")
    assert len(json_of(command, "dialogs", "why", str(dialog_id))["backlog"]["operators"]) == 25


# Names and filters


def test_dialogs_are_listed_by_status_operator_and_open_channel(desk: Desk, command: CommandLine) -> None:
    """S1: the newest first; each filter alone and together; more than the limit is said."""
    ann, ben = desk.operator("Ann"), desk.operator("Ben", online=False)
    desk.open_channel("Shop", ["telegram"], [ann], prefix="shop-")
    desk.open_channel("Help", ["telegram"], [ben], prefix="help-")
    first, second, third = (
        dialog(desk, 1, "shop-telegram"),
        dialog(desk, 2, "help-telegram"),
        dialog(desk, 3, "shop-telegram"),
    )

    def listed(*filters: str) -> list[int]:
        return [one["id"] for one in json_of(command, "dialogs", "list", *filters)]

    assert listed() == [third, second, first]
    assert listed("--status", "queued") == [second]
    assert listed("--status", "queued", "--status", "assigned") == [third, second, first]
    assert listed("--operator", "Ann") == [third, first]
    assert listed("--operator", "Ben") == []
    assert listed("--open-channel", "Help") == [second]
    assert listed("--open-channel", "Shop", "--operator", "Ann", "--limit", "1") == [third]
    assert "and more; --limit 2 shows them" in command.done("dialogs", "list", "--limit", "1")
    assert "more" not in command.done("dialogs", "list", "--limit", "3")


@pytest.mark.parametrize(
    "arguments",
    [
        ("backlog", "show", "Shpo"),
        ("dialogs", "list", "--open-channel", "shop"),
        ("dialogs", "list", "--operator", "Annn"),
    ],
)
def test_a_wrong_name_comes_with_the_nearest(desk: Desk, command: CommandLine, arguments: tuple[str, ...]) -> None:
    """What is not there is exit 1, and says what may have been meant."""
    desk.open_channel("Shop", ["telegram"], [desk.operator("Ann")])
    ran = command(*arguments)
    assert (ran.code, ran.output) == (1, "")
    assert 'did you mean "Shop"?' in ran.errors or 'did you mean "Ann"?' in ran.errors


def test_looking_changes_nothing(desk: Desk) -> None:
    """Look-ups lock nothing: they work while an open channel and its dialogs are locked."""
    open_channel_id = desk.open_channel("Shop", ["telegram"], [desk.operator("Ann", online=False)])
    dialog_id = dialog(desk, 7)
    with desk.session.transaction() as locking:
        locking.execute("SELECT FROM open_channels, dialogs, operators FOR UPDATE")
        assert _beside(desk, open_channel_id, dialog_id)


def _beside(desk: Desk, open_channel_id: int, dialog_id: int) -> bool:
    other = Session(desk.options)
    try:
        with other.transaction() as connection:
            _read_only(connection)
            return bool(backlogs.read(connection, open_channel_id, 1) and backlogs.of_dialog(connection, dialog_id))
    finally:
        other.close()


def _read_only(connection: Connection) -> None:
    connection.execute("SET TRANSACTION READ ONLY")


def test_of_a_long_story_it_is_said_that_older_things_are_not_shown(desk: Desk, command: CommandLine) -> None:
    """S1, D12: the newest events and decisions are."""
    desk.open_channel("Shop", ["telegram"], [desk.operator("Ann")])
    dialog_id = dialog(desk, 7)
    assert "what is older is not shown" not in said(command, "dialogs", "why", str(dialog_id))
    desk.execute(
        "INSERT INTO events (dialog_id, actor, cause) SELECT %s, 'system', 'kept' FROM generate_series(1, 200)",
        dialog_id,
    )
    assert said(command, "dialogs", "why", str(dialog_id)).count("what is older is not shown") == 1

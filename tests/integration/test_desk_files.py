"""Desks as files on real PostgreSQL: applied, applied again, exported, and applied once more."""

import re
from importlib.resources import files
from pathlib import Path

import psycopg
import pytest
import yaml

from crm_store import administration, desks, timers
from crm_store.database import DatabaseOptions, Session
from crm_store.desks import KnownCaller
from crm_store.secrets import SecretBox, hash_token
from tests.commands import SECRET_KEY, command
from tracker.access import Role

pytestmark = pytest.mark.integration

__all__ = ["command"]

BOX = SecretBox(SECRET_KEY)
DEMO = files("cli").joinpath("desks", "demo.yaml").read_text(encoding="utf-8")
DOCS = Path(__file__).parents[2] / "docs" / "desks.md"

SMALL = """\
operators: [{name: Ann}, {name: Bob}]
departments: [{name: Front desk, members: [Bob]}]
open_channels:
  - {name: Sales, max_dialogs: 3, roster: [Ann, {department: Front desk}]}
channels:
  - {key: bot, kind: telegram, open_channel: Sales}
"""

TABLES = (
    "operators",
    "departments",
    "department_members",
    "department_supervisors",
    "open_channels",
    "roster_entries",
    "seats",
    "channels",
)


def contents(database_url: str) -> dict[str, list[tuple[object, ...]]]:
    """All rows of the tables that an administrator writes, with the transactions that wrote them."""
    with psycopg.connect(database_url) as connection:
        return {
            table: connection.execute(f"SELECT xmin::text, * FROM {table} ORDER BY 2, 3").fetchall()
            for table in (*TABLES, "timers")
        }


def test_the_demo_desk_is_applied_once(command, database_url):
    """The second time it changes nothing and says so; no row is written again."""
    first = command.done("apply", command.file(DEMO))
    assert first.count(": added") == 8 + 1 + 3 + 5
    assert len(re.findall(r"operator .* \(demo\): token \S{32} \(shown only now\)", first)) == 8
    before = contents(database_url)
    assert command.done("apply", "desk.yaml") == "nothing to change\n"
    assert contents(database_url) == before


def test_an_export_says_what_there_is(command, database_url):
    """Applying it changes nothing; no secret is in it; and another database becomes the same by it."""
    command.done("apply", command.file(DEMO))
    exported = command.done("export")
    assert command.done("apply", command.file(exported)) == "nothing to change\n"
    with Session(DatabaseOptions(database_url, "test")).transaction() as connection:
        channels = administration.read(connection).channels.values()
    assert len(channels) == 5
    for channel in channels:
        assert not any(secret in exported for secret in BOX.open(channel.sealed))
    assert exported.count("secrets: kept") == 5


def test_a_dry_run_writes_nothing(command, database_url):
    """It says what would be done, and shows no token."""
    before = contents(database_url)
    said = command.done("apply", "--dry-run", command.file(SMALL))
    assert 'channel "bot": added' in said
    assert said.endswith("nothing was written: this was a dry run\n")
    assert "shown only now" not in said
    assert contents(database_url) == before
    assert command.done("apply", "desk.yaml").startswith(said.removesuffix("nothing was written: this was a dry run\n"))
    assert command.done("apply", "--dry-run", "desk.yaml") == "nothing to change\n"


def test_what_the_file_does_not_name_is_left_alone(command):
    """Fields and whole parts; but rosters and members are replaced as written."""
    command.done("apply", command.file(SMALL))
    said = command.done(
        "apply", command.file("operators: [{name: Eve}]\nopen_channels: [{name: Sales, counted: all, roster: [Eve]}]\n")
    )
    assert "  roster: + Eve, - Ann, - Front desk (department)\n" in said
    exported = yaml.safe_load(command.done("export"))
    assert [one["name"] for one in exported["operators"]] == ["Ann", "Bob", "Eve"]
    (sales,) = exported["open_channels"]
    assert (sales["max_dialogs"], sales["roster"]) == (3, ["Eve"])
    assert exported["departments"] == [{"name": "Front desk", "members": ["Bob"], "supervisors": []}]


ROLES = """\
operators:
  - {name: Ann, role: supervisor, scope: any, time_tracking: true}
  - {name: Bob, role: administrator}
  - {name: Cem}
departments:
  - {name: Front desk, members: [Cem], supervisors: [Bob, Ann]}
"""


def test_roles_scopes_and_supervisors_are_the_files(command, database_url):
    """Applied, exported and applied again; a part that is not said stays, and `null` takes a scope back."""
    said = command.done("apply", command.file(ROLES))
    for line in ('role: "supervisor"', 'scope: "any"', "time_tracking: true", "supervisors: + Ann, + Bob"):
        assert f"  {line}\n" in said
    assert 'role: "operator"' not in said, "what is usual is not told of somebody new"
    before = contents(database_url)
    assert command.done("apply", "desk.yaml") == "nothing to change\n"
    exported = command.done("export")
    assert command.done("apply", command.file(exported, "exported.yaml")) == "nothing to change\n"
    assert contents(database_url) == before
    known = yaml.safe_load(exported)
    assert known["operators"][0] | {"name": "Ann"} == {
        "name": "Ann",
        "role": "supervisor",
        "scope": "any",
        "personal_limit": None,
        "time_tracking": True,
        "dismissed": False,
    }
    assert known["departments"] == [{"name": "Front desk", "members": ["Cem"], "supervisors": ["Ann", "Bob"]}]
    changed = "operators: [{name: Ann, scope: null}]\ndepartments: [{name: Front desk, supervisors: [Ann]}]\n"
    said = command.done("apply", command.file(changed))
    assert '  scope: "any" -> null\n' in said
    assert "  supervisors: - Bob\n" in said
    assert "members" not in said
    with Session(DatabaseOptions(database_url, "test")).transaction() as connection:
        known_now = administration.read(connection)
    ann, desk = known_now.operators["Ann"], known_now.departments["Front desk"]
    assert (ann.role, ann.scope, ann.time_tracking) == (Role.SUPERVISOR, None, True)
    assert (desk.members, desk.supervisors) == ((3,), (1,))


def test_mistakes_with_roles_are_told(command):
    """A role that nobody has, a scope that there is not, a supervisor who is nobody."""
    wrong = (
        "operators: [{name: Ann, role: service, scope: all}]\n"
        "departments: [{name: Desk, supervisors: [Anne, Ann, Ann]}]\n"
    )
    ran = command("apply", command.file(wrong))
    assert ran.code == 2
    assert 'operators[0].role: must be one of operator, supervisor, administrator; it is "service"' in ran.errors
    assert 'operators[0].scope: must be one of own, department, any; it is "all"' in ran.errors
    assert '"Ann" stands in this list already' in ran.errors
    mended = wrong.replace("service", "operator").replace("all", "any").replace("Ann, Ann", "Ann")
    assert 'there is no operator "Anne"; did you mean "Ann"?' in command("apply", command.file(mended)).errors


def test_a_mistake_changes_nothing(command, database_url):
    """All or nothing: what is right in the file is not written either."""
    before = contents(database_url)
    ran = command("apply", command.file(SMALL + "  - {key: other, kind: telegram, open_channel: Sales}\n"))
    assert ran.code == 2
    assert ran.output == ""
    assert ran.errors.startswith(
        'desk.yaml:7:48: channels[1].open_channel: open channel "Sales" has the telegram channel "bot" already'
    )
    assert contents(database_url) == before


def test_a_token_and_secrets_from_outside_are_taken(command, database_url):
    """From the environment and from a file beside the desk's; they are not shown."""
    command.set("ANNS_TOKEN", "anns-token-that-is-long-enough")
    command.file("provider-secret\n", "secret.txt")
    said = command.done(
        "apply",
        command.file(
            "operators: [{name: Ann, token: {env: ANNS_TOKEN}}]\nopen_channels: [{name: Sales}]\n"
            "channels: [{key: wa, kind: whatsapp, open_channel: Sales, secrets: {file: secret.txt}}]\n"
        ),
    )
    assert "anns-token" not in said
    assert "provider-secret" not in said
    with Session(DatabaseOptions(database_url, "test")).transaction() as connection:
        known = desks.operator_by_token(connection, hash_token("anns-token-that-is-long-enough"))
        (channel,) = desks.read_channels(connection, BOX)
    assert known == KnownCaller(1, "Ann", Role.OPERATOR, None)
    assert channel.secrets == ("provider-secret",)
    assert command.done("apply", "desk.yaml") == "nothing to change\n"


def test_who_joins_is_tried_for_what_waits(command, database_url):
    """D8: the backlogs of the open channels that changed are due; D2: who joins counts from now on."""
    command.done("apply", command.file(SMALL))
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM timers")
        connection.execute("UPDATE open_channels SET turn = 7")
    command.done(
        "apply",
        command.file("operators: [{name: Eve}]\ndepartments: [{name: Front desk, members: [Bob, Eve]}]\n"),
    )
    with psycopg.connect(database_url) as connection:
        assert timers.due_backlogs(connection, 5) == [1]
        eve = connection.execute(
            "SELECT turn FROM seats JOIN operators ON operators.id = operator_id WHERE name = 'Eve'"
        ).fetchall()
    assert eve == [(7,)]


def test_channels_of_a_kind_change_places(command):
    """In one transaction, although an open channel has at most one of a kind."""
    two = "open_channels: [{name: A}, {name: B}]\nchannels:\n"
    line = "  - {{key: {}, kind: telegram, open_channel: {}}}\n"
    command.done("apply", command.file(two + line.format("a", "A") + line.format("b", "B")))
    said = command.done("apply", command.file(two + line.format("a", "B") + line.format("b", "A")))
    assert said.count("open_channel: ") == 2
    assert command.done("apply", "desk.yaml") == "nothing to change\n"


def test_connect_adds_and_never_takes_away(command):
    """The same paths as a file; an unknown region or a key in use is refused in the option's name."""
    said = command.done(
        "connect", "telegram", "--key", "bot", "--open-channel", "Sales", "--operator", "Ann", "--region", "de"
    )
    assert "operator Ann: token" in said
    assert "-d secret_token=" in said
    said = command.done("connect", "webform", "--key", "form", "--open-channel", "Sales", "--operator", "Bob")
    assert "operator Bob: token" in said
    assert "Ann" not in said
    exported = yaml.safe_load(command.done("export"))
    assert exported["open_channels"][0]["roster"] == ["Ann", "Bob"]
    assert [one["region"] for one in exported["channels"]] == ["DE", None]
    again = command("connect", "livechat", "--key", "bot", "--open-channel", "Other")
    assert (again.code, again.errors) == (2, 'connect: --key: the key "bot" is in use; choose another\n')
    wrong = command("connect", "livechat", "--key", "a b", "--open-channel", "Other", "--region", "UK")
    assert "connect: --key: may hold letters" in wrong.errors
    assert 'connect: --region: "UK" is no region' in wrong.errors
    second = command("connect", "telegram", "--key", "bot2", "--open-channel", "Sales")
    assert 'open channel "Sales" has the telegram channel "bot" already' in second.errors
    missing = command("connect", "whatsapp", "--key", "wa", "--open-channel", "Sales")
    assert "set it in CHANNEL_SECRET" in missing.errors


def test_the_example_of_the_documentation_is_applied(command):
    """Every block of docs/desks.md that is a desk."""
    command.set("SHOP_WHATSAPP_SECRET", "secret-of-the-app")
    command.file("a-token-of-anns-that-is-long\n", "ann.token")
    blocks = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        assert "this was a dry run" in command.done("apply", command.file(block), "--dry-run")
        command.done("apply", "desk.yaml")
        assert command.done("apply", "desk.yaml") == "nothing to change\n"

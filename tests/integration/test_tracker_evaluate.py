"""`openchannel tracker evaluate`: a world and a file through the real steps, judged by the oracle."""

import json

import psycopg
import pytest

from cli.tracker import evaluate
from crm_store.scratch import PREFIX
from tests.commands import CommandLine, command
from tests.plugins.servers import of_database

pytestmark = pytest.mark.integration

__all__ = ["command"]

HEADER = "customer,channel,chat,sent_at,name,text,identity\n"

SEEDS_STORY = HEADER + (
    "ann,instagram/de,ann.ig,2026-03-01T09:00:00Z,Ann,hello,\n"
    "ann,instagram/de,ann.ig,2026-03-01T09:05:00Z,Ann,call 0151 23456781,\n"
    "ann,livechat/de,v-1,2026-03-02T09:00:00Z,,+49 151 23456781 or ann@firm.example,\n"
    "ann,telegram,77,2026-03-03T09:00:00Z,Ann B.,ann@firm.example,\n"
    "ben,whatsapp,5215512345678,2026-03-03T09:00:00Z,Ben,hola,proven:+5215512345678\n"
    "ben,webform/mx,f-1,2026-03-04T09:00:00Z,Ben,hola,typed:55-1234-5678\n"
)

LATE_PROOF = HEADER + (
    "ann,whatsapp/de,4915123456781,2026-03-01T09:00:00Z,Ann,hello,proven:+4915123456781\n"
    "ben,webform/de,form-1,2026-03-02T09:00:00Z,Ben,hello,typed:+4917099836021\n"
    "ben,instagram/de,ben.ig,2026-03-03T09:00:00Z,Ben,call 0151 23456781,\n"
    "ben,instagram/de,ben.ig,2026-03-04T09:00:00Z,Ben,this is me,proven:+4917099836021\n"
)


def scratch_databases(server: str) -> int:
    """How many there are on the server."""
    with psycopg.connect(server, autocommit=True) as connection:
        row = connection.execute("SELECT count(*) FROM pg_database WHERE datname LIKE %s", [f"{PREFIX}%"]).fetchone()
    assert row is not None
    return int(row[0])


def test_a_small_world(command: CommandLine, database_url, postgres_server):
    """Not one message is on another card than the oracle says; the configured database is not touched."""
    found = json.loads(command.done("tracker", "evaluate", "--customers", "300", "--seed", "1", "--json"))
    assert (found["customers"], found["chats"], found["messages"]) == (300, 900, 3000)
    assert (found["deviations"], found["avoidable_over_merges"]) == (0, 0)
    assert found["precision"] > 0.7
    assert found["recall"] > 0.4
    assert {"f05", "bcubed_f", "over_merge_rate", "duplicates_left", "causes", "cards"} <= found.keys()
    assert found["causes"]["over_merges"]["family"] > 0
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM chats").fetchone() == (0,)
    assert scratch_databases(postgres_server) == 0


def test_a_file(command: CommandLine):
    """T11, T12: two customers, two cards; and it is said for people too."""
    name = command.file(SEEDS_STORY, "story.csv")
    found = json.loads(command.done("tracker", "evaluate", name, "--json"))
    assert (found["cards"], found["deviations"], found["precision"], found["recall"]) == (2, 0, 1.0, 1.0)
    shown = command.done("tracker", "evaluate", name)
    assert "Every message is on the card that the rules say" in shown
    assert "duplicates left" in shown


def test_a_proof_parts_before_it_merges(command: CommandLine):
    """Ben typed Ann's number, then proves his own, which his form gave: the form is not Ann's."""
    found = json.loads(command.done("tracker", "evaluate", command.file(LATE_PROOF, "late.csv"), "--json"))
    assert (found["cards"], found["deviations"], found["avoidable_over_merges"]) == (2, 0, 0)


def test_a_world_is_written_and_read(command: CommandLine):
    """Nothing is evaluated then; what is read again gives the same figures."""
    command.done("tracker", "evaluate", "--customers", "30", "--seed", "5", "--write", "world.csv")
    generated = command.done("tracker", "evaluate", "--customers", "30", "--seed", "5", "--json")
    assert command.done("tracker", "evaluate", "world.csv", "--json") == generated


def test_a_deviation_is_an_error(command: CommandLine, monkeypatch, postgres_server):
    """Exit code 1, and the figures all the same."""
    monkeypatch.setattr(evaluate, "right_cards_of", lambda messages: dict.fromkeys((m.chat_key for m in messages), 1))
    ran = command("tracker", "evaluate", command.file(SEEDS_STORY, "story.csv"), "--json")
    assert ran.code == 1
    assert json.loads(ran.output)["deviations"] == 2
    shown = command("tracker", "evaluate", "story.csv")
    assert shown.code == 1
    assert "webform/mx f-1" in shown.output


def test_a_mistake_in_a_file(command: CommandLine):
    """One clear message, before any server is asked."""
    command.set("OPENCHANNEL_DATABASE__URL", "postgresql://nobody@127.0.0.1:1/none")
    ran = command("tracker", "evaluate", command.file(SEEDS_STORY.replace("proven:", "sworn:"), "story.csv"))
    assert ran.code == 2
    assert "story.csv, line 6, column identity" in ran.errors


def test_an_interruption_leaves_nothing(command: CommandLine, monkeypatch, postgres_server):
    """The scratch database is dropped whatever happens."""
    during = []

    def interrupt(*_: object) -> None:
        during.append(scratch_databases(postgres_server))
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate, "product_cards_of", interrupt)
    ran = command("tracker", "evaluate", command.file(SEEDS_STORY, "story.csv"))
    assert ran.code != 0
    assert during == [1]
    assert scratch_databases(postgres_server) == 0


def test_a_user_who_may_not_create_databases(command: CommandLine, postgres_server, database_url):
    """The error says what to do."""
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute("CREATE ROLE evaluate_guest LOGIN PASSWORD 'guest'")
    try:
        place = of_database(postgres_server, "").rpartition("@")[2].rstrip("/")
        name = database_url.rpartition("/")[2]
        command.set("OPENCHANNEL_DATABASE__URL", f"postgresql://evaluate_guest:guest@{place}/{name}")
        ran = command("tracker", "evaluate", command.file(SEEDS_STORY, "story.csv"))
    finally:
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            connection.execute("DROP ROLE evaluate_guest")
    assert ran.code == 1
    assert "ALTER ROLE ... CREATEDB" in ran.errors


def test_without_a_server_one_is_started(command: CommandLine):
    """In a temporary folder, for as long as it takes."""
    command.set("OPENCHANNEL_DATABASE__URL", None)
    command.set("OPENCHANNEL_DATA_DIR", str(command.folder / "none"))
    found = json.loads(command.done("tracker", "evaluate", command.file(SEEDS_STORY, "story.csv"), "--json"))
    assert found["deviations"] == 0

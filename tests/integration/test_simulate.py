"""`openchannel simulate`: a recorded period in a real database, and what it would have been."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from crm_store import events, recordings
from crm_store.database import DatabaseOptions, Session
from crm_store.errors import DatabaseAwayError
from crm_store.events import Event
from crm_store.recordings import Period
from tests.commands import CommandLine, command
from tests.desks import Desk
from tracker.channels import OpenChannelSettings
from tracker.simulation import ActualPeriod, Configuration, SimulatedOpenChannel, Simulation

pytestmark = pytest.mark.integration

__all__ = ["command"]

BEGIN = datetime(2026, 3, 2, 9, tzinfo=UTC)
PERIOD = ("--from", "2026-03-02T09:00Z", "--to", "2026-03-02T17:00Z")

APPLIED = """\
operators: [{name: Ann}, {name: Bob}]
open_channels:
  - {name: Sales, max_dialogs: 1, roster: [Ann]}
channels:
  - {key: bot, kind: telegram, open_channel: Sales}
"""

HELD = "SELECT id, operator_id, status::text FROM dialogs WHERE status IN ('assigned', 'accepted') ORDER BY id"

WITH_BOB = "open_channels: [{name: Sales, roster: [Ann, Bob]}]\n"


class Book:
    """Writes records of the past into a database, as the product would have written them."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)

    def close(self) -> None:
        self._connection.close()

    def value(self, query: str, *parameters: Any) -> Any:
        row = self._connection.execute(query, parameters).fetchone()
        return row and row[0]

    def operator(self, name: str) -> int:
        return int(self.value("SELECT id FROM operators WHERE name = %s", name))

    def presence(self, name: str, at: float, availability: str) -> None:
        """At so many seconds of the day."""
        self._connection.execute(
            "INSERT INTO events (at, actor, cause, operator_id, details) "
            "VALUES (%s, 'system', 'presence', %s, jsonb_build_object('availability', %s::text))",
            [BEGIN + timedelta(seconds=at), self.operator(name), availability],
        )

    def dialog(self, name: str, came: float, assigned: float, accepted: float, closed: float, **more: Any) -> int:
        """One that this operator had; with `by_columns` its events are those of an older version."""
        times = [BEGIN + timedelta(seconds=one) for one in (came, assigned, accepted, closed)]
        operator_id, new = self.operator(name), more.get("by_columns") is None
        channel_id = self.value("SELECT id FROM channels")
        open_channel_id = self.value("SELECT open_channel_id FROM channels")
        chat_id = self.value(
            "INSERT INTO chats (channel_id, external_id) VALUES (%s, gen_random_uuid()::text) RETURNING id", channel_id
        )
        dialog_id = self.value(
            "INSERT INTO dialogs (open_channel_id, chat_id, status, operator_id, created_at, assigned_at, accepted_at, "
            "closed_at, first_assigned_at) VALUES (%s, %s, 'closed', %s, %s, %s, %s, %s, %s) RETURNING id",
            open_channel_id, chat_id, operator_id, *times, times[1],
        )  # fmt: skip
        self._connection.execute(
            "INSERT INTO decisions (dialog_id, at, rule, operator_id, candidates) VALUES (%s, %s, 'D2', %s, '{}')",
            [dialog_id, times[1], operator_id],
        )
        if not new:
            return int(dialog_id)
        course = [
            ("message", None, "queued", None, None),
            ("D2", "queued", "assigned", None, operator_id),
            ("accept", "assigned", "accepted", operator_id, operator_id),
            ("close", "accepted", "closed", operator_id, operator_id),
        ]
        for at, (cause, was, became, before, after) in zip(times, course, strict=True):
            self._connection.execute(
                "INSERT INTO events (dialog_id, open_channel_id, at, actor, cause, was, became, was_operator_id, "
                "operator_id) VALUES (%s, %s, %s, 'system', %s, %s, %s, %s, %s)",
                [dialog_id, open_channel_id, at, cause, was, became, before, after],
            )
        return int(dialog_id)

    def contents(self) -> list[tuple[str, int, str]]:
        """Every table with its rows, and the transactions that wrote them."""
        tables = self._connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1"
        ).fetchall()
        return [(table, *self._rows(table)) for (table,) in tables]

    def _rows(self, table: str) -> tuple[int, str]:
        rows = "coalesce(string_agg(xmin::text || rows::text, ',' ORDER BY rows::text), '')"
        found = self._connection.execute(f"SELECT count(*), {rows} FROM {table} AS rows").fetchone()
        assert found is not None
        return int(found[0]), str(found[1])


@pytest.fixture
def book(command: CommandLine, database_url: str) -> Iterator[Book]:
    """Ann alone, who has one dialog at a time and needs two minutes for each; ten customers, one each minute."""
    command.done("apply", command.file(APPLIED, "first.yaml"))
    made = Book(database_url)
    made.presence("Ann", -3600, "available")
    for n in range(10):
        assigned = 120 * n
        made.dialog("Ann", 60 * n, assigned, assigned + 20, assigned + 120)
    yield made
    made.close()


def found_of(command: CommandLine, text: str, *period: str) -> dict[str, Any]:
    """The figures."""
    found: dict[str, Any] = json.loads(command.done("simulate", command.file(text), *(period or PERIOD), "--json"))
    return found


def test_adding_an_operator_shortens_waiting(command, book):
    """D2, D7, D8: with Bob nobody waits; now is as it really was; the sentence says it."""
    found = found_of(command, WITH_BOB)
    (sales,) = found["open_channels"]
    assert sales["name"] == "Sales"
    waits = [sales[side]["to_assignment"] for side in ("really", "now", "desk")]
    assert waits[0] == waits[1] == {"n": 10, "median": 270.0, "p90": 480.0, "longest": 540.0}
    assert waits[2] == {"n": 10, "median": 0.0, "p90": 0.0, "longest": 0.0}
    assert [sales[side]["longest_backlog"] for side in ("really", "now", "desk")] == [5, 5, 0]
    assert [(one["name"], one["really"]["assignments"], one["desk"]["assignments"], one["difference"])
            for one in sales["operators"]] == [("Ann", 10, 5, -5), ("Bob", 0, 5, 5)]  # fmt: skip
    assert sales["really"]["to_acceptance"]["median"] == 290.0
    assert sales["operators"][0]["really"]["seconds_at_limit"] is None
    assert sales["operators"][0]["now"]["seconds_at_limit"] == 1200.0
    assert "had an operator within 0 s instead of 4 min 30 s" in found["summary"]
    assert any("no presence is recorded of Bob" in note for note in found["notes"])


def test_it_is_shown_to_people(command, book):
    """One table for each open channel, and the sentence."""
    command.set("COLUMNS", "160")
    said = command.done("simulate", command.file(WITH_BOB), *PERIOD)
    assert "Sales" in said
    assert "with desk.yaml" in said
    assert "until an operator had it: median" in said
    assert said.rstrip().splitlines()[-1].strip()
    unchanged = command.done("simulate", command.file("operators: [{name: Ann}]\n"), *PERIOD)
    assert "desk.yaml would have changed nothing." in unchanged


def test_names_are_shown_as_they_are_written(command, book):
    """Of operators, open channels and the file: none is read as markup, though it may look like it."""
    command.set("COLUMNS", "160")
    text = (
        "operators: [{name: 'Bob [/b]'}, {name: 'Eve [night]'}]\n"
        "open_channels: [{name: 'North [red]', roster: ['Bob [/b]', 'Eve [night]']}]\n"
        "channels: [{key: bot, open_channel: 'North [red]'}]\n"
    )
    said = command.done("simulate", command.file(text, "a [bold] desk.yaml"), *PERIOD)
    for name in ("Bob [/b]", "Eve [night]", "North [red]", "with a [bold] desk.yaml"):
        assert name in said


def test_nothing_is_written(command, book):
    """Not one row of any table, though the file would change the desk; the transaction could not."""
    before = book.contents()
    found_of(command, WITH_BOB + "operators: [{name: Eve}]\n")
    assert book.contents() == before


def test_the_transaction_can_write_nothing(database_url):
    """PostgreSQL refuses it."""
    session = Session(DatabaseOptions(database_url, "test"))

    def write() -> None:
        with session.transaction() as connection:
            recordings.read_only(connection)
            events.log(connection, [Event(None, None, "system", "presence", operator_id=1)])

    with pytest.raises((psycopg.errors.ReadOnlySqlTransaction, DatabaseAwayError)) as refused:
        write()
    assert "read-only transaction" in str(refused.value)
    session.close()


def test_the_same_input_gives_the_same_output(command, book):
    """To the last figure."""
    assert found_of(command, WITH_BOB) == found_of(command, WITH_BOB)


def test_what_was_open_at_the_beginning(command, book):
    """D8: what began before is no arrival, but has its place."""
    found = found_of(command, WITH_BOB, "--from", "2026-03-02T09:05:00Z", "--to", "2026-03-02T17:00Z")
    (sales,) = found["open_channels"]
    assert [sales[side]["arrivals"] for side in ("really", "now", "desk")] == [5, 5, 5]
    assert sales["really"]["to_assignment"] == sales["now"]["to_assignment"]
    assert sales["really"]["longest_backlog"] == sales["now"]["longest_backlog"]
    ann = sales["operators"][0]
    assert ann["really"]["assignments"] == ann["now"]["assignments"] == 7
    assert ann["really"]["first_assignments"] == ann["now"]["first_assignments"] == 7


def test_what_is_open_at_the_end_is_cut_off(command, book):
    """One was being handled, and four waited."""
    found = found_of(command, WITH_BOB, "--from", "2026-03-02T09:00Z", "--to", "2026-03-02T09:09:00Z")
    (sales,) = found["open_channels"]
    assert [sales[side]["cut_off"] for side in ("really", "now")] == [1, 1]
    assert [sales[side]["never_assigned"] for side in ("really", "now")] == [4, 4]


def test_records_of_older_versions(command, book, database_url):
    """Columns of dialogs, where events say nothing: the same figures."""
    expected = found_of(command, WITH_BOB)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DELETE FROM events WHERE dialog_id IS NOT NULL")
        assert found_of(command, WITH_BOB) == expected
        connection.execute("DELETE FROM decisions")
        assert found_of(command, WITH_BOB) == expected


def test_presence_is_replayed(command, book):
    """D6: Bob came an hour later, when nobody waited any more; so nothing changes but whose turn it is."""
    book.presence("Bob", 3600, "available")
    found = found_of(command, WITH_BOB)
    (sales,) = found["open_channels"]
    assert [one["desk"]["assignments"] for one in sales["operators"]] == [10, 0]


def test_who_let_a_dialog_pass_does_so_again(command, book, database_url):
    """D5: the record's hand-over is told, and happens in the simulation; with a roster of one he keeps the dialog."""
    command.done("apply", command.file(WITH_BOB))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("TRUNCATE dialogs, events, decisions CASCADE")
        for name in ("Ann", "Bob"):
            book.presence(name, -60, "available")
        dialog_id = book.dialog("Bob", 0, 60, 75, 200, by_columns=True)
        ann, bob = book.operator("Ann"), book.operator("Bob")
        connection.execute("UPDATE decisions SET operator_id = %s, at = %s", [ann, BEGIN])
        connection.execute(
            "INSERT INTO decisions (dialog_id, at, rule, operator_id, candidates) VALUES (%s, %s, 'D2', %s, '{}')",
            [dialog_id, BEGIN + timedelta(seconds=60), bob],
        )
        for at, cause, was, became, before, after in (
            (0, "message", None, "queued", None, None),
            (0, "D2", "queued", "assigned", None, ann),
            (60, "handover", "assigned", "assigned", ann, bob),
            (75, "accept", "assigned", "accepted", bob, bob),
            (200, "close", "accepted", "closed", bob, bob),
        ):
            connection.execute(
                "INSERT INTO events (dialog_id, at, actor, cause, was, became, was_operator_id, operator_id) "
                "VALUES (%s, %s, 'system', %s, %s, %s, %s, %s)",
                [dialog_id, BEGIN + timedelta(seconds=at), cause, was, became, before, after],
            )
    (sales,) = found_of(command, "open_channels: [{name: Sales, roster: [Ann]}]\n")["open_channels"]
    ann_was, bob_was = sales["operators"]
    for side in ("really", "now"):
        assert [one[side]["assignments"] for one in sales["operators"]] == [1, 1]
        assert (ann_was[side]["handovers_lost"], bob_was[side]["first_assignments"]) == (1, 0)
        assert sales[side]["to_acceptance"]["median"] == 75
    assert (ann_was["desk"]["handovers_lost"], bob_was["desk"]["assignments"]) == (0, 0)
    assert sales["desk"]["to_acceptance"]["median"] == 75, "his clock runs out at 60, and he accepts it 15 s later"


def test_who_is_on_the_roster_and_was_never_recorded_was_offline(command, book):
    """D6: the log would have said it; in the record as in both simulations he gets nothing."""
    command.done("apply", command.file(WITH_BOB))
    found = found_of(command, "open_channels: [{name: Sales, max_dialogs: 2}]\n")
    (sales,) = found["open_channels"]
    assert [[one[side]["assignments"] for side in ("really", "now", "desk")] for one in sales["operators"]] == [
        [10, 10, 10],
        [0, 0, 0],
    ]
    assert any("Bob, on a roster already; taken to be offline" in note for note in found["notes"])


def test_a_channel_is_moved(command, book):
    """Its dialogs begin in the other open channel; the first is left without."""
    found = found_of(
        command,
        "open_channels: [{name: Support, roster: [Bob]}]\n"
        "channels: [{key: bot, open_channel: Support}]\n",
    )  # fmt: skip
    arrivals = {
        one["name"]: [one[side]["arrivals"] for side in ("really", "now", "desk")] for one in found["open_channels"]
    }
    assert arrivals == {"Sales": [10, 10, 0], "Support": [0, 0, 10]}


def test_departments_and_limits(command, book):
    """D1, D7: a department stands for its members, and a personal limit counts."""
    found = found_of(
        command,
        "operators: [{name: Bob, personal_limit: 2}, {name: Ann, dismissed: true}]\n"
        "departments: [{name: Front desk, members: [Bob]}]\n"
        "open_channels: [{name: Sales, max_dialogs: null, roster: [{department: Front desk}, Ann]}]\n",
    )
    (sales,) = found["open_channels"]
    assert [(one["name"], one["desk"]["assignments"]) for one in sales["operators"]] == [("Ann", 0), ("Bob", 10)]
    assert sales["desk"]["to_assignment"]["longest"] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--from", "2026-03-02", "--to", "2026-03-01"), 2, "--from: 2026-03-02T00:00:00Z is not before --to 2026"),
        (("--from", "yesterday", "--to", "2026-03-01"), 2, "--from: 'yesterday' is no time; write it as"),
        (("--from", "2026-03-02", "--to", "2999-01-01T00:00Z"), 2, "--to: 2999-01-01T00:00:00Z is in the future"),
        (("--from", "2020-03-02Z", "--to", "2020-03-03"), 2, "--from: '2020-03-02Z' is no time"),
        (("--from", "2020-03-02", "--to", "2020-03-03"), 1, "no dialog began between 2020-03-02T00:00:00Z"),
        (("--from", "2026-03-02T09:09:30Z", "--to", "2026-03-02T09:09:40Z"), 1, "records reach from 2026-03-02T09:00"),
    ],
)  # fmt: skip
def test_periods_that_cannot_be_replayed(command, book, arguments, code, said):
    """The message names the option; 2 is a wrong use, 1 says that nothing is there."""
    ran = command("simulate", command.file(WITH_BOB), *arguments)
    assert (ran.code, ran.output) == (code, "")
    assert said in ran.errors


def test_a_database_without_dialogs(command):
    """It says so."""
    ran = command("simulate", command.file(APPLIED), *PERIOD)
    assert (ran.code, "nothing is recorded" in ran.errors) == (1, True)


def test_a_naive_time_is_read_as_utc(command, book):
    """And it is said, on the other output."""
    ran = command(
        "simulate", command.file(WITH_BOB), "--from", "2026-03-02T09:00", "--to", "2026-03-02T19:00+02:00", "--json"
    )
    assert ran.code == 0
    assert ran.errors == "--from: 2026-03-02T09:00 has no time zone and is read as UTC\n"
    assert (json.loads(ran.output)["from"], json.loads(ran.output)["to"]) == (
        "2026-03-02T09:00:00Z",
        "2026-03-02T17:00:00Z",
    )


def test_mistakes_in_the_file_are_told_as_apply_tells_them(command, book):
    """With line, column and field."""
    command.file("open_channels: [{name: Sales, max_dialogs: 0, roster: [Ann, Anne]}]\n")
    simulated, applied = command("simulate", "desk.yaml", *PERIOD), command("apply", "--dry-run", "desk.yaml")
    assert simulated.code == applied.code == 2
    assert simulated.errors == applied.errors
    command.file("open_channels: [{name: Sales, roster: [Ann, Anne]}]\n")
    simulated, applied = command("simulate", "desk.yaml", *PERIOD), command("apply", "--dry-run", "desk.yaml")
    assert "there is no operator or department" in simulated.errors
    assert simulated.errors == applied.errors


@pytest.mark.parametrize("distribution", ["evenly", "strictly"])
def test_what_the_product_did_is_what_the_simulation_does(database_url, distribution):
    """D2, D3, D7, D8, D13: the product's own steps distribute and record; replayed, everybody is given the same."""
    with Desk(database_url) as desk:
        people = {name: desk.operator(name) for name in ("Ann", "Bob", "Eve")}
        settings = {"distribution": distribution, "max_dialogs": 2}
        open_channel_id = desk.open_channel("Sales", list(people.values()), **settings)
        names = {one: name for name, one in people.items()}
        since = desk.value("SELECT now()")
        for n in range(24):
            desk.dialog("Sales-telegram", f"chat-{n}")
            held = {status: (dialog_id, holder) for dialog_id, holder, status in reversed(desk.rows(HELD))}
            if "assigned" in held:
                dialog_id, holder = held["assigned"]
                desk.act(names[holder], f"/api/dialogs/{dialog_id}/accept")
            if n % 3 == 2:
                dialog_id, holder = held["accepted"]
                desk.act(names[holder], f"/api/dialogs/{dialog_id}/close")
                desk.drain()
        until = desk.value("SELECT now()")
        assert desk.value("SELECT count(*) FROM dialogs WHERE status = 'queued'") > 0, "limits are reached"
    roster = tuple(people.values())
    configuration = Configuration(
        {open_channel_id: SimulatedOpenChannel(open_channel_id, OpenChannelSettings(**settings), roster)}
    )
    session = Session(DatabaseOptions(database_url, "test"))
    with session.transaction() as connection:
        recordings.read_only(connection)
        period = Period(since, until)
        recording = recordings.read(connection, period)
        really, simulation = ActualPeriod(recording, [open_channel_id]), Simulation(recording, configuration)
        for arrival in recordings.arrivals(connection, period):
            really.arrive(arrival)
            simulation.arrive(arrival)
    session.close()
    actual, simulated = (each.finish().open_channels[open_channel_id] for each in (really, simulation))
    assert actual.arrivals == simulated.arrivals == 24
    for one in roster:
        ours, theirs = simulated.operators[one], actual.operators[one]
        assert (ours.assignments, ours.first_assignments) == (theirs.assignments, theirs.first_assignments)
    assert sum(one.assignments for one in simulated.operators.values()) > 6
    assert simulated.never_assigned == actual.never_assigned > 0

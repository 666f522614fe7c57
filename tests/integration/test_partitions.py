"""Partitions of inbox and history: made ahead, and found by the time of receipt."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from crm_store import partitions
from crm_store.database import Connection, Session
from crm_store.errors import BusyError
from crm_store.queries import Queries
from crm_store.retention import RetentionOptions
from crm_store.views import Order
from crm_store.views import chats as chat_views
from tests.partitioned import days_ago, names_of, one_round, places, received, with_a_past
from tests.pipeline import Desk, RecordingHints, text_message
from worker.clock import Clock, ClockOptions

pytestmark = pytest.mark.integration


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """Two channels."""
    with Desk(database_url) as made:
        made.open_channel("desk", ["telegram", "custom"])
        yield made


@pytest.fixture
def session(desk: Desk) -> Iterator[Session]:
    """A clock's."""
    made = Session(desk.options)
    yield made
    made.close()


def nodes(plan: Any) -> Iterator[dict[str, Any]]:
    """All nodes of a plan that EXPLAIN tells as JSON."""
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def tables_read(connection: Connection, query: str, parameters: dict[str, Any]) -> set[str]:
    """Partitions that a query looks into."""
    row = connection.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + query, parameters).fetchone()
    assert row is not None
    read = [node for node in nodes(row[0][0]["Plan"]) if node.get("Actual Loops") and "Relation Name" in node]
    return {node["Relation Name"] for node in read}


# Finding ----------------------------------------------------------------------------------------------------------


def test_a_step_looks_into_one_partition(desk, session):
    """An item's time of receipt and of accepting are the same, so its partition is known."""
    with_a_past(desk)
    now = desk.accept(*(text_message("telegram", n, "x") for n in range(20)))
    earlier = received(desk, 40, 20)
    assert (
        desk.value("SELECT count(*) FROM inbox JOIN inbox_state ON id = inbox_id WHERE received_at = accepted_at") == 40
    )
    query = Queries("inbox")["read_messages"]
    with session.transaction() as connection:
        for ids in (now, earlier):
            parameters = {"inbox_ids": ids, "digests": [None] * 20}
            read = tables_read(connection, query, parameters)
            (place,) = desk.rows("SELECT DISTINCT tableoid::regclass::text FROM inbox WHERE id = ANY(%s)", ids)
            assert read == {"inbox_state", *place}


def test_what_a_process_of_before_accepted_is_found(desk):
    """It wrote the times of two clocks: the steps find its items all the same, in whatever partition."""
    with_a_past(desk)
    ids = desk.accept(text_message("telegram", 1, "a"), text_message("telegram", 1, "b"))
    desk.execute("UPDATE inbox SET received_at = received_at - interval '9 days' WHERE id = %s", ids[0])
    desk.run_through()
    assert desk.stages() == {"done": 2}
    assert [text for (text,) in desk.rows("SELECT text FROM messages ORDER BY seq")] == ["a", "b"]


def test_the_newest_of_a_history_over_partitions(desk, session):
    """In the chat's order, over all partitions; what they say is read where it stands, and nowhere else."""
    with_a_past(desk)
    for days in (100, 70, 40, 0):
        received(desk, days, 3, text=str(days))
        desk.run_through()
    assert len(places(desk, "messages")) == 4
    with session.transaction() as connection:
        said = chat_views.chat_history(connection, 1, 4, Order.NEWEST)
        assert [message.text for message in said] == ["0 2", "0 1", "0 0", "40 2"]
        keys: dict[str, Any] = {
            "chat_ids": [1] * 3,
            "seqs": [message.seq for message in said[:3]],
            "received_ats": [message.received_at for message in said[:3]],
        }
        read = tables_read(connection, Queries("views")["messages"], keys)
        here = desk.value("SELECT tableoid::regclass::text FROM messages WHERE seq = 12")
        assert {table for table in read if table.startswith("messages")} == {here}


# Made ahead ---------------------------------------------------------------------------------------------------------


def without_future(desk: Desk, *, present: bool) -> tuple[list[str], list[str]]:
    """The partitions of the future are gone, and on demand those of now; returns what there was."""
    with_a_past(desk)
    before = names_of(desk, "inbox"), names_of(desk, "messages")
    for name, bounds in desk.rows(
        "SELECT oid::regclass::text, pg_get_expr(relpartbound, oid) FROM pg_class "
        "WHERE relispartition AND relkind = 'r'"
    ):
        if bounds != "DEFAULT":
            _, begins, _, ends, _ = bounds.split("'")
            if desk.value("SELECT %s::timestamptz > now()", ends if present else begins):
                desk.execute(f"DROP TABLE {name}")
    return before


def about_to_begin(desk: Desk) -> set[str]:
    """The partitions that are not made any more: their period begins within the hour."""
    next_of = "date_trunc('{0}', now() AT TIME ZONE 'UTC') + interval '1 {0}'"
    periods = (("week", '"inbox_"YYYY_MM_DD'), ("month", '"messages_"YYYY_MM'))
    return {
        name
        for unit, named in periods
        for (name,) in desk.rows(
            f"SELECT to_char(begins, '{named}') FROM (SELECT {next_of.format(unit)} AS begins) AS next "
            "WHERE begins <= now() AT TIME ZONE 'UTC' + interval '1 hour'"
        )
    }


def made_by(*sessions: Session) -> list[list[str]]:
    """What each of these clocks makes until nothing is missing, all at once."""
    start = threading.Barrier(len(sessions))

    def make(session: Session) -> list[str]:
        made = []
        start.wait()
        for kind in (partitions.INBOX, partitions.MESSAGES):
            while True:
                try:
                    with session.transaction() as connection:
                        if not partitions.take_turn(connection):
                            continue
                        name = partitions.make_next(connection, kind)
                except BusyError:
                    continue
                if name is None:
                    break
                made.append(name)
        return made

    with ThreadPoolExecutor(len(sessions)) as pool:
        return list(pool.map(make, sessions))


def test_the_clock_makes_them_ahead(desk, session):
    """At least four weeks and three months, with keys and indexes of the whole; a second look finds nothing to do."""
    before = without_future(desk, present=False)
    clock = Clock(session, RecordingHints(), ClockOptions(retention=RetentionOptions(raw_days=None)))
    for _ in range(10):
        clock.tick()
    after, soon = (names_of(desk, "inbox"), names_of(desk, "messages")), about_to_begin(desk)
    assert set(after[0]) == set(before[0][:-2]) - soon | {"inbox_kept"}, "the migration made one week more"
    assert set(after[1]) == set(before[1][:-2]) - soon | {"messages_kept"}
    ends = "SELECT max(substring(pg_get_expr(relpartbound, oid) FROM 'TO ..([^'']+)')::timestamptz) FROM pg_class "
    assert desk.value(ends + "WHERE relname ~ '^inbox_2'") >= days_ago(desk, -28)
    assert desk.value(ends + "WHERE relname ~ '^messages_2'") >= days_ago(desk, -90)
    keys = "SELECT DISTINCT pg_get_indexdef(indexrelid) ~ '.id, received_at.' FROM pg_index "
    keys += "JOIN pg_class ON indrelid = pg_class.oid WHERE relname ~ '^inbox_2' AND indisprimary AND indisvalid"
    assert desk.rows(keys) == [(True,)]
    indexes = "SELECT count(*) FROM pg_index WHERE indrelid = %s::regclass AND indisvalid"
    assert {desk.value(indexes, name) for name in after[1]} == {2}
    desk.run_through(text_message("telegram", 1, "x"))
    assert "inbox_kept" not in places(desk, "inbox")
    assert made_by(session) == [[]]


def test_two_clocks_make_each_of_them_once(desk, session):
    """While messages are accepted, for which there is none: none of them is refused."""
    before = without_future(desk, present=True)
    other = Session(desk.options)
    stop = threading.Event()
    accepted = []

    def accept() -> None:
        with Desk(desk.url) as here:
            here.channels = desk.channels
            while not stop.is_set():
                accepted.append(here.accept(text_message("custom", 1, "x")))

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(accept)
        made = made_by(session, other)
        stop.set()
        writing.result()
    other.close()
    every = [name for names in made for name in names]
    assert len(every) == len(set(every))
    missing = {*before[0], *before[1]} - {*names_of(desk, "inbox"), *names_of(desk, "messages")}
    assert len(missing) >= 2
    assert all("kept" not in name for name in missing)
    assert desk.value("SELECT count(*) FROM inbox") == len(accepted) > 0


def test_without_a_clock_nothing_is_refused(desk, session):
    """What no partition is for is accepted, worked on, and gets old like the rest; the clock goes on with the next."""
    before = without_future(desk, present=True)
    ids = desk.run_through(*(text_message("telegram", n, "x") for n in range(3)))
    assert places(desk, "inbox") == {"inbox_kept": 3}
    assert places(desk, "messages") == {"messages_kept": 3}
    ((made),) = made_by(session)
    now = [desk.value(f"SELECT to_char(date_trunc('{unit}', now() AT TIME ZONE 'UTC'), '{named}')")
           for unit, named in (("week", '"inbox_"YYYY_MM_DD'), ("month", '"messages_"YYYY_MM'))]  # fmt: skip
    assert not set(now) & set(made), "those of now stay where they are"
    assert len(made) == 4 + 3 - len(about_to_begin(desk))
    assert {*now} < {*before[0], *before[1]}
    desk.run_through(text_message("telegram", 1, "y"))
    assert places(desk, "inbox") == {"inbox_kept": 4}
    desk.execute("UPDATE inbox SET received_at = received_at - interval '200 days' WHERE id = ANY(%s)", ids)
    desk.execute("UPDATE messages SET received_at = received_at - interval '400 days' WHERE inbox_id = ANY(%s)", ids)
    assert one_round(session, raw_days=30, history_days=60).deleted == {"inbox": 3, "dead_letters": 0, "messages": 3}
    assert (places(desk, "inbox"), places(desk, "messages")) == ({"inbox_kept": 1}, {"messages_kept": 1})
    desk.ledger()


def test_who_does_not_own_the_tables_makes_none(desk, session, capsys):
    """The clock says so, and goes on."""
    without_future(desk, present=True)
    role = f"clock_of_{desk.url.rpartition('/')[2]}"
    desk.execute(f"CREATE ROLE {role}")
    desk.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}; GRANT ALL ON SCHEMA public TO {role}")
    there = names_of(desk, "inbox")
    try:
        with session.connection() as connection:
            connection.execute(f"SET ROLE {role}")
        with session.transaction() as connection, pytest.raises(partitions.NotOwnerError):
            partitions.make_next(connection, partitions.INBOX)
        Clock(session, RecordingHints(), ClockOptions()).tick()
        assert names_of(desk, "inbox") == there
        assert desk.value("SELECT count(*) FROM clocks") == 1
    finally:
        session.close()
        desk.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")

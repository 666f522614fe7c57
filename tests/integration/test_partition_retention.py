"""Old partitions go as a whole: what has to stay stays, whoever is killed, and whoever else is at work."""

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from crm_store import customer_records, partition_retention, partitions
from crm_store.database import Session
from crm_store.retention import Retention, RetentionOptions
from tests.commands import CommandLine, command
from tests.partitioned import names_of, one_round, places, received, with_a_past
from tests.pipeline import Desk, text_message

pytestmark = pytest.mark.integration

__all__ = ["command"]


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """Two channels, and partitions of the past."""
    with Desk(database_url) as made:
        made.open_channel("desk", ["telegram", "custom"])
        with_a_past(made)
        yield made


@pytest.fixture
def session(desk: Desk) -> Iterator[Session]:
    """A clock's."""
    made = Session(desk.options)
    yield made
    made.close()


def old_items(desk: Desk) -> list[int]:
    """Of 50 days ago: done, waiting, dead, discarded lately and long ago; one of now. Returns those that stay."""
    ids = received(desk, 50, 10)
    desk.run_through()
    waiting, dead, lately, long_ago = received(desk, 50, 4, chat=2)
    letter = (
        "INSERT INTO dead_letters (inbox_id, channel_id, step, reason, fingerprint, attempts, error, traceback) "
        "VALUES (%s, 1, 'bind_chat', 'r', 'f', 1, 'e', 't')"
    )
    for inbox_id, stage, days in ((dead, "dead", 50), (lately, "discarded", 3), (long_ago, "discarded", 40)):
        desk.execute(
            "UPDATE inbox_state SET stage = %s::text::stage, finished_at = now() - %s * interval '1 day' "
            "WHERE inbox_id = %s",
            *(stage, days, inbox_id),
        )
        desk.execute(letter, inbox_id)
        desk.execute("INSERT INTO ledger VALUES (%s, 1)", stage)
    desk.execute("INSERT INTO failures (inbox_id, step, attempt, worker, reason, error, traceback) "
                 "SELECT inbox_id, 'bind_chat', 1, 'w', 'r', 'e', 't' FROM inbox_state")  # fmt: skip
    assert len(ids) == 10
    return [waiting, dead, lately, desk.accept(text_message("custom", 3, "now"))[0]]


def ids_in(desk: Desk, table: str, column: str = "inbox_id") -> list[int]:
    """Ids of the inbox that a table has."""
    return [one for (one,) in desk.rows(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL ORDER BY 1")]


def test_what_is_dead_or_waits_outlives_its_partition(desk, session):
    """Dead letters, pending and lately discarded items are moved; the ledger balances; a replay finds them."""
    stay = old_items(desk)
    before = desk.ledger()
    there = len(names_of(desk, "inbox"))
    (old,) = desk.rows("SELECT DISTINCT tableoid::regclass::text FROM inbox WHERE id = ANY(%s)", stay[:3])
    done = one_round(session, raw_days=30)
    assert done.deleted["inbox"] == 11
    assert old[0] in done.dropped
    assert set(done.dropped).isdisjoint(names_of(desk, "inbox"))
    assert len(names_of(desk, "inbox")) == there - len(done.dropped)
    assert ids_in(desk, "inbox", "id") == ids_in(desk, "inbox_state") == stay
    assert ids_in(desk, "failures") == stay[:3]
    assert ids_in(desk, "dead_letters") == stay[1:3]
    assert places(desk, "inbox")["inbox_kept"] == 3
    assert desk.ledger() == before
    desk.run_through()
    assert desk.value("SELECT stage::text FROM inbox_state WHERE inbox_id = %s", stay[0]) == "done"
    assert one_round(session, raw_days=30).deleted["inbox"] == 1, (
        "what has ended since goes out of the default partition"
    )
    assert ids_in(desk, "inbox", "id") == stay[1:]
    assert one_round(session, raw_days=30, dead_letter_days=1).dropped == []
    stale = "SELECT count(*) FROM pg_stats WHERE tablename = 'inbox' AND attname = 'id' AND inherited"
    assert desk.value(stale) == 1, "the whole was sampled after that"


def test_months_of_the_history_go_without_their_rows(desk, session):
    """With their deliveries; what waits to be sent, and what somebody has at the moment, is moved with its message."""
    for chat in range(3):
        received(desk, 100, 4, chat=chat)
        received(desk, 0, 2, chat=chat)
    desk.run_through()
    one, two, three = (chat_id for (chat_id,) in desk.rows("SELECT id FROM chats ORDER BY id"))
    desk.execute("UPDATE messages SET direction = 'out' WHERE seq IN (2, 3, 4)")
    state = "INSERT INTO outbox (channel_id, chat_id, seq, state) SELECT channel_id, id, %s, %s FROM chats"
    for seq, name in ((2, "sent"), (3, "pending"), (4, "failed")):
        desk.execute(state, seq, name)
    desk.execute("INSERT INTO dead_letters (outbox_id, step, reason, fingerprint, attempts, error, traceback) "
                 "SELECT id, 'deliver', 'r', 'r', 1, 'e', '' FROM outbox WHERE state = 'failed'")  # fmt: skip
    holder = Session(desk.options)
    with holder.transaction() as connection, session.connection() as mine:
        connection.execute("SELECT FROM outbox WHERE chat_id = %s AND seq = 2 FOR UPDATE", [one])
        whole = partition_retention.PartitionRetention(lambda: mine)
        gone = 0
        parts = whole.messages(60)
        with mine.transaction():
            gone += next(parts)
        for _ in range(100):
            with mine.transaction():
                gone += next(parts, 0)
    holder.close()
    assert gone == 8
    assert len(whole.dropped) >= 3
    kept = "SELECT chat_id, seq, tableoid::regclass::text FROM messages WHERE seq < 5 ORDER BY 1, 2"
    assert [row[:2] for row in desk.rows(kept)] == [(one, 2), (one, 3), (two, 3), (three, 3)]
    assert {row[2] for row in desk.rows(kept)} == {"messages_kept"}
    assert desk.rows("SELECT chat_id, seq FROM outbox ORDER BY 1, 2") == [(one, 2), (one, 3), (two, 3), (three, 3)]
    assert desk.value("SELECT count(*) FROM messages") == 4 + 6
    assert desk.value("SELECT count(*) FROM dead_letters") == 0
    assert one_round(session, raw_days=None, history_days=60).deleted == {"messages": 1}, "the other had it"


def test_the_bound_is_held_to_the_day(desk, session):
    """In the partition that the bound goes through only what is older goes, and it stays a partition."""
    received(desk, 31, 2)
    received(desk, 29, 3)
    desk.run_through()
    assert one_round(session, raw_days=30, history_days=30).deleted == {"inbox": 2, "dead_letters": 0, "messages": 2}
    assert desk.value("SELECT count(*) FROM inbox") == desk.value("SELECT count(*) FROM messages") == 3
    assert set(places(desk, "inbox")).isdisjoint({"inbox_kept"})


def test_a_partition_with_much_to_keep_stays(desk, session, monkeypatch):
    """Then its rows go one by one: nobody waits long because of it."""
    stay = old_items(desk)
    monkeypatch.setattr(partitions, "MOST_MOVED", 2)
    done = one_round(session, raw_days=30)
    assert done.deleted["inbox"] == 11
    assert ids_in(desk, "inbox", "id") == stay
    assert "inbox_kept" not in places(desk, "inbox")
    monkeypatch.undo()
    assert one_round(session, raw_days=30).dropped
    assert ids_in(desk, "inbox", "id") == stay


def test_killed_at_any_moment(desk, session):
    """Within each kind of its transactions, and between them; whoever goes on comes to the right end."""
    stay = old_items(desk)
    desk.execute("UPDATE messages SET received_at = received_at - interval '60 days' WHERE seq < 9")
    desk.execute("INSERT INTO outbox (channel_id, chat_id, seq, state) SELECT channel_id, id, 1, 'held' FROM chats")
    history = desk.rows("SELECT chat_id, seq FROM messages WHERE seq = 1 OR seq > 8 ORDER BY 1, 2")
    before, there = desk.ledger(), len(names_of(desk, "inbox"))
    for table, nth, dropping in itertools.product(("inbox", "messages"), (1, 2), (False, True)):
        kill(desk, table, nth, dropping=dropping)
        assert ids_in(desk, "inbox", "id") == ids_in(desk, "inbox_state")
        assert desk.ledger() == before
    one_round(session, raw_days=30, history_days=60)
    assert ids_in(desk, "inbox", "id") == stay
    assert desk.rows("SELECT chat_id, seq FROM messages ORDER BY 1, 2") == history
    assert len(names_of(desk, "inbox")) < there
    assert one_round(session, raw_days=30, history_days=60).dropped == []


def kill(desk: Desk, table: str, nth: int, *, dropping: bool) -> None:
    """A new clock, which dies in its nth transaction that is at this table, or that drops one of its partitions."""
    mortal = Session(desk.options)
    made = Retention(RetentionOptions(raw_days=30, history_days=60))
    with mortal.connection() as connection:
        while True:
            connection.execute("BEGIN")
            before = len(made.dropped)
            assert made.part(connection), "the round was over before"
            if list(made.deleted)[-1] == table and (len(made.dropped) > before) == dropping:
                nth -= 1
                if nth == 0:
                    break
            connection.execute("COMMIT")
    mortal.close()


def test_who_has_the_table_is_not_held_up(desk, session, monkeypatch):
    """A long export: the partition stays, after some short tries, and goes in another round; nothing else waits."""
    monkeypatch.setattr(partitions, "LOCK_TIMEOUT", 0.02)
    monkeypatch.setattr(partition_retention, "TRIES", 2)
    stay = old_items(desk)
    there = names_of(desk, "inbox")
    reader = Session(desk.options)
    with reader.transaction() as connection:
        customer_records.begin(connection)
        done = one_round(session, raw_days=30)
        assert (done.dropped, done.deleted["inbox"]) == ([], 11)
        assert names_of(desk, "inbox") == there
        seen = connection.execute("SELECT count(*) FROM inbox WHERE id = ANY(%s)", [stay]).fetchone()
        assert seen == (4,)
    reader.close()
    assert one_round(session, raw_days=30).dropped
    assert ids_in(desk, "inbox", "id") == stay


def test_two_clocks_beside_the_steps(desk, session):
    """Both drop what is old while messages come in and are worked on: nothing fails, nothing young or dead is lost."""
    stay = old_items(desk)
    stop = threading.Event()
    accepted: list[int] = []

    def work() -> None:
        with Desk(desk.url) as here:
            here.channels = desk.channels
            worker = here.worker()
            while not stop.is_set():
                said = (text_message("custom", 4, "x"), text_message("telegram", 5, "x"))
                accepted.extend(here.run_through(*said, worker=worker))

    others = [Session(desk.options) for _ in range(2)]
    with ThreadPoolExecutor(3) as pool:
        working = pool.submit(work)
        try:
            rounds = list(pool.map(partial(one_round, raw_days=30, history_days=60), others))
        finally:
            stop.set()
        working.result()
    for other in others:
        other.close()
    last = one_round(session, raw_days=30, history_days=60)
    assert sum(one.deleted["inbox"] for one in [*rounds, last]) in {11, 12}, "the one that waited may have been done"
    dropped = [name for one in [*rounds, last] for name in one.dropped]
    assert len(dropped) == len(set(dropped)) > 5
    assert set(ids_in(desk, "inbox", "id")) | {stay[0]} == {*stay, *accepted}
    assert ids_in(desk, "inbox", "id") == ids_in(desk, "inbox_state")
    desk.ledger()


def test_a_partition_that_another_clock_took_off_is_no_error(desk, session):
    """Each transaction looks whether it is still there."""
    with session.connection() as connection:
        made = partition_retention.PartitionRetention(lambda: connection)
        for table, parts, days in (("inbox", made.inbox(30), 30), ("messages", made.messages(60), 60)):
            with connection.transaction():
                first, second, *_ = partitions.old(connection, table, days)
                next(parts)
            for taken in (first, second):
                desk.execute(f"DROP TABLE {taken.name}")
            for _ in range(20):
                with connection.transaction():
                    next(parts, None)
            assert {first.name, second.name}.isdisjoint(made.dropped)
            assert partitions.old(connection, table, days) == []


def test_an_erase_reaches_every_partition(desk, command: CommandLine):
    """Months of the history and weeks of the inbox, the default ones too; rows at the same place of several tables."""
    phone = "+49 171 9876501"
    for days in (170, 100, 40, 0):
        received(desk, days, 2, text=f"he has {phone}")
    desk.run_through()
    desk.execute(
        "UPDATE messages SET received_at = received_at - interval '900 days' WHERE seq = 1; "
        "UPDATE inbox SET received_at = received_at - interval '900 days' WHERE id = 1"
    )
    assert len(places(desk, "messages")) == 5
    assert len(places(desk, "inbox")) >= 3
    others = "SELECT text FROM messages ORDER BY seq"
    said = desk.rows(others)
    command.done("customers", "erase", "--phone", phone, "--reason", "asked", "--yes")
    assert [text.replace("[erased]", phone) for (text,) in desk.rows(others)] == [text for (text,) in said]
    assert desk.value("SELECT count(*) FROM messages WHERE text LIKE '%%9876501%%'") == 0
    assert desk.value("SELECT count(*) FROM inbox WHERE message::text LIKE '%%9876501%%'") == 0

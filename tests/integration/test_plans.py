"""Which index hot statements read by, planned as workers plan them: without values, whatever the statistics say."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from crm_store.queries import Queries
from tests.pipeline import Desk, drain, text_message

pytestmark = pytest.mark.integration


@pytest.fixture
def desk(database_url) -> Iterator[Desk]:
    """Where everything was done when statistics were taken, and then a lot came in."""
    with Desk(database_url) as made:
        made.open_channel("desk", ["telegram"])
        made.accept(*(text_message("telegram", n, "hello") for n in range(500)))
        drain(made, made.worker())
        made.execute("VACUUM (ANALYZE)")
        yield made


def indexes_of(desk: Desk, aggregate: str, name: str) -> dict[str, str]:
    """The indexes that a statement's generic plan reads, each with the condition that bounds it."""
    options = replace(desk.options, by_index=True)
    places: dict[str, int] = {}
    text = re.sub(
        r"%\((\w+)\)s",
        lambda found: f"${places.setdefault(found[1], len(places) + 1)}",
        Queries(aggregate)[name].replace("%%", "%"),
    )
    with psycopg.connect(options.url, autocommit=True, **options.connection_arguments()) as connection:
        connection.execute(f"PREPARE asked AS {text}")
        values = f"({', '.join(['NULL'] * len(places))})" if places else ""
        row = connection.execute(f"EXPLAIN (FORMAT JSON) EXECUTE asked{values}").fetchone()
    assert row is not None
    return dict(_indexes(row[0]))


def _indexes(part: Any) -> Iterator[tuple[str, str]]:
    if isinstance(part, list):
        for one in part:
            yield from _indexes(one)
    elif isinstance(part, dict):
        if "Index Name" in part:
            yield part["Index Name"], part.get("Index Cond", "")
        for one in part.values():
            yield from _indexes(one)


@pytest.mark.parametrize("name", ["waiting", "count_waiting", "most_passed", "waits_on"])
def test_a_backlog_is_read_by_its_open_channel(desk, name):
    """By the primary key the backlogs of all others would be read on the way to the oldest of one."""
    (place,) = desk.rows("SELECT id FROM open_channels")[0]
    desk.execute(
        "INSERT INTO dialogs (open_channel_id, chat_id, status) SELECT %s, id, 'queued' FROM chats"
        " WHERE NOT EXISTS (SELECT FROM dialogs WHERE chat_id = chats.id AND status <> 'closed')",
        place,
    )
    desk.execute("ANALYZE dialogs")
    of_all = {"dialogs_pkey"} if name == "most_passed" else set()  # some dialogs are given by their ids
    read = indexes_of(desk, "planning", name)
    assert read.keys() == {"dialogs_waiting"} | of_all
    assert re.search(r"open_channel_id = .*status <= 'queued'", read["dialogs_waiting"])


def test_who_is_preferred_is_looked_up_in_his_own_part_of_the_backlog(desk):
    """And of all that prefer somebody, only those who prefer him."""
    read = indexes_of(desk, "planning", "waiting_for")
    assert read.keys() == {"dialogs_waiting_for"}
    assert re.search(r"open_channel_id = .*preferred_id >= .*preferred_id <= ", read["dialogs_waiting_for"])


def test_what_is_pending_in_a_chat_is_read_by_the_chat(desk):
    """By time all that is pending would be read for each chat of a claim."""
    assert indexes_of(desk, "inbox", "pending_of_chats").keys() == {"inbox_state_pending_in_order"}


def test_candidates_are_read_by_time_and_by_name(desk):
    """Whatever the step has to do, a claim reads no more than it may take."""
    read = indexes_of(desk, "inbox", "lock_chats")
    assert read.keys() == {"inbox_state_pkey", "inbox_state_pending", "chats_pkey"}


@pytest.mark.parametrize("name", ["unnoticed", "lock_unnoticed"])
def test_dialogs_of_a_batch_are_read_by_their_ids(desk, name):
    """Not among all that wait."""
    assert indexes_of(desk, "dialogs", name).keys() == {"dialogs_pkey"}


@pytest.mark.parametrize("name", ["lease", "oldest_due"])
def test_the_outbox_is_read_by_time_and_its_chats_by_themselves(desk, name):
    """Whether something of a chat stands before is asked of the chat."""
    assert indexes_of(desk, "outbox", name).keys() >= {"outbox_pending", "outbox_pending_of_chat"}

"""Retention of the event log: what explains closed dialogs goes when it is old; of open ones nothing does."""

from collections.abc import Iterator

import pytest

from crm_store import retention
from crm_store.database import Session
from crm_store.retention import Retention, RetentionOptions
from tests.screens import StreamedDesk

pytestmark = pytest.mark.integration


@pytest.fixture
def desk(database_url: str) -> Iterator[StreamedDesk]:
    """A desk without an API."""
    with StreamedDesk(database_url, instances=0) as made:
        yield made


@pytest.fixture
def session(desk: StreamedDesk) -> Iterator[Session]:
    """The clock's."""
    made = Session(desk.options)
    yield made
    made.close()


def one_round(session: Session, event_days: int | None) -> tuple[dict[str, int], int]:
    """What a round deletes, and in how many commits."""
    kept = Retention(RetentionOptions(raw_days=None, event_days=event_days))
    commits = 0
    while True:
        with session.transaction() as connection:
            goes_on = kept.part(connection)
        if not goes_on:
            return {table: n for table, n in kept.deleted.items() if n}, commits
        commits += 1


def dialog(desk: StreamedDesk, closed_days_ago: float | None) -> int:
    """A dialog whose chat has no other; open if it was not closed."""
    open_channel_id = desk.open_channel()
    ((made,),) = desk.execute(
        "WITH channel AS ("
        "    INSERT INTO channels (key, kind, name, open_channel_id, secrets) "
        "    VALUES (gen_random_uuid()::text, 'custom', 'c', %s, '') RETURNING id"
        "), chat AS (INSERT INTO chats (channel_id, external_id) SELECT id, 'x' FROM channel RETURNING id) "
        "INSERT INTO dialogs (open_channel_id, chat_id, status, closed_at) "
        "SELECT %s, id, (CASE WHEN %s::float IS NULL THEN 'queued' ELSE 'closed' END)::dialog_status, "
        "now() - %s::float * interval '1 day' FROM chat RETURNING id",
        *(open_channel_id, open_channel_id, closed_days_ago, closed_days_ago),
    )
    return int(made)


def explain(desk: StreamedDesk, dialog_ids: list[int | None], days_ago: float) -> None:
    """A plan that decided about these, and their events; None: an operator came."""
    ((plan_id,),) = desk.execute(
        "INSERT INTO plans (open_channel_id, at, ineligible) VALUES (1, now() - %s * interval '1 day', '{}') "
        "RETURNING id",
        days_ago,
    )
    for dialog_id in dialog_ids:
        desk.execute(
            "INSERT INTO events (dialog_id, at, actor, cause) "
            "VALUES (%s, now() - %s * interval '1 day', 'system', 'x')",
            *(dialog_id, days_ago),
        )
        if dialog_id is not None:
            desk.execute(
                "INSERT INTO decisions (dialog_id, at, rule, candidates, plan_id) "
                "VALUES (%s, now() - %s * interval '1 day', 'D2', '{}', %s)",
                *(dialog_id, days_ago, plan_id),
            )


def left(desk: StreamedDesk) -> tuple[list[tuple[int, float]], int, int]:
    """Events with their ages, the number of decisions, and of plans."""
    found = desk.execute("SELECT dialog_id, round(extract(epoch FROM now() - at) / 86400)::int FROM events ORDER BY id")
    ((decisions, plans),) = desk.execute("SELECT (SELECT count(*) FROM decisions), (SELECT count(*) FROM plans)")
    return [(row[0], row[1]) for row in found], decisions, plans


def test_events_of_closed_dialogs_go_and_of_open_ones_stay(desk: StreamedDesk, session: Session) -> None:
    """S1, D12: with decisions and plans; for ever by default; a plan stays while it explains anything."""
    old, recent, still_open, erased = dialog(desk, 40), dialog(desk, 10), dialog(desk, None), 4711
    explain(desk, [old, None, erased], 50)
    explain(desk, [recent, still_open, old], 50)
    explain(desk, [old, None], 20)
    before = left(desk)
    assert one_round(session, None)[0] == {}
    assert one_round(session, 60)[0] == {}
    assert left(desk) == before
    assert one_round(session, 30)[0] == {"events": 4, "decisions": 3, "plans": 1}
    assert left(desk) == ([(recent, 50), (still_open, 50), (old, 20), (None, 20)], 3, 2)
    desk.execute("UPDATE dialogs SET status = 'closed', closed_at = now() - interval '31 days'")
    assert one_round(session, 30)[0] == {"events": 2, "decisions": 2, "plans": 1}
    assert one_round(session, 30)[0] == {}


def test_it_goes_in_parts_past_what_stays(
    desk: StreamedDesk, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each part in a commit of its own; the walk ends where nothing is old."""
    monkeypatch.setattr(retention, "ITEMS_AT_ONCE", 2)
    closed, still_open = dialog(desk, 40), dialog(desk, None)
    for _ in range(4):
        explain(desk, [closed, still_open, still_open], 35)
    explain(desk, [closed], 1)
    deleted, commits = one_round(session, 30)
    assert deleted == {"events": 4, "decisions": 4}
    assert commits > 12
    assert len(left(desk)[0]) == 9


def test_what_others_hold_is_left_to_the_next_round(desk: StreamedDesk, session: Session) -> None:
    """An erase deletes the same rows in another order: neither waits for the other in a circle."""
    closed = dialog(desk, 40)
    explain(desk, [closed, closed], 50)
    holder = Session(desk.options)
    with holder.transaction() as connection:
        connection.execute("SELECT FROM events WHERE id = (SELECT min(id) FROM events) FOR UPDATE")
        connection.execute("SELECT FROM decisions WHERE id = (SELECT min(id) FROM decisions) FOR UPDATE")
        assert one_round(session, 30)[0] == {"events": 1, "decisions": 1}
    holder.close()
    assert one_round(session, 30)[0] == {"events": 1, "decisions": 1, "plans": 1}


def test_a_part_reads_along_the_keys(desk: StreamedDesk, session: Session) -> None:
    """However long the log is."""
    closed = dialog(desk, 40)
    for table, columns in {"events": "actor, cause", "decisions": "rule, candidates"}.items():
        desk.execute(
            f"INSERT INTO {table} (dialog_id, at, {columns}) "
            "SELECT %s, now(), '{}', '{}' FROM generate_series(1, 20000)",
            closed,
        )
    desk.execute("INSERT INTO dialogs (open_channel_id, chat_id, status) SELECT open_channel_id, chat_id, 'closed' "
                 "FROM dialogs, generate_series(1, 20000)")  # fmt: skip
    desk.execute("INSERT INTO plans (open_channel_id, ineligible) SELECT 1, '{}' FROM generate_series(1, 20000)")
    desk.execute("ANALYZE")
    with session.transaction() as connection:
        for query in ("forget_events", "forget_decisions", "old_plans"):
            parameters = {"days": 30, "after": 10_000, "limit": 500}
            rows = connection.execute("EXPLAIN " + retention._SQL[query], parameters).fetchall()
            plan = "\n".join(row[0] for row in rows)
            assert "Seq Scan" not in plan, plan

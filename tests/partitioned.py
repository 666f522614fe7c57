"""A desk that has run for a while: partitions of the past, and messages in them."""

from datetime import datetime

from crm_store import inbox
from crm_store.database import Session
from crm_store.retention import Retention, RetentionOptions
from tests.pipeline import Desk, text_message

WEEKS = 12
MONTHS = 6


def with_a_past(desk: Desk) -> None:
    """Partitions of the last weeks and months, in place of the one that begins with time. The desk is empty."""
    for table, unit, n, named in (
        ("inbox", "week", WEEKS, '"inbox_"YYYY_MM_DD'),
        ("messages", "month", MONTHS, '"messages_"YYYY_MM'),
    ):
        desk.execute(f"ALTER TABLE {table} DETACH PARTITION {table}_first")
        desk.execute(f"DROP TABLE {table}_first")
        for name, begins, ends in desk.rows(
            "SELECT to_char(at, %s), at AT TIME ZONE 'UTC', (at + ('1 ' || %s)::interval) AT TIME ZONE 'UTC' "
            "FROM generate_series(0, %s) AS n, LATERAL (SELECT date_trunc(%s, now() AT TIME ZONE 'UTC') "
            "- n * ('1 ' || %s)::interval) AS earlier (at) WHERE to_regclass(to_char(at, %s)) IS NULL",
            *(named, unit, n, unit, unit, named),
        ):
            desk.execute(f"CREATE TABLE {name} PARTITION OF {table} FOR VALUES FROM ('{begins}') TO ('{ends}')")


def names_of(desk: Desk, table: str) -> list[str]:
    """Names of a table's partitions, the oldest first; the default one is the last."""
    return [
        name
        for (name,) in desk.rows(
            "SELECT inhrelid::regclass::text FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
            "WHERE inhparent = %s::regclass ORDER BY relname LIKE '%%kept', relname",
            table,
        )
    ]


def places(desk: Desk, table: str) -> dict[str, int]:
    """How many rows each partition has; those with none are left out."""
    return dict(desk.rows(f"SELECT tableoid::regclass::text, count(*) FROM {table} GROUP BY 1"))


def days_ago(desk: Desk, days: float) -> datetime:
    """By PostgreSQL's clock."""
    return desk.value("SELECT now() - %s * interval '1 day'", days)  # type: ignore[no-any-return]


def received(desk: Desk, days: float, n: int, chat: int = 1, text: str = "hello") -> list[int]:
    """Messages of a chat that came in so many days ago; not worked on yet."""
    items = [desk.item(text_message("telegram", chat, f"{text} {m}")) for m in range(n)]
    at = days_ago(desk, days)
    with desk.session.transaction() as connection:
        ids = inbox.accept(connection, items, at.date(), at)
    return [inbox_id for inbox_id in ids if inbox_id is not None]


def one_round(session: Session, **days: int | None) -> Retention:
    """A whole round of retention."""
    made = Retention(RetentionOptions(**days))
    while True:
        with session.transaction() as connection:
            if not made.part(connection):
                return made

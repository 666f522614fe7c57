"""Steps find rows by index, whatever PostgreSQL thinks of a table."""

import pytest

from crm_store.database import DatabaseOptions, Session
from crm_store.queries import Queries

pytestmark = pytest.mark.integration

CARD_IDS = list(range(1, 300))


@pytest.mark.parametrize("by_index", [True, False])
def test_a_table_without_statistics_is_not_read_whole(database_url, by_index):
    """The planner takes a fresh table for a small one, and a plan that reads it whole for each card for cheap."""
    options = DatabaseOptions(database_url, "test", by_index=by_index)
    with Session(options).transaction() as connection:
        connection.execute("INSERT INTO cards (type) SELECT 'lead' FROM generate_series(1, 300)")
        connection.execute(
            "INSERT INTO card_identifiers (card_id, kind, key, chat_id, value, written, evidence, given_at)"
            " SELECT id, 'phone', id::text, id, '', '', 'typed', now() FROM cards"
        )
        rows = connection.execute(f"EXPLAIN {Queries('cards')['details']}", {"card_ids": CARD_IDS}).fetchall()
    assert any("Seq Scan" in line for (line,) in rows) is not by_index

"""Lists reach PostgreSQL as arrays, exactly as psycopg's own way of writing them would."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_store.arrays import CONTEXT

pytestmark = pytest.mark.integration


class Colour(StrEnum):
    """A text of a kind of its own."""

    RED = 'red, \\ "dark"'


Connections = tuple[psycopg.Connection[Any], psycopg.Connection[Any]]


@pytest.fixture
def connections(postgres_server: str) -> Iterator[Connections]:
    """Ours and psycopg's."""
    with (
        psycopg.connect(postgres_server, autocommit=True, context=CONTEXT) as ours,
        psycopg.connect(postgres_server, autocommit=True) as theirs,
    ):
        yield ours, theirs


LISTS = [
    ("bigint", st.lists(st.none() | st.integers(-(2**63), 2**63 - 1))),
    ("text", st.lists(st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))),
    ("bytea", st.lists(st.none() | st.binary())),
    ("boolean", st.lists(st.none() | st.booleans())),
    ("float8", st.lists(st.none() | st.floats(allow_nan=False))),
    ("date", st.lists(st.none() | st.dates())),
    ("timestamptz", st.lists(st.none() | st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC)))),  # noqa: DTZ001
]


@pytest.mark.parametrize(("kind", "lists"), LISTS, ids=[kind for kind, _ in LISTS])
def test_what_is_sent_comes_back(connections: Connections, kind: str, lists: st.SearchStrategy[list[Any]]) -> None:
    """Over our dumper as over psycopg's."""

    @given(sent=lists)
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    def check(sent: list[Any]) -> None:
        ours, theirs = (c.execute(f"SELECT %s::{kind}[]", [sent]).fetchone() for c in connections)
        assert ours == (sent,)
        assert ours == theirs

    check()


@pytest.mark.parametrize(
    "sent",
    [
        ["", "null", "NULL", "{", "}", ",", " ", '"', "\\", "\\\\", "\t\n", "a,b", '{"a": "b\\n"}', None],
        [Colour.RED, None],
        [[1, 2], [3, 4]],
        [["a", None], ["{", '"']],
        [],
        [None, None],
        [date(2026, 1, 2)],
    ],
)
def test_what_arrays_escape(connections: Connections, sent: list[Any]) -> None:
    """Everything that means something within an array, and lists that are left to psycopg."""
    ours, theirs = (c.execute("SELECT %s::text[]", [sent]).fetchone() for c in connections)
    assert ours == theirs


@pytest.mark.parametrize(("sent", "error"), [(["a\0"], psycopg.DataError), (["\ud800"], UnicodeEncodeError)])
def test_what_postgresql_cannot_keep(connections: Connections, sent: list[str], error: type[Exception]) -> None:
    """Refused before it is sent, with psycopg's own errors."""
    for connection in connections:
        with pytest.raises(error):
            connection.execute("SELECT %s::text[]", [sent])

"""Who waits for a group commit: callers of several event loops, cancelled ones, and ones whose loop is gone."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import cast

import pytest

from crm_store.database import DatabaseOptions, Session
from crm_store.errors import DatabaseAwayError
from crm_store.inbox import NewItem
from ingest.accept import Accepted, AcceptOptions, Acceptor

pytestmark = pytest.mark.unit


class Counting(Acceptor):
    """Commits nowhere: gives each item the number that it came in with. `away`: PostgreSQL is not there."""

    def __init__(self) -> None:
        options = AcceptOptions(window=0.02)
        super().__init__(Session(DatabaseOptions("", "test")), lambda _: None, options)
        self.groups: list[int] = []
        self.away = False
        self.go_on = threading.Event()
        self.go_on.set()

    def _insert(self, items: Sequence[NewItem]) -> Accepted:
        self.go_on.wait(5)
        if self.away:
            raise DatabaseAwayError("away")
        self.groups.append(len(items))
        return [item.channel_id for item in items]


@pytest.fixture
def acceptor() -> Iterator[Counting]:
    """Running."""
    made = Counting()
    made.start()
    yield made
    made.close()


def item(number: int) -> NewItem:
    """A message."""
    return NewItem(number, b"key", datetime.now(UTC), b"{}")


def test_callers_of_several_event_loops(acceptor: Counting) -> None:
    """Each gets its own answer, in its own loop."""

    def ask(first: int) -> list[int]:
        async def many() -> list[Accepted]:
            return list(await asyncio.gather(*(acceptor.accept([item(first + n)]) for n in range(20))))

        return [cast(int, number) for (number,) in asyncio.run(many())]

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(ask, [0, 100, 200, 300]))
    assert answers == [list(range(first, first + 20)) for first in (0, 100, 200, 300)]
    assert len(acceptor.groups) < 80


def test_a_cancelled_caller_stops_nobody(acceptor: Counting) -> None:
    """Its items are committed, and its neighbours are answered."""
    acceptor.go_on.clear()

    async def two() -> Accepted:
        given_up = asyncio.create_task(acceptor.accept([item(1)]))
        waiting = asyncio.create_task(acceptor.accept([item(2)]))
        await asyncio.sleep(0.1)
        given_up.cancel()
        await asyncio.sleep(0)
        acceptor.go_on.set()
        answer = await asyncio.wait_for(waiting, 5)
        assert given_up.cancelled()
        return answer

    assert asyncio.run(two()) == [2]
    assert sum(acceptor.groups) == 2
    assert asyncio.run(acceptor.accept([item(3)])) == [3]


def test_a_closed_loop_stops_nobody(acceptor: Counting) -> None:
    """Who waited in it is gone; the thread goes on."""
    acceptor.go_on.clear()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(acceptor.accept([item(1)]), 0.1)

    asyncio.run(give_up())
    acceptor.go_on.set()
    assert asyncio.run(acceptor.accept([item(2)])) == [2]
    assert sum(acceptor.groups) == 2


def test_every_caller_learns_that_the_database_is_away(acceptor: Counting) -> None:
    """Each with an error of its own."""
    acceptor.away = True

    async def many() -> list[Accepted | BaseException]:
        return list(await asyncio.gather(*(acceptor.accept([item(n)]) for n in range(3)), return_exceptions=True))

    errors = asyncio.run(many())
    assert all(isinstance(error, DatabaseAwayError) for error in errors)
    assert len(set(map(id, errors))) == 3

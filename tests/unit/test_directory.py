"""The channels by key: kept in memory, read again now and then, stale rather than away."""

import asyncio
from types import SimpleNamespace

import pytest

from crm_store.errors import DatabaseAwayError
from ingest import directory as directory_module
from ingest.directory import MAX_AGE, MISS_INTERVAL, ChannelDirectory
from tracker.channels import Channel

pytestmark = pytest.mark.unit


def channel(key: str, *, account: str = "", secrets: tuple[str, ...] = ("s",), active: bool = True) -> Channel:
    return Channel(1, key, "whatsapp", key, 1, account_id=account, secrets=secrets, active=active)


class Store:
    """The channels of a database that may be away; counts the reads."""

    def __init__(self, *channels: Channel) -> None:
        self.channels = list(channels)
        self.away = False
        self.reads = 0

    def read(self) -> list[Channel]:
        self.reads += 1
        if self.away:
            raise DatabaseAwayError("away")
        return list(self.channels)


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """The directory's clock, set by hand."""
    now = [100.0]
    monkeypatch.setattr(directory_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def find(directory: ChannelDirectory, key: str) -> Channel | None:
    return asyncio.run(directory.find(key))


def test_channels_are_read_once_and_again_when_they_are_old(clock):
    """A change of the desk shows within MAX_AGE; in between there is no query."""
    store = Store(channel("a"))
    directory = ChannelDirectory(store.read)
    for _ in range(5):
        assert find(directory, "a") is not None
    assert store.reads == 1
    store.channels = [channel("a", active=False)]
    assert find(directory, "a") is not None
    clock[0] += MAX_AGE + 0.1
    assert find(directory, "a") is None, "an inactive channel is unknown"
    assert store.reads == 2


def test_a_new_channel_is_found_at_once(clock):
    """An unknown key is looked for again, before MAX_AGE."""
    store = Store(channel("a"))
    directory = ChannelDirectory(store.read)
    find(directory, "a")
    store.channels.append(channel("b"))
    clock[0] += MISS_INTERVAL + 0.1
    assert find(directory, "b") is not None


def test_a_stranger_who_guesses_keys_costs_no_query_each(clock):
    """Misses are bounded: one read per MISS_INTERVAL."""
    store = Store(channel("a"))
    directory = ChannelDirectory(store.read)
    for n in range(1000):
        assert find(directory, f"guess-{n}") is None
        clock[0] += 0.003
    assert store.reads <= 4


def test_with_postgresql_away_it_goes_on_with_what_it_has(clock):
    """Stale on away, and no try for each request; read again later."""
    store = Store(channel("a"))
    directory = ChannelDirectory(store.read)
    find(directory, "a")
    store.away = True
    clock[0] += MAX_AGE + 0.1
    for _ in range(10):
        assert find(directory, "a") is not None
    assert store.reads == 2
    store.away = False
    store.channels = [channel("a", account="new")]
    clock[0] += MAX_AGE + 0.1
    found = find(directory, "a")
    assert found is not None
    assert found.account_id == "new"


def test_never_read_is_away_not_unknown(clock):
    """503, not 404: the provider has to come again."""
    store = Store(channel("a"))
    store.away = True
    directory = ChannelDirectory(store.read)
    with pytest.raises(DatabaseAwayError):
        find(directory, "a")
    store.away = False
    assert find(directory, "a") is not None


def test_concurrent_requests_read_once(clock):
    """At the start all of them wait for one read."""
    store = Store(channel("a"))
    directory = ChannelDirectory(store.read)

    async def all_at_once() -> list[Channel | None]:
        return await asyncio.gather(*(directory.find("a") for _ in range(50)))

    assert all(asyncio.run(all_at_once()))
    assert store.reads == 1


@pytest.mark.parametrize(
    ("other", "found"),
    [
        pytest.param(channel("b", account="2", secrets=("new", "s")), True, id="common secret"),
        pytest.param(channel("b", account="2", secrets=("x",)), False, id="another secret"),
        pytest.param(channel("b", account="2", secrets=()), False, id="no secret"),
        pytest.param(channel("b", account="3"), False, id="another account"),
        pytest.param(channel("b", account="2", active=False), False, id="inactive"),
        pytest.param(Channel(1, "b", "telegram", "b", 1, account_id="2", secrets=("s",)), False, id="another kind"),
    ],
)
def test_another_accounts_events_need_a_common_secret(other, found):
    """Else whoever has one channel's secret could write into another channel."""
    origin = channel("a", account="1")
    directory = ChannelDirectory(Store(origin, other).read)
    find(directory, "a")
    assert (directory.of_account(origin, "2") is not None) is found

"""The verdict notices each guarantee that is broken on purpose, and finds nothing where none is."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos import load
from chaos.balance import problems
from chaos.channel_api import ChannelApi
from chaos.failpoints import pairs
from chaos.mutations import MUTATIONS
from chaos.record import Record
from tests.acceptance.shaken import AFTER_CLAIM, IN_BIND_CHAT, ON_RECEPTION, gather, work_off
from tests.plugins.servers import create_database, drop_database, of_database

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

GATHERED = f"openchannel_gathered_{os.getpid()}"
MORTAL = {"CHAOS_KILL_BETWEEN": IN_BIND_CHAT}
STOPPED = {"CHAOS_STOP_BETWEEN": AFTER_CLAIM}


@pytest.fixture(scope="module", autouse=True)
def _poison_comes_first() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load, "PLANTED_WITHIN", 0.5)
        yield


@pytest.fixture(scope="module")
def gathered(
    postgres_server: str, migrated_template: str, valkey_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Record]:
    """The database GATHERED, in which messages wait, and what was sent."""
    create_database(postgres_server, GATHERED, migrated_template)
    try:
        yield gather(tmp_path_factory.mktemp("gathered"), of_database(postgres_server, GATHERED), valkey_server)
    finally:
        drop_database(postgres_server, GATHERED)


@pytest.fixture
def waiting(postgres_server: str, gathered: Record) -> Iterator[str]:
    """URL of a copy of it."""
    name = f"{GATHERED}_copy"
    create_database(postgres_server, name, GATHERED)
    try:
        yield of_database(postgres_server, name)
    finally:
        drop_database(postgres_server, name)


def says(found: list[str], told: str) -> bool:
    """Whether one of the problems is this one; others may follow from it."""
    return any(problem.startswith(told) for problem in found)


def test_without_a_mutation_everything_balances(tmp_path: Path, waiting: str, broker_url: str, gathered: Record):
    """Web and worker die as they do below, another with a task in its hands, one message kills: nothing is wrong."""
    workers = {"worker-1": MORTAL, "worker-2": {"CHAOS_KILL_BETWEEN": ON_RECEPTION}}
    assert work_off(tmp_path, waiting, broker_url, gathered, first_lives=workers, poisoned=True) == []
    effects = {(process, after) for process, _, after in pairs([tmp_path / "trace"])}
    assert effects > {("worker", "receive/request"), ("worker", "deliver/call"), ("clock", "sweep/publish:crm_lookup")}


def test_a_stopped_worker_does_nothing_twice(tmp_path: Path, waiting: str, broker_url: str, gathered: Record):
    """Without a mutation those of its chats wait for it, and nothing is wrong then."""
    workers = {"worker-1": STOPPED, "worker-2": {}}
    assert work_off(tmp_path, waiting, broker_url, gathered, first_lives=workers) == []


def test_a_clock_that_does_not_sweep_is_noticed(tmp_path: Path, waiting: str, broker_url: str, gathered: Record):
    """The broker was wiped: what waits there waits for ever, and is in no history."""
    found = work_off(tmp_path, waiting, broker_url, gathered, "no_sweeper")
    assert says(found, "pending is ")
    assert says(found, "answered 2xx, and not in the history"), found


def test_an_answer_before_the_commit_is_noticed(tmp_path: Path, database_url: str, broker_url: str):
    """The web process dies before it commits what it has answered: those messages are nowhere."""
    record = gather(tmp_path, database_url, broker_url, "publish_before_commit", killers=0)
    with ChannelApi() as api:
        found = problems(database_url, record, api)
    assert says(found, "answered 2xx, and not in the inbox"), found


def test_a_claim_without_condition_is_noticed(tmp_path: Path, waiting: str, broker_url: str, gathered: Record):
    """Two workers do the same, the second of them late: it is counted twice."""
    workers = {"worker-1": STOPPED, "worker-2": {}}
    found = work_off(tmp_path, waiting, broker_url, gathered, "claim_without_condition", workers)
    assert says(found, "the ledger does not balance"), found


def test_an_early_ack_is_noticed(tmp_path: Path, waiting: str, broker_url: str, gathered: Record):
    """A worker dies between letting go and doing it: done, says the inbox, and the history knows nothing."""
    found = work_off(tmp_path, waiting, broker_url, gathered, "ack_early", {"worker": MORTAL})
    assert says(found, "answered 2xx, and not in the history"), found


def test_a_crash_that_counts_against_all_is_noticed(tmp_path: Path, waiting: str, broker_url: str, gathered: Record):
    """Whoever stood beside the message that kills is dead with it: here all who have waited."""
    found = work_off(tmp_path, waiting, broker_url, gathered, "crash_counted_against_all", poisoned=True, batch=500)
    assert says(found, "dead, and not poison"), found


def test_each_mutation_is_here():
    """None is left out."""
    asked_for = Path(__file__).read_text()
    assert [name for name in MUTATIONS if f'"{name}"' not in asked_for] == []

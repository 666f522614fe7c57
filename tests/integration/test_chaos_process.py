"""The product's processes as chaos runs them: clocks that are off, poison, and what is refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.poison import KILLS, RAISES
from chaos.poisoned import poisoned
from config.topology import Step
from tests.acceptance.system import API_TOKEN, SECRET_KEY
from tests.pipeline import Desk, text_message
from worker.handlers import HANDLERS
from worker.runner import Limits

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

A_DAY = 86_400

ITS_CLOCK = """
import sys, time
from chaos.process import prepare
prepare("web", {"CHAOS_CLOCK_OFFSET": sys.argv[1]})
from datetime import UTC, datetime
from time import time as imported_later
from celery.utils import time as celerys
import pydantic
now = datetime.now(UTC)
assert type(now) is datetime and now.tzinfo is UTC
assert pydantic.TypeAdapter(datetime).validate_python(now) is now
clocks = [time.time(), time.time_ns() / 1e9, imported_later(), now.timestamp(), datetime.now().astimezone().timestamp(),
          datetime.utcnow().replace(tzinfo=UTC).timestamp(), datetime.today().astimezone().timestamp()]
print(*clocks)
"""

A_MESSAGE = """
import sys
from pathlib import Path
from chaos.process import prepare
prepare("web", {"CHAOS_CLOCK_OFFSET": sys.argv[1]})
from cli.composition import process_settings
from tests.mortal_pipeline import Pipeline
pipeline = Pipeline(process_settings("test"), Path(sys.argv[2]), Path(sys.argv[3]))
pipeline.post(1)
pipeline.go_through()
"""

OF_THE_PROVIDERS_TIME = {
    ("cards", "created_at"),
    ("card_identifiers", "given_at"),
    ("messages", "sent_at"),
}
"""Columns that hold when a web process received a message, by its own clock."""


def run(code: str, *arguments: object, **environment: str) -> str:
    """What a Python of its own prints."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return done.stdout


@pytest.mark.parametrize("offset", [-A_DAY, 3600])
def test_all_wall_clocks_of_a_process_are_off(offset: int):
    """By as much as is asked for, whoever imports them afterwards; a datetime stays a datetime."""
    import time

    before = time.time()
    clocks = [float(clock) for clock in run(ITS_CLOCK, offset).split()]
    after = time.time()
    assert len(clocks) == 7
    assert all(before - 1 < clock - offset < after + 1 for clock in clocks)


@pytest.mark.parametrize("offset", [-A_DAY, A_DAY])
def test_the_databases_clock_counts(tmp_path: Path, database_url: str, broker_url: str, offset: int):
    """A process a day off takes a message to its end; only when it came in is told by its clock."""
    with Desk(database_url) as desk:
        desk.open_channel("desk", ["custom"], [desk.operator("Ann")], mark_unanswered_after=300)
        run(
            A_MESSAGE,
            *(offset, tmp_path / "trace", tmp_path / "fired"),
            OPENCHANNEL_DATABASE__URL=database_url,
            OPENCHANNEL_BROKER__URL=broker_url,
            OPENCHANNEL_SECRET_KEY=SECRET_KEY,
            OPENCHANNEL_API_TOKEN=API_TOKEN,
        )
        assert desk.ledger().done == 1
        assert desk.value("SELECT count(*) FROM dialogs WHERE operator_id IS NOT NULL") == 1
        assert desk.value("SELECT count(*) FROM timers") > 0
        columns = desk.rows(
            "SELECT table_name, column_name FROM information_schema.columns"
            " JOIN pg_class ON relname = table_name AND NOT relispartition AND relnamespace = 'public'::regnamespace"
            " WHERE table_schema = 'public' AND data_type = 'timestamp with time zone'"
        )
        far = f"SELECT count(*) FROM {{}} WHERE abs(extract(epoch FROM {{}} - now())) > {A_DAY // 2}"
        off = {(table, column) for table, column in columns if desk.value(far.format(table, column))}
        assert off == OF_THE_PROVIDERS_TIME


def test_poison_that_raises_is_a_dead_letter_and_its_neighbours_are_not(database_url: str):
    """bind_chat fails with it alone in the end, and nothing of it is kept."""
    with Desk(database_url) as desk:
        desk.open_channel("desk", ["custom"])
        worker = desk.worker({Step.BIND_CHAT: poisoned(HANDLERS[Step.BIND_CHAT])}, Limits(retry_for=0.0))
        messages = [text_message("custom", chat, f"message {chat}") for chat in range(5)]
        desk.run_through(*messages, text_message("custom", 9, f"{RAISES} 1"), worker=worker)
        assert desk.rows("SELECT step, reason FROM dead_letters") == [("bind_chat", "poison")]
        assert desk.value("SELECT count(*) FROM messages") == 5
        assert desk.ledger().done == 5


def test_the_poisons_are_two():
    """Neither is part of the other: each does what it says."""
    assert KILLS not in RAISES
    assert RAISES not in KILLS


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["worm"], {}, "web|worker|clock"),
        ([], {}, "web|worker|clock"),
        (["clock"], {"CHAOS_MUTATION": "no_sleeper"}, "there is no 'no_sleeper', but no_sweeper"),
        (["clock"], {}, "OPENCHANNEL_DATABASE__URL: must be set"),
    ],
)
def test_it_is_the_command_or_says_why_not(
    arguments: list[str], environment: dict[str, str], said: str, tmp_path: Path
):
    """A process that would not do what it is asked for does not start; without anything asked for it is the product."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENCHANNEL_", "CHAOS_"))}
    done = subprocess.run(
        [sys.executable, "-m", "chaos.process", *arguments],
        cwd=tmp_path,
        env={**kept, "PYTHONPATH": str(Path(__file__).parents[2]), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert said in done.stderr

"""A replay outlives the clocks that drive it: they are killed in mid-replay, and nothing is lost or done twice."""

from pathlib import Path

import pytest

from crm_store.replays import Pace
from tests.acceptance.system import System, wait_until
from tests.pipeline import Desk
from tests.replays import ask, outcomes, replay_row, slice_of, unreadable

pytestmark = pytest.mark.acceptance

LETTERS = 60


def test_clocks_that_are_killed_in_mid_replay_lose_nothing(tmp_path: Path, database_url: str, broker_url: str) -> None:
    """kill -9, again and again, of whichever clock there is: every letter goes through once."""
    with Desk(database_url) as desk:
        desk.open_channel("desk", ["telegram"], [desk.operator("ann")])
        for number in range(LETTERS):
            unreadable(desk, slice_of(desk, "telegram", number % 20, f"message {number}"))
        with System(tmp_path, database_url, broker_url, workers=1) as system:
            replay_id = ask(desk, Pace(rate=20.0, canary=3))
            clock = "clock"
            for number, ended in enumerate((5, 30)):
                wait_until(lambda: sent(desk) >= ended, f"{ended} letters are sent")  # noqa: B023  called at once
                system.kill(clock)
                clock = f"clock-{number}"
                system.start(clock)
            wait_until(lambda: desk.value("SELECT state FROM replays") == "done", "the replay is done")
            ledger = system.drained()
            assert (ledger.done, ledger.dead) == (LETTERS, 0)
        assert replay_row(desk, replay_id)["done"] == LETTERS
        assert set(outcomes(desk, replay_id)) == {("done", "done")}
        assert desk.value("SELECT count(*) FROM messages WHERE direction = 'in'") == LETTERS
        assert desk.value("SELECT count(DISTINCT inbox_id) FROM messages WHERE direction = 'in'") == LETTERS
        assert desk.value("SELECT count(*) FROM dead_letter_acts") == LETTERS, "each was put back once"
        history = "SELECT array_agg(inbox_id ORDER BY seq) FROM messages WHERE direction = 'in' GROUP BY chat_id"
        assert all(ids == sorted(ids) for (ids,) in desk.rows(history)), "each history is in order"


def sent(desk: Desk) -> int:
    """Letters that have left."""
    return int(desk.value("SELECT count(*) FROM replay_items WHERE state <> 'waiting'"))

"""When a trial is not made: the desk is busy, knows the messages, or its operators cannot come."""

import os
from pathlib import Path
from typing import Any

import pytest

from cli.load.embedded import _apart
from loadgen import trial
from loadgen.driving.api import LoadError, Mark
from loadgen.streams.desk import desk_of
from loadgen.streams.making import make_stream
from loadgen.trial import Target, play

pytestmark = pytest.mark.unit

TARGET = Target("http://127.0.0.1:1", "token", desk_of(1))
STREAM = make_stream(1, "steady", 10, 1)


class Api:
    """A desk's API with so much pending."""

    def __init__(self, pending: int) -> None:
        self._ledger = {"accepted": 9, "done": 9, "ignored": 0, "dead": 0, "discarded": 0, "pending": pending}

    def __call__(self, *_: object) -> "Api":
        return self

    def __enter__(self) -> "Api":
        return self

    def __exit__(self, *_: object) -> None: ...

    def mark(self) -> Mark:
        """Nothing of the test yet."""
        return Mark(0, 0, 0, self._ledger)


def test_a_busy_desk_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What others have to do would be measured, and judged."""
    monkeypatch.setattr(trial, "DeskApi", Api(pending=3))
    with pytest.raises(LoadError, match="3 items to do"):
        play(TARGET, STREAM, lambda _: None)


def test_operators_who_cannot_come_end_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first message is sent: fairness is judged among people who are there."""
    monkeypatch.setattr(trial, "DeskApi", Api(pending=0))
    monkeypatch.setattr(trial, "ONLINE_WITHIN", 0.3)
    with pytest.raises(LoadError, match="operators of the load desk cannot come online"):
        play(TARGET, STREAM, lambda _: None)


def test_held_workers_go_on_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drain that cannot begin leaves no worker stopped."""
    held: list[bool] = []
    target = Target("http://127.0.0.1:1", "token", desk_of(1), hold=held.append)
    monkeypatch.setattr(trial, "DeskApi", Api(pending=3))
    with pytest.raises(LoadError):
        trial.drain(target, STREAM, lambda _: None)
    assert held == [True, False]


def test_a_private_system_has_settings_of_its_own(monkeypatch: Any, tmp_path: Path) -> None:
    """Neither the environment's servers nor a `.env`; how many workers run is asked for, and afterwards all is back."""
    monkeypatch.setenv("OPENCHANNEL_DATABASE__URL", "postgresql://production/")
    monkeypatch.setenv("OPENCHANNEL_WORKER__PROCESSES", "3")
    before, here = dict(os.environ), Path.cwd()
    with _apart(tmp_path):
        assert "OPENCHANNEL_DATABASE__URL" not in os.environ
        assert os.environ["OPENCHANNEL_WORKER__PROCESSES"] == "3"
        assert Path.cwd() == tmp_path.resolve()
    assert (dict(os.environ), Path.cwd()) == (before, here)

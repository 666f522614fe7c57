"""The commands of `openchannel load`: what they refuse, what they write, and with what they end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from typer.testing import CliRunner

from cli.load import testing
from cli.load.group import load
from cli.refusals import RefusedError
from config.settings import SettingsError
from loadgen.report_data import Finding, Report, Verdict
from loadgen.streams.desk import desk_of
from loadgen.streams.files import read_stream
from loadgen.streams.making import make_stream
from loadgen.trial import Target

pytestmark = pytest.mark.unit


def run(*arguments: str) -> Any:
    """Its result, with the exception that `openchannel` turns into one line."""
    return CliRunner().invoke(load, arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (["run"], SettingsError, "--embedded"),
        (["run", "--embedded", "--url", "http://127.0.0.1:1"], SettingsError, "--embedded"),
        (["run", "--embedded", "--find-max", "--drain", "5"], SettingsError, "ask for one of them"),
        (["run", "--embedded", "--drain", "5", "--seconds", "30"], SettingsError, "no part in --drain"),
        (["run", "--embedded", "--drain", "5", "--warm-up", "0"], SettingsError, "no part in --drain"),
        (["run", "--embedded", "--p99-under", "1000"], SettingsError, "limit of --find-max"),
        (["replay", __file__, "--embedded"], RefusedError, ":1: this is no line of a stream"),
        (["generate", "/nowhere/at/all.jsonl", "--seconds", "1"], RefusedError, "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_starts(arguments, error, said) -> None:
    """With what to do."""
    refused = run(*arguments)
    assert isinstance(refused.exception, error)
    assert said in str(refused.exception)


def test_generate_writes_the_stream_of_its_options(tmp_path: Path) -> None:
    """The same as the library makes."""
    file = tmp_path / "s.jsonl"
    done = run(
        "generate", str(file), "--profile", "ramp", "--rate", "20", "--seconds", "5", "--seed", "8", "--desk", "3"
    )
    assert done.exit_code == 0
    assert read_stream(file) == make_stream(8, "ramp", 20.0, 5.0, 3)


def test_a_folder_that_cannot_be_made_is_told_before_the_test(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is played."""
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(testing, "target_of", lambda *_, **__: pytest.fail("the test began"))
    refused = run("run", "--embedded", "--report", str(tmp_path / "file" / "r"))
    assert isinstance(refused.exception, RefusedError)
    assert "cannot be made" in str(refused.exception)


@pytest.mark.parametrize("how", [[], ["--json"]])
def test_a_report_that_cannot_be_written_was_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: list[str]
) -> None:
    """The result of a long test is not lost with a full disk."""
    verdict = Verdict([Finding("lost", 0)], {"messages": 3}, {})
    play_nothing(monkeypatch, lambda *_: replace(empty_report(), verdict=verdict))
    (tmp_path / "r" / "report.json").mkdir(parents=True)
    ended = run("run", "--embedded", "--report", str(tmp_path / "r"), *how)
    assert isinstance(ended.exception, RefusedError)
    assert "cannot be written" in str(ended.exception)
    assert ('"balances"' if how else "It balances") in ended.stdout


@pytest.mark.parametrize(("lost", "status"), [(0, 0), (2, 1)])
def test_what_does_not_balance_ends_with_one(monkeypatch, tmp_path: Path, lost: int, status: int) -> None:
    """Nothing else does: the report is written and shown either way."""
    verdict = Verdict([Finding("lost", lost, ["m-1"][:lost])], {"messages": 3}, {})
    asked = []

    def at_a_rate(_target, how, repeats, settings, _show) -> Report:
        asked.append((how, repeats, settings))
        return replace(empty_report(), settings=settings, verdict=verdict)

    play_nothing(monkeypatch, at_a_rate)
    ended = run(
        "run", "--embedded", "--profile", "day", "--repeats", "3", "--desk", "8", "--report", str(tmp_path / "r")
    )
    assert ended.exit_code == status, click.unstyle(ended.output)
    assert {file.name for file in (tmp_path / "r").iterdir()} == {"report.json", "report.html"}
    assert ("It balances" in ended.output) is not lost
    ((how, repeats, settings),) = asked
    assert (how.profile, how.desk, repeats) == ("day", 8, 3)
    assert settings == {
        "profile": "day", "seed": 1, "desk": 8, "rate": 50.0, "embedded": True,
        "seconds": 30.0, "warm_up": 5.0, "repeats": 3,
    }  # fmt: skip


def play_nothing(monkeypatch: pytest.MonkeyPatch, at_a_rate: Callable[..., Report]) -> None:
    """No system is started; the report is made by the test."""

    @contextmanager
    def target_of(*_: object, **__: object) -> Iterator[Target]:
        yield Target("http://desk", "token", desk_of(1))

    monkeypatch.setattr(testing, "target_of", target_of)
    monkeypatch.setattr(testing, "at_a_rate", at_a_rate)


def test_a_replay_tells_how_its_stream_was_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its settings name the desk, whose seed has to be the same for it to be played again."""
    run("generate", str(tmp_path / "s.jsonl"), "--seconds", "1", "--desk", "3")
    told: list[Any] = []
    monkeypatch.setattr(testing, "replayed", lambda *how: told.append(how[4]))
    monkeypatch.setattr(testing, "test_and_tell", lambda test, *_, **__: test(None, None))
    assert run("replay", str(tmp_path / "s.jsonl"), "--embedded", "--speed", "2").exit_code == 0
    assert told == [
        {"stream": "s.jsonl", "profile": "steady", "seed": 1, "desk": 3, "rate": 50.0, "speed": 2.0, "embedded": True}
    ]


def test_trials_of_one_test_have_no_person_in_common(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are played on one desk; whatever the dice of their seeds say."""
    monkeypatch.setattr(testing, "make_stream", lambda _seed, *how: make_stream(1, *how))
    streams = testing.Streams(testing.Asked("steady", 20, 5, 1, 4, 1))
    first, second = ({one.meaning.customer for one in streams.make(20).requests} for _ in range(2))
    assert first
    assert not first & second


def empty_report() -> Report:
    """Of a test in which nothing was sent."""
    from loadgen.streams.stream import Header, Stream
    from loadgen.summary import report_of
    from loadgen.trial import Played

    stream = Stream(Header(1, "steady", 1, 1, 1), [])
    return report_of(Played(stream, 0.0, [], {}, [], Verdict([], {}, {})), {}, 0.0)

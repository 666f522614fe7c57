"""A trial on a desk that the test plays: what is held, looked at and given up, and which trial a search reports."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import pytest

from cli.load import testing
from loadgen import trial
from loadgen.driving.api import LoadError, Mark
from loadgen.measuring.timeline import Way
from loadgen.operators import Acts
from loadgen.report_data import Finding, Report, Verdict
from loadgen.streams.desk import desk_of
from loadgen.streams.making import make_stream
from loadgen.streams.stream import Header, Stream
from loadgen.trial import Played, Target
from loadgen.verdict.seen import Seen
from tests.loads import right, sent_at_once

pytestmark = pytest.mark.unit

STREAM = make_stream(5, "steady", 20, 5)
BEGAN = 1000.0


class System:
    """In place of all that a trial talks to: its API, the sender and the operators. It does everything right.

    pending: what its ledger says, look after look; None: that look is answered 503. The last is said for ever.
    sends_for: looks that are made before all was sent. done: what was asked of it, in order.
    """

    acts = Acts(accepted=2, answered=1, closed=1)
    failure = None
    due = None
    began = BEGAN

    def __init__(self, monkeypatch: pytest.MonkeyPatch, pending: Sequence[int | None], sends_for: int = 1) -> None:
        self.done_so_far: list[str] = []
        self.sent = sent_at_once(STREAM)
        self.target = Target("http://desk", "token", desk_of(1), self._wait, hold=self._hold)
        self._pending = list(pending)
        self._sends_for = sends_for
        for name in ("DeskApi", "Sender", "_Crew"):
            monkeypatch.setattr(trial, name, lambda *_: self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def _wait(self, _seconds: float) -> None: ...

    def _hold(self, held: bool) -> None:
        self.done_so_far.append("hold" if held else "let go")

    @property
    def done(self) -> bool:
        """Whether all was sent."""
        self._sends_for -= 1
        return self._sends_for < 0

    def start(self) -> None:
        """Begin to send."""
        self.done_so_far.append("send")

    def end(self) -> None:
        """Send no more."""
        self.done_so_far.append("end")

    def mark(self) -> Mark:
        """Nothing yet."""
        return Mark(0, 0, 0, _ledger(0))

    def ledger(self) -> dict[str, int]:
        """As it was told to say."""
        pending = self._pending.pop(0) if len(self._pending) > 1 else self._pending[0]
        if pending is None:
            raise LoadError("/api/ledger answers 503: busy")
        self.done_so_far.append(f"{pending} pending")
        return _ledger(pending)

    def lags(self) -> dict[str, float]:
        """None."""
        return {}

    def seen(self, *_: object) -> Seen:
        """All of the stream, but for what is pending for ever."""
        whole = right(STREAM, BEGAN)
        return replace(whole, ledger={**whole.ledger, "pending": self._pending[-1] or 0})


def _ledger(pending: int) -> dict[str, int]:
    return {"accepted": 90, "done": 90 - pending, "ignored": 0, "dead": 0, "discarded": 0, "pending": pending}


def show_nothing(_: object) -> None: ...


def test_a_drain_counts_from_when_the_workers_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are held before the first message, and let go when the whole backlog is there."""
    system = System(monkeypatch, [40, 70, 70, 30, 0])
    played = trial.drain(system.target, STREAM, show_nothing)
    assert system.done_so_far == [
        "hold", "send", "40 pending", "70 pending", "let go", "70 pending", "30 pending", "0 pending", "end", "let go",
    ]  # fmt: skip
    assert played.drain is not None
    assert played.drain.items == 70
    assert played.verdict.balances, played.verdict
    for way in played.ways:
        assert way.planned == way.sent
        assert way.finished == pytest.approx(way.planned + 0.1)


def test_where_nobody_can_hold_the_workers_a_drain_is_measured_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a system that runs elsewhere: what is left when all was sent."""
    system = System(monkeypatch, [40, 25, 0])
    played = trial.drain(replace(system.target, hold=None), STREAM, show_nothing)
    assert system.done_so_far == ["send", "40 pending", "25 pending", "0 pending", "end"]
    assert played.drain is not None
    assert played.drain.items == 25


def test_a_look_that_fails_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A desk under load may refuse one; while messages are sent, as the first of a backlog, and in the middle of it."""
    system = System(monkeypatch, [9, None, 8, None, None, 6, None, 0], sends_for=3)
    played = trial.play(system.target, STREAM, show_nothing)
    assert [one for one in system.done_so_far if "pending" in one] == [f"{n} pending" for n in (9, 8, 6, 0)]
    assert len(played.samples) == 4
    assert played.drain is None
    assert played.verdict.balances, played.verdict


def test_a_desk_that_is_gone_ends_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it answered last; and the sender ends."""
    monkeypatch.setattr(trial, "PATIENCE", -1.0)
    system = System(monkeypatch, [None])
    with pytest.raises(LoadError, match="answers 503: busy"):
        trial.play(system.target, STREAM, show_nothing)
    assert system.done_so_far == ["send", "end"]


def test_a_backlog_that_does_not_move_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict says that something is pending."""
    monkeypatch.setattr(trial, "PATIENCE", -1.0)
    system = System(monkeypatch, [9, 7])
    played = trial.play(system.target, STREAM, show_nothing)
    assert system.done_so_far == ["send", "9 pending", "7 pending", "7 pending", "end"]
    assert any("pending" in example for one in played.verdict.findings for example in one.examples)


# The search


def search(monkeypatch: pytest.MonkeyPatch, knee: float, breaks_above: float = 10_000.0) -> tuple[list[Any], Report]:
    """A search from 100 per second on a system that is slow above a knee, and loses messages above another rate.

    The streams that were played, and the report; its answers name the rate.
    """
    streams: list[Stream] = []

    def make(seed: int, profile: str, rate: float, seconds: float, desk: int, _taken: object) -> Stream:
        return Stream(Header(seed, profile, rate, seconds, desk), [])

    def play(_target: Target, stream: Stream, _show: object) -> Played:
        streams.append(stream)
        rate = stream.header.rate
        ways = [Way(2.0, 2.0, 2.01, 2.1 if rate <= knee else 4.0)]
        verdict = Verdict([Finding("lost", int(rate > breaks_above), ["m-1"][: rate > breaks_above])], {}, {})
        return Played(stream, BEGAN, ways, {f"{rate:g}": 1}, [], verdict)

    monkeypatch.setattr(testing, "make_stream", make)
    monkeypatch.setattr(testing, "play", play)
    asked, target = testing.Asked("steady", 100.0, 10.0, 1.0, 7, 1), Target("http://desk", "token", desk_of(1))
    return streams, testing.highest_rate(target, asked, 1.0, {"seed": 7}, show_nothing)


def test_a_search_reports_the_highest_rate_that_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the last that was tried; each try is a stream of its own, as long as was asked."""
    streams, report = search(monkeypatch, knee=320)
    held = max(one.rate for one in report.trials if one.held)
    assert 320 / 1.1 <= held <= 320
    assert report.answers == {f"{held:g}": 1}
    assert report.trials[-1].rate != held
    assert [one.header.rate for one in streams] == [one.rate for one in report.trials]
    assert len({one.header.seed for one in streams}) == len(streams)
    assert {one.header.seconds for one in streams} == {11.0}


def test_a_search_that_finds_nothing_reports_its_last_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lowest rate; no trial is held."""
    _, report = search(monkeypatch, knee=0.01)
    assert not any(one.held for one in report.trials)
    assert report.answers == {f"{min(one.rate for one in report.trials):g}": 1}


def test_a_search_that_lost_something_reports_that(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever rate was held: it ends with 1, and shows what was lost."""
    _, report = search(monkeypatch, knee=1000, breaks_above=300)
    assert report.answers == {"400": 1}
    assert not report.verdict.balances
    assert max(one.rate for one in report.trials if one.held) <= 300

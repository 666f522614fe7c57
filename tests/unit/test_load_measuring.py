"""Figures of a load test: percentiles, seconds, throughput, and the search for the highest rate."""

import math
import random
from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import pytest

from loadgen.driving.driver import Sent
from loadgen.driving.sender import Sender
from loadgen.measuring.latency import distribution_of
from loadgen.measuring.progress import Glance, progress_of
from loadgen.measuring.timeline import Sample, Usage, Way, nearest_rank, timeline
from loadgen.report_data import PERCENTILES, Finding, Trial, Verdict
from loadgen.search import best, find_max
from loadgen.streams.stream import Header, Stream
from loadgen.summary import report_of, throughput, trial_of, typical
from loadgen.trial import Played

pytestmark = pytest.mark.unit

STREAM = Stream(Header(1, "steady", 10, 10, 1), [])
GOOD, BAD = Verdict([Finding("lost", 0)], {}, {}), Verdict([Finding("lost", 2, ["a", "b"])], {}, {})


def played(ways: list[Way], verdict: Verdict = GOOD) -> Played:
    return Played(STREAM, 1000.0, ways, {"200": len(ways)}, [], verdict)


def test_percentiles_are_those_of_the_values() -> None:
    """Within three digits of the exact ones, and the last is the longest."""
    rng = random.Random(4)
    values = sorted(rng.expovariate(3.0) for _ in range(5000))
    found = distribution_of(values)
    assert found.count == 5000
    assert found.mean == pytest.approx(sum(values) / 5000)
    for percent in PERCENTILES:
        assert found.at[percent] == pytest.approx(values[max(0, math.ceil(percent * 50) - 1)], rel=0.002)
    percents, seconds = zip(*found.curve, strict=True)
    assert list(percents) == sorted(percents)
    assert list(seconds) == sorted(seconds)
    assert percents[-1] == 100


def test_of_nothing_nothing_is_said() -> None:
    """No percentile is invented."""
    assert (distribution_of([]).count, distribution_of([]).at) == (0, {})
    assert nearest_rank([], 0.5) is None
    assert timeline([], [])[0].finished_p99 is None


def test_seconds_tell_what_happened_in_them() -> None:
    """Counts by when it happened, percentiles by when it was planned, CPU between two samples."""
    ways = [Way(0.1, 0.1, 0.2, 2.5), Way(0.9, 0.9, 1.1, 1.2), Way(1.5, 1.5, 1.6, None)]
    samples = [
        Sample(0.0, {"bind_chat": 0.5}, Usage({"web": 10.0}, {"web": 100})),
        Sample(0.9, {"bind_chat": 1.5}, Usage({"web": 10.9}, {"web": 200})),
        Sample(1.9, {}, Usage({"web": 11.4}, {"web": 300})),
    ]
    first, second, third = timeline(ways, samples)
    assert (first.planned, first.answered, first.finished) == (2, 1, 0)
    assert (second.planned, second.answered, second.finished) == (1, 2, 1)
    assert (third.planned, third.answered, third.finished) == (0, 0, 1)
    assert [first.finished_p50, first.finished_p99] == pytest.approx([0.3, 2.4])
    assert (second.finished_p50, third.answered_p50) == (None, None)
    assert first.lag == {"bind_chat": 1.5}
    assert [first.cpu["web"], second.cpu["web"]] == pytest.approx([1.0, 0.5])
    assert [one.resident["web"] for one in (first, second)] == [200, 300]


class _Growing(Counter[str]):
    """Answers to which the sender's thread adds while they are read."""

    def items(self) -> Any:
        for number, one in enumerate(super().items()):
            self[f"new {number}"] += 1
            yield one


def test_answers_may_come_while_they_are_shown() -> None:
    """A status that is new in that moment does not break off the test."""
    sent = Sent([0.0], [0.1], [200], _Growing({"200": 1, "503": 2}))
    sender = cast(Sender, SimpleNamespace(due=None, sent=sent))
    assert progress_of("sending", sender, [Glance(1.0, 1)], {}).errors == {"503": 2}


def test_the_warm_up_is_not_measured() -> None:
    """Its messages are in the timeline, and in no percentile; throughput begins after it."""
    ways = [Way(0.0, 0.0, 9.0, 9.0), Way(2.0, 2.0, 2.1, 2.5), Way(3.0, 3.0, 3.1, 4.0)]
    report = report_of(played(ways), {"seed": 1}, 1.0)
    assert (report.to_answer.count, report.to_last_step.count) == (2, 2)
    assert report.to_last_step.at[100.0] == pytest.approx(1.0, rel=0.002)
    assert sum(second.planned for second in report.timeline) == 3
    assert throughput(ways[1:], 2.0) == pytest.approx(1.0)


def test_a_trial_is_held_only_where_all_is_right() -> None:
    """p99 under the limit does not help where something was lost; nor does nothing at all."""
    ways = [Way(0.0, 0.0, 0.1, 0.5)]
    assert trial_of(played(ways), 10, 0, 1.0).held
    assert not trial_of(played(ways), 10, 0, 0.4).held
    assert not trial_of(played(ways, BAD), 10, 0, 1.0).held
    assert not trial_of(played([]), 10, 0, 1.0).held


def test_the_report_is_of_what_went_wrong_or_of_the_median() -> None:
    """Whichever repeat did not balance is shown."""
    slow, middle, fast = (played([Way(0, 0, 0.1, at)]) for at in (3.0, 2.0, 1.0))
    wrong = played([Way(0, 0, 0.1, 0.1)], BAD)
    trials = [(trial_of(one, 10, 0), one) for one in (slow, fast, middle)]
    assert typical(trials) is middle
    assert typical([*trials, (trial_of(wrong, 10, 0), wrong)]) is wrong


@pytest.mark.parametrize(("first", "knee"), [(50, 430), (50, 10), (100, 100.5), (100, 99)])
def test_the_search_finds_the_knee(first: float, knee: float) -> None:
    """From below and from above; the highest held rate is within a tenth of the truth, and no trial is made twice."""
    asked: Counter[float] = Counter()

    def measure(rate: float) -> Trial:
        asked[rate] += 1
        return Trial(rate, rate, 0.1, 0.2 if rate <= knee else 2.0, held=rate <= knee)

    trials = find_max(first, measure)
    found = best(trials)
    assert found is not None
    assert knee / 1.1 <= found.rate <= knee
    assert max(asked.values()) == 1


def test_a_system_that_holds_nothing_or_everything_ends_the_search() -> None:
    """It does not go on for ever."""
    nothing = find_max(100, lambda rate: Trial(rate, 0, 9, 9, held=False))
    assert best(nothing) is None
    everything = find_max(100, lambda rate: Trial(rate, rate, 0, 0, held=True))
    assert (best(everything) or nothing[0]).rate == everything[-1].rate
    assert max(len(nothing), len(everything)) <= 7

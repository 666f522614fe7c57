"""`make bench-scale`: its judgements, its arithmetic, and what it writes down."""

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

import ingest.app
from bench import desk
from bench.rounds import RoundError
from bench.scale import beside, drain, filled, memory, web
from bench.scale.__main__ import PARTS
from bench.scale.arithmetic import Machines, first_to_saturate, flows, needs, table
from bench.scale.beside import Pace
from bench.scale.costs import per_thousand
from bench.scale.memory import Sample
from bench.scale.metered_web import Meter
from bench.scale.part import Bench, Chart, Curve, Goal, Outcome
from bench.scale.picture import MOST_TICKS, draw, ticks
from bench.scale.report import JSON_FILE, PICTURE_FILE, entry, write
from bench.scale.seeding import STATEMENTS
from bench.scale.statements import statements
from ingest.adapters.base import WebhookRequest
from ingest.adapters.registry import adapter_for

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]


def bench(scale: float = 1.0) -> Bench:
    return Bench(seed=1, messages=20_000, scale=scale, tell=lambda _: None)


def test_a_filled_system_is_held_against_the_empty_ones_beside_it() -> None:
    """The fullest point counts, by the medians of its own pairs: a slow day is slow for both."""
    rates = {0.1: [100.0, 100.0, 100.0], 1.0: [84.0, 90.0, 10.0]}
    assert filled.judge(rates, {0.1: [100.0] * 3, 1.0: [100.0, 98.0, 200.0]}).reached is False
    assert filled.judge(rates, {0.1: [100.0] * 3, 1.0: [90.0, 98.0, 20.0]}).reached is True


@pytest.mark.parametrize(("rate", "p50", "p99"), [(89.0, 1.0, 2.0), (100.0, 1.2, 2.0), (100.0, 1.0, 2.3)])
def test_the_others_may_be_slower_by_a_tenth_in_nothing(rate: float, p50: float, p99: float) -> None:
    """Throughput, the middle and the end of the latencies are judged each for itself."""
    without = Pace([100.0, 100.0], [1.0, 1.0], [2.0, 2.0])
    assert [goal.reached for goal in beside.judge(without, Pace([91.0], [1.09], [2.1]))] == [True, True, True]
    worse = beside.judge(without, Pace([rate], [p50], [p99]))
    assert [goal.reached for goal in worse] == [rate >= 90, p50 <= 1.1, p99 <= 2.2]
    assert len(beside.judge(Pace([], [1.0], [2.0]), Pace([], [1.0], [2.0]))) == 2


def test_a_backlog_drains_at_the_steady_rate() -> None:
    """Or faster; a tenth less is not reached."""
    assert drain.judge(2500.0, 2500.0).reached
    assert not drain.judge(2250.0, 2500.0).reached


def test_what_is_left_of_a_backlog_over_time() -> None:
    """Begins with all but one, ends with none."""
    left = drain.left_over_time([float(n) for n in range(1000)])
    assert left[0] == (0.0, 999.0)
    assert left[-1] == (999.0, 0.0)
    assert len(left) <= 2 * drain.POINTS
    assert drain.left_over_time([5.0]) == [(5.0, 0.0)]


def test_memory_is_flat_after_the_warm_up() -> None:
    """Growth within the first half does not count; what goes on growing does."""
    warm = [(n * 10_000.0, 100.0 + min(n, 20)) for n in range(1, 51)]
    leaking = [(n * 10_000.0, 100.0 + 0.3 * n) for n in range(1, 51)]
    assert memory.growth(warm) == pytest.approx(0.0)
    assert memory.growth(leaking) == pytest.approx(3.0)
    assert [goal.reached for goal in memory.judge({"web": warm, "worker-1": leaking})] == [True, False]
    assert memory.judge({"postgres": leaking}) == []


def test_a_short_round_says_nothing_of_memory() -> None:
    """What a process takes to start would count as growth."""
    assert memory.judge({"web": [(100.0, 90.0), (2000.0, 95.0), (4000.0, 99.0)]}) == []
    assert memory.growth([]) == 0.0
    assert memory.growth([(100.0, 90.0)]) == 0.0


def test_samples_are_placed_by_the_messages_done() -> None:
    """Those from before the first message and from long after the last are left out."""
    samples = [Sample(at, {"web": 10 * at}) for at in (1.0, 2.5, 4.0, 60.0)]
    assert memory.over_messages(samples, [4.0, 2.0, 3.0]) == {"web": [(1.0, 25.0), (3.0, 40.0)]}


COUNTED_BEFORE = {
    "webhooks": {"telegram": 10}, "by_kind": {"verify telegram": 50_000, "parse telegram": 70_000},
    "loop": 1_000_000, "process": 2_000_000, "commit": 300_000, "publish": 100_000,
}  # fmt: skip
COUNTED_AFTER = {
    "webhooks": {"telegram": 15, "custom": 5},
    "by_kind": {
        "verify telegram": 75_000, "verify custom": 100_000, "parse telegram": 170_000, "item telegram": 10_000,
        "item any": 40_000,
    },
    "loop": 2_000_000, "process": 4_000_000, "commit": 700_000, "publish": 200_000,
}  # fmt: skip


def test_the_kinds_of_work_make_up_the_whole_process() -> None:
    """Per webhook of the measured time alone; what no kind has is the framework's, or of other threads."""
    works = web.per_webhook(COUNTED_BEFORE, COUNTED_AFTER)
    assert works == pytest.approx(
        {"http": 72.5, "verify": 12.5, "parse": 10.0, "item": 5.0, "commit": 40.0, "publish": 10.0, "other": 50.0}
    )
    assert sum(works.values()) == pytest.approx((4_000_000 - 2_000_000) / 10 / 1000)
    assert web.by_channel_kind(COUNTED_BEFORE, COUNTED_AFTER) == {
        "custom": {"verify": 20.0, "parse": 0.0, "item": 0.0},
        "telegram": {"verify": 5.0, "parse": 20.0, "item": 2.0},
    }


def test_a_meter_that_saw_nothing_is_an_error() -> None:
    """The endpoint was changed, and the figures would be of nothing."""
    with pytest.raises(RoundError, match="no webhook"):
        web.per_webhook(COUNTED_AFTER, COUNTED_AFTER)


def test_the_meter_counts_by_the_adapters_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands around functions that are there; what fails took time, too."""
    app: Any = ingest.app
    names = ("_check_signature", "parse", "kept_headers", "item_of_account")
    before = {name: getattr(app, name) for name in names}
    for name in names:
        monkeypatch.setattr(app, name, before[name])  # so that they are put back
    meter = Meter()
    meter.attach()
    assert all(getattr(app, name) is not before[name] for name in names)
    request = WebhookRequest("POST", "", {}, {}, b"{}", datetime.now(UTC))
    channel = desk.channels(1)[0]
    with pytest.raises(app.RefusedError):
        app._check_signature(adapter_for("telegram"), request, channel)
    assert app.kept_headers({"accept": "x"}) == '{"accept":"x"}'
    counted = meter.counted()
    assert counted["webhooks"] == {"telegram": 1}
    assert counted["by_kind"].keys() == {"verify telegram", "item any"}
    assert 0 < counted["by_kind"]["verify telegram"] <= counted["loop"] <= counted["process"]


def test_what_is_counted_is_held_against_the_system() -> None:
    """A kind of work that was forgotten shows."""
    assert web.judge(290.0, 300.0).reached
    assert not web.judge(200.0, 300.0).reached


def test_costs_are_per_thousand_messages() -> None:
    """The difference of the counters."""
    assert per_thousand({"wal_bytes": 100.0}, {"wal_bytes": 1100.0}, 500) == {"wal_bytes": 2000.0}


CPU = {"web": 0.3, "worker": 0.24, "courier": 0.0, "clock": 0.0, "postgres": 0.25, "valkey": 0.01, "driver": 9.0}


def test_the_arithmetic_of_machines() -> None:
    """Processes by the cores that are busy and the reserve; two of each at least; a thread has one core alone."""
    found = {need.kind: need for need in needs(CPU, 10_000, Machines(cores=8, busy=0.6))}
    assert "driver" not in found
    assert found["web"].cores == pytest.approx(3.0)
    assert (found["web"].processes, found["web"].hosts) == (5, 1)
    assert (found["clock"].processes, found["postgres"].processes) == (2, 0)
    assert found["postgres"].limit == pytest.approx(8 * 0.6 * 1000 / 0.25)
    assert found["valkey"].limit == pytest.approx(0.6 * 1000 / 0.01)
    hundred = {need.kind: need for need in needs(CPU, 100_000, Machines(cores=8, busy=0.6))}
    assert (hundred["web"].processes, hundred["web"].hosts, hundred["valkey"].hosts) == (50, 7, 2)


def test_what_is_full_first() -> None:
    """Of the servers of which there is one; processes can always be started."""
    small, large = Machines(cores=8, busy=0.6), Machines(cores=128, busy=0.6)
    for machines, kind in ((small, "postgres"), (large, "valkey")):
        first = first_to_saturate(needs(CPU, 10_000, machines))
        assert first is not None
        assert first.kind == kind
    assert first_to_saturate(needs({"web": 0.3}, 10_000, small)) is None


def test_the_tables_of_the_arithmetic() -> None:
    """Rows for every kind that was measured, and flows in units that people know."""
    machines = Machines(cores=8, busy=0.6)
    assert "| PostgreSQL | 2.5 |  | 1 | 19,200/s |" in table(needs(CPU, 10_000, machines), 10_000, machines)
    shown = flows({"wal_bytes": 5_000_000.0, "webhook_bytes": 450_000.0, "cpu_seconds": CPU}, 10_000)
    assert "50 MB/s" in shown
    assert "36 Mbit/s" in shown


def test_sizes_by_scale() -> None:
    """A quick trial is small, and never too small to be a stream."""
    assert bench(0.01).sized(300_000) == 3000
    assert bench(0.0001).sized(20_000) == 200


OUTCOME = Outcome(
    {"ratio": 0.9},
    [Goal("fast <enough>", "yes", True)],
    [Chart("T & <t>", "x", "y", [Curve("<c>", [(0.0, 1.0)])], 0.5)],
)


@pytest.mark.parametrize(
    ("end", "expected"),
    [(1.2, [0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2]), (500_000, [100_000 * n for n in range(6)]), (5, range(6))],
)
def test_an_axis_has_round_numbers(end: float, expected: list[float]) -> None:
    """Few enough to be read."""
    assert ticks(end) == pytest.approx(list(expected))
    assert all(len(ticks(float(n))) <= MOST_TICKS + 1 for n in range(1, 2000, 7))


@pytest.mark.parametrize(
    "charts",
    [(), OUTCOME.charts, (Chart("none", "x", "y", []),), (Chart("flat", "x", "y", [Curve("c", [(0.0, 0.0)])]),)],
)
def test_the_picture_is_well_formed(charts: tuple[Chart, ...]) -> None:
    """Whatever was measured, also nothing or zero; titles are escaped."""
    root = ET.fromstring(draw(charts))
    assert root.tag.endswith("svg")
    assert len(root.findall(".//{http://www.w3.org/2000/svg}polyline")) == sum(len(chart.curves) for chart in charts)


def test_parts_that_were_left_out_stay_as_they_were(tmp_path: Path) -> None:
    """One file holds the latest of every part, in one order, whichever were run together."""
    write(tmp_path, {"drain": entry(bench(), OUTCOME, ROOT)}, list(PARTS))
    write(tmp_path, {"web": entry(bench(0.01), Outcome({"a": 1}), ROOT)}, list(PARTS))
    parts = json.loads((tmp_path / JSON_FILE).read_text())["parts"]
    assert list(parts) == ["web", "drain"]
    assert (parts["drain"]["figures"], parts["web"]["scale"]) == ({"ratio": 0.9}, 0.01)
    assert "T &amp; &lt;t&gt;" in (tmp_path / PICTURE_FILE).read_text()


def test_every_statement_is_there() -> None:
    """Those that the filling runs, in the file and named."""
    assert {"desk", *STATEMENTS} == statements("seed.sql").keys()
    assert statements("hot.sql").keys() == {"history", "flood", "waiting", "online"}


def test_make_offers_it() -> None:
    """With its sizes and parts, or the defaults."""

    def made(*arguments: str) -> str:
        return subprocess.run(["make", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout

    command = made("-n", "bench-scale", "MESSAGES=5000", "PARTS=filled,hot_chat", "SCALE=0.01")
    assert "python -m bench.scale --messages 5000" in command
    assert "--parts filled,hot_chat --scale 0.01" in command
    assert "--" not in made("-n", "bench-scale").partition("-m bench.scale")[2]

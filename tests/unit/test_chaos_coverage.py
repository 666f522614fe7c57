"""Who is told to die between which side effects; and what a report makes of it."""

import json
from pathlib import Path

import pytest

from chaos.coverage import IN_ONE_STEP, Coverage, Pair, frequent, is_empty, of_pipeline
from chaos.report import Line, Report

pytestmark = pytest.mark.unit

PROCESSES = {"web": 2, "worker": 4, "delivery": 1, "clock": 2}
BIND = [("worker", "bind_chat/BEGIN", f"bind_chat/{n}") for n in range(4)]
RESPOND: Pair = ("worker", "respond/BEGIN", "respond/COMMIT")
DELIVER: Pair = ("worker", "deliver/COMMIT", "deliver/call")
ACCEPT: Pair = ("web", "accept/BEGIN", "accept/COMMIT")
ACT: Pair = ("web", "dialogs.close/BEGIN", "dialogs.close/COMMIT")
TICK: Pair = ("clock", "sweep/BEGIN", "sweep/COMMIT")


def armed_with(environment: object) -> set[str]:
    """The pairs that a process is to die between."""
    assert isinstance(environment, dict)
    return set(str(environment.get("CHAOS_KILL_BETWEEN", "")).split())


def died(file: Path, *pairs: Pair) -> None:
    """Write down that processes died, as they do themselves."""
    with file.open("a") as written:
        written.writelines("\t".join((*pair, "4711\n")) for pair in pairs)


def test_a_process_is_armed_with_all_of_one_step(tmp_path: Path) -> None:
    """It dies at the first that it meets; the next worker is armed in another step, the delivery worker in its own."""
    coverage = Coverage([*BIND, RESPOND, DELIVER], [], tmp_path / "fired", PROCESSES)
    of_bind, of_respond = {f"{a}>{b}" for _, a, b in BIND}, {"respond/BEGIN>respond/COMMIT"}
    first, second = (armed_with(coverage.environment(name, "worker")) for name in ("worker-1", "worker-2"))
    assert sorted([first, second], key=len) == [of_respond, of_bind]
    assert armed_with(coverage.environment("delivery-1", "delivery")) == {"deliver/COMMIT>deliver/call"}


def test_some_are_left_to_live(tmp_path: Path) -> None:
    """Who takes an item that killed another must be able to end it: not all of a kind die, nor many in one step."""
    coverage = Coverage(BIND, [], tmp_path / "fired", PROCESSES)
    armed = [armed_with(coverage.environment(f"worker-{n}", "worker")) for n in range(5)]
    assert sum(map(bool, armed)) == IN_ONE_STEP
    assert armed_with(coverage.environment("web-1", "web")) == set()


def test_of_two_one_is_left_alone(tmp_path: Path) -> None:
    """In a small round too; of a single process nobody can be left."""
    coverage = Coverage([*BIND, RESPOND, DELIVER], [], tmp_path / "fired", {"worker": 2, "delivery": 1})
    armed = [armed_with(coverage.environment(f"worker-{n}", "worker")) for n in range(2)]
    assert [bool(one) for one in armed] == [True, False]
    assert armed_with(coverage.environment("delivery-1", "delivery"))


def test_where_somebody_has_died_nobody_has_to(tmp_path: Path) -> None:
    """What has fired is read from what the dying wrote; what is cut short by a kill says nothing."""
    fired = tmp_path / "fired"
    coverage = Coverage([ACCEPT, TICK], [], fired, PROCESSES)
    assert coverage.missing == [ACCEPT, TICK]
    died(fired, TICK, TICK)
    with fired.open("a") as written:
        written.write("web\taccept/BE")
    assert armed_with(coverage.environment("clock-1", "clock")) == set()
    assert (coverage.missing, coverage.covered, coverage.fired) == ([ACCEPT], [TICK], 2)


def test_enough_is_enough(tmp_path: Path) -> None:
    """A small round asks for some pairs, whichever come first."""
    coverage = Coverage([*BIND, RESPOND], [], tmp_path / "fired", PROCESSES, enough=2)
    died(tmp_path / "fired", BIND[2])
    assert armed_with(coverage.environment("worker-1", "worker"))
    assert len(coverage.missing) == 4
    died(tmp_path / "fired", RESPOND)
    assert armed_with(coverage.environment("worker-1", "worker")) == set()
    assert (coverage.missing, coverage.met, coverage.goal) == ([], 2, 2)


def test_first_what_is_required(tmp_path: Path) -> None:
    """Whatever else occurs is left to chance, when nothing hurries any more; also what is learnt later."""
    coverage = Coverage([ACCEPT], [], tmp_path / "fired", PROCESSES)
    coverage.learn([ACCEPT, ACT])
    died(tmp_path / "fired", ACCEPT)
    assert armed_with(coverage.environment("web-1", "web")) == set()
    coverage.only_required = False
    assert armed_with(coverage.environment("web-1", "web")) == {"dialogs.close/BEGIN>dialogs.close/COMMIT"}
    assert coverage.others == (ACT,)


def test_a_single_process_dies_only_where_it_has_to(tmp_path: Path) -> None:
    """Left to chance it would die at every start, never grow old enough for another fault, and do no work."""
    sweep: Pair = ("clock", "sweep/BEGIN", "sweep/hint")
    coverage = Coverage([TICK], [sweep], tmp_path / "fired", {"clock": 1})
    coverage.only_required = False
    of_sweep = {"sweep/BEGIN>sweep/COMMIT", "sweep/BEGIN>sweep/hint"}
    assert armed_with(coverage.environment("clock-1", "clock")) == of_sweep
    died(tmp_path / "fired", TICK)
    assert armed_with(coverage.environment("clock-1", "clock")) == set()


def test_the_pipeline_is_all_but_operators_acts() -> None:
    """Accepting, steps, delivery and clocks."""
    assert [of_pipeline(pair) for pair in (ACCEPT, BIND[0], DELIVER, TICK, ACT)] == [True, True, True, True, False]


def test_an_empty_transaction_is_no_pair_to_die_between() -> None:
    """Nothing is written in it; who dies there dies before or after something else."""
    assert is_empty(RESPOND)
    assert not any(map(is_empty, (*BIND, DELIVER)))


def test_what_is_rare_is_not_waited_for() -> None:
    """Rare compared with its own step; and what was seen twice in all may never come again."""
    counts = {BIND[0]: 100, BIND[1]: 20, BIND[2]: 19, ("worker", "respond/COMMIT", "respond/ack"): 2, ACT: 900}
    assert frequent(counts) == [BIND[0], BIND[1]]
    assert frequent({TICK: 500, ACCEPT: 500, DELIVER: 3}) == [DELIVER], "the others write nothing"


def test_a_report_fails_for_what_never_fired(tmp_path: Path) -> None:
    """A round that balances proves nothing of a fault that it did not meet; one that is not to be had is no failure."""
    report = Report(1, kills=99, kills_goal=100)
    report.lines = [Line("flushall", "wiped", 0), Line("full-disk", "full", 0, goal=None), Line("kill-web", "dies", 3)]
    assert report.failures == ["flushall fired 0 times, of 1", "99 kills, of 100"]
    report.lines = report.lines[1:]
    report.kills = 100
    assert report.failures == []
    report.problems.append("message 5 is nowhere")
    report.write(tmp_path)
    assert json.loads((tmp_path / "report.json").read_text())["failures"] == ["message 5 is nowhere"]
    assert "| `full-disk` | full | not to be had here |" in (tmp_path / "report.md").read_text()

"""What the demo shows and says, rendered to text."""

import io
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console

from cli.demo import read_run_for
from cli.demo_summary import Outcome, problems, summary
from cli.demo_table import WIDTH, Deliveries, Frame, as_svg, live_table, plain_line
from config.settings import SettingsError
from crm_store.ledger import Ledger
from crm_store.overview import DialogChange, OperatorLoad, Overview
from loadgen.customers import Sent
from loadgen.operators import Acts
from runtime.child import ChildState, ChildStatus

pytestmark = pytest.mark.unit

NOW = datetime(2026, 10, 5, 12, 0, 0, tzinfo=UTC)
VIEW = Overview(
    ledger=Ledger(accepted=1234, done=1200, ignored=12, pending=22),
    cards={"contact": 31, "lead": 57},
    dialogs={"queued": 4, "offered": 2, "accepted": 9, "closed": 150},
    deliveries={"held": 7, "sent": 41},
    operators=(OperatorLoad("Ada", True, 5, 80), OperatorLoad("Bruno", False, 4, 79)),
    changes=(DialogChange(NOW, 812, "Demo sales", "telegram", "system", "D2", "assigned", "Ada"),),
)
FRAME = Frame(
    seconds=75,
    phase="running",
    overview=VIEW,
    rates={"accepted": 40.2, "done": 39.9},
    processes=(
        ChildStatus("web", ChildState.READY, 11, 0, NOW, None),
        ChildStatus("worker-1", ChildState.WAITING, None, 3, NOW, -9),
    ),
    deliveries=Deliveries(received=41),
    repeats=33,
    docs_url="http://127.0.0.1:8080/docs",
    token_from="api_token in .data/secrets.json",
)


def rendered(frame: Frame, width: int = WIDTH) -> str:
    console = Console(record=True, width=width, file=io.StringIO())
    console.print(live_table(frame))
    return console.export_text()


def test_the_live_table_shows_the_desk():
    """Ledger with rates, cards, operators with presence, the backlog, events, processes, the API docs and the token."""
    text = rendered(FRAME)
    for shown in (
        "running  01:15",
        "1,234",
        "40.2",
        "contact",
        "57",
        "● Ada",
        "○ Bruno",
        "4 in the backlog",
        "2 offered",
        "12:00:00",
        "dialog 812",
        "assigned: Ada",
        "system, D2",
        "worker-1 restarted 3×",
        "http://127.0.0.1:8080/docs",
        "api_token in .data/secrets.json",
        "41 delivered",
        "sent twice by providers",
    ):
        assert shown in text


@pytest.mark.parametrize("width", [80, 104, 200])
def test_the_live_table_fits(width):
    """It stays within the terminal, with nothing in it too; a lower terminal loses only its end."""
    for frame in (FRAME, replace(FRAME, overview=Overview(), rates={}, processes=())):
        lines = rendered(frame, width).splitlines()
        assert max(len(line) for line in lines) <= width
        assert len(lines) < 30


def test_a_crowd_of_operators_is_cut():
    """Many operators do not push the rest out of the terminal."""
    crowd = tuple(OperatorLoad(f"Operator {number}", True, 1, 1) for number in range(60))
    text = rendered(replace(FRAME, overview=replace(VIEW, operators=crowd)))
    assert "and 50 more" in text
    assert len(text.splitlines()) < 32


def test_a_plain_line_is_one_line_without_colours():
    """What a log file gets."""
    line = plain_line(FRAME)
    assert line.isprintable()
    assert "accepted=1234 done=1200 ignored=12 dead=0 discarded=0 pending=22 rate=40/s" in line
    assert "online=1/2" in line
    assert "processes=1/2 restarts=3" in line


def test_the_picture_loads_nothing():
    """The SVG for the README carries the table, and no address of another host but the XML namespace."""
    picture = as_svg(FRAME, "make run")
    assert "Bruno" in picture
    assert "font-face" not in picture
    fetched = re.findall(r"(?:href|src|url\()=?[\"'(]?([^\"')]+)", picture)
    assert [place for place in fetched if not place.startswith("#")] == []


OUTCOME = Outcome(
    seconds=30,
    interrupted=False,
    current=True,
    before=Ledger(accepted=200, done=200),
    overview=replace(VIEW, ledger=Ledger(accepted=1234, done=1222, ignored=12)),
    sent=Sent(planned=1034, accepted=1034, repeats=33),
    acts=Acts(accepted=160, answered=300, closed=150, refused=4),
    deliveries=Deliveries(received=41),
    restarts=0,
)


def test_a_good_end():
    """The ledger stands on a line of its own, and nothing is complained of."""
    assert problems(OUTCOME) == []
    lines = summary(OUTCOME).splitlines()
    assert "accepted=1234 done=1222 ignored=12 dead=0 discarded=0 pending=0" in lines
    assert any("Bruno" in line and "79" in line for line in lines)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"overview": replace(VIEW, ledger=Ledger(accepted=1300, done=1222))}, "does not balance"),
        ({"overview": VIEW}, "22 messages are still pending"),
        ({"before": Ledger(accepted=200, done=1222)}, "nothing was done"),
        ({"before": Ledger(accepted=201, done=200)}, "only 1033 were accepted"),
        ({"sent": Sent(planned=3, accepted=1, given_up=2)}, "2 webhooks were never answered"),
        ({"sent": Sent(planned=3, accepted=3, statuses=Counter({401: 2}))}, "refused: 2 of 401"),
        ({"current": False}, "could not be read"),
        ({"failure": "ValueError()"}, "broke off: ValueError()"),
    ],
)
def test_a_bad_end_says_why(changed, problem):
    """Each way in which a demo fails is named, in the summary too."""
    outcome = replace(OUTCOME, **changed)
    assert any(problem in found for found in problems(outcome))
    assert "FAILED: " in summary(outcome)


def test_an_interrupted_demo_need_not_have_come_to_its_end():
    """Ctrl-C in mid-stream is no failure, whatever is pending."""
    assert problems(replace(OUTCOME, interrupted=True, overview=VIEW)) == []


@pytest.mark.parametrize(("written", "seconds"), [("", None), (" ", None), ("30", 30.0), ("0.5", 0.5)])
def test_run_for(written, seconds):
    """RUN_FOR is a number of seconds; without it the demo has no end."""
    assert read_run_for(written) == seconds


@pytest.mark.parametrize("written", ["0", "-3", "nan", "inf", "30s", "soon"])
def test_a_bad_run_for_is_named(written):
    """A clear error instead of a demo that ends at once, or never."""
    with pytest.raises(SettingsError, match="RUN_FOR"):
        read_run_for(written)

"""The report of a load test: JSON, one page, the terminal and the live lines."""

import io
import json
import re
from dataclasses import fields, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from loadgen.report_data import PERCENTILES, Distribution, Drain, Finding, Report, Second, Trial, Verdict
from loadgen.reporting import Live, Progress, show, write
from loadgen.reporting.json_report import UnreadableReportError, dump, load
from loadgen.reporting.page import page
from loadgen.reporting.words import trials_table

pytestmark = pytest.mark.unit

HOSTILE = "<script>alert('1')</script>\"&\x1b[31m ]]> -->"
VOID = frozenset({"meta", "br", "hr", "img", "link", "input"})


def _distribution(fastest: float, count: int = 1000) -> Distribution:
    at = {percentile: fastest * (1 + percentile) for percentile in PERCENTILES}
    return Distribution(count, fastest * 40, at, sorted(at.items()))


def _second(number: int) -> Second:
    return Second(
        at=float(number),
        planned=100,
        sent=99,
        answered=98,
        finished=97,
        answered_p50=0.01,
        answered_p99=0.03,
        finished_p50=None if number == 5 else 0.2,
        finished_p99=None if number == 5 else 0.7,
        lag={"bind_chat": 0.1 * number, "respond": 0.0},
        cpu={"web": 0.4, "postgres": 0.7},
        resident={"web": 90_000_000, "postgres": 300_000_000},
    )


GOOD = Verdict([Finding("lost", 0), Finding("doubled", 0)], {"messages": 1000}, {"accepted": 1000, "done": 1000})
BAD = Verdict([Finding("doubled", 0), Finding("lost", 3, ["m-7 of c-1", "m-9 of c-2"])], {"messages": 1000}, {})
REPORT = Report(
    openchannel="0.1.0",
    started_at=1_790_000_000.0,
    settings={"profile": "steady", "rate": 100.0, "seed": 1, "embedded": True},
    machine={"cpu": "two cores"},
    seconds=20.0,
    measured_from=3.0,
    sent=2000,
    answers={"200": 1999, "503": 1},
    throughput=97.5,
    to_answer=_distribution(0.0002),
    to_last_step=_distribution(0.004),
    timeline=[_second(number) for number in range(20)],
    cpu={"web": 8.0, "postgres": 14.0},
    verdict=GOOD,
    trials=[Trial(100.0, 97.5, 0.2, 0.7, True), Trial(900.0, 400.0, 3.0, 9.0, False)],
    drain=Drain(5000, 2.5),
)
NOTHING = Distribution(0, 0.0, {}, ())
EMPTY = Report("0.1.0", 0.0, {}, {}, 0.0, 0.0, 0, {}, 0.0, NOTHING, NOTHING, (), {}, Verdict((), {}, {}))


class _Reader(HTMLParser):
    """Reads a page; every element that is opened must be closed, in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def _shown(report: Report, width: int = 120) -> str:
    console = Console(record=True, width=width, file=io.StringIO())
    show(report, console)
    return console.export_text()


def test_json_comes_back_as_the_same_report():
    """Whatever a report holds is in its JSON; what is no number is null there."""
    again = load(dump(REPORT))
    assert dump(again) == dump(REPORT)
    assert again.to_last_step.at == REPORT.to_last_step.at
    assert again.timeline[5] == _second(5)
    assert (again.verdict.ledger, again.verdict.balances) == (GOOD.ledger, True)
    assert (again.trials, again.drain) == (REPORT.trials, REPORT.drain)
    strange = replace(REPORT, timeline=[replace(_second(0), finished_p99=float("nan"))])
    assert load(dump(strange)).timeline[0].finished_p99 is None


def test_json_has_stable_keys():
    """`format` and `balances` come first, then the fields of the report; percentiles are named as they are written."""
    document = json.loads(dump(replace(REPORT, verdict=BAD)))
    assert list(document) == ["format", "balances", *(field.name for field in fields(Report))]
    assert (document["format"], document["balances"]) == (1, False)
    assert list(document["to_answer"]["at"]) == ["50", "75", "90", "95", "99", "99.9", "99.99", "100"]
    assert document["verdict"]["findings"][1] == {"name": "lost", "n": 3, "examples": ["m-7 of c-1", "m-9 of c-2"]}


@pytest.mark.parametrize("text", ["", "[]", '{"format": 2}', '{"format": 1}', '{"sent": 1}'])
def test_what_is_no_report_is_refused(text):
    """A foreign file, or one of another format, is named as such."""
    with pytest.raises(UnreadableReportError):
        load(text)


def test_both_files_are_written_into_a_new_folder(tmp_path: Path):
    """A folder that is not there is made; an earlier report in it is replaced."""
    folder = tmp_path / "a" / "b"
    assert write(REPORT, folder) == [folder / "report.json", folder / "report.html"]
    write(replace(REPORT, sent=7), folder)
    assert load((folder / "report.json").read_text(encoding="utf-8")).sent == 7
    assert "7 messages sent" in (folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("report", [REPORT, EMPTY, replace(REPORT, verdict=BAD)], ids=["full", "empty", "bad"])
def test_the_page_is_whole_and_loads_nothing(report):
    """Well-formed; no script, no reference to anything outside; every plot has a title and a description."""
    text = page(report)
    read = _Reader(text)
    assert not {"script", "link", "img", "iframe", "object", "image", "use"} & set(read.elements)
    assert {name for name, _ in read.attributes} & {"src", "href", "xlink:href", "srcset", "style"} == set()
    assert set(re.findall(r"https?://[^\"\s<]*", text)) == {"http://www.w3.org/2000/svg"}
    assert "@import" not in text
    assert "url(" not in text
    ids = [value for name, value in read.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    labels = [value.split() for name, value in read.attributes if name == "aria-labelledby"]
    assert len(labels) == 6
    assert {one for label in labels for one in label} == set(ids)
    assert not [path for path in re.findall(r' d="([^"]*)"', text) if re.search("nan|inf", path)]


def test_the_page_draws_a_line_for_each_series():
    """The plots hold what was measured: a second without a value is a gap in its line."""
    text = page(REPORT)
    latency = text[text.index('id="latency-title"') : text.index("Latency by percentile")]
    lines = {
        name: path for path, name in re.findall(r'<path class="line [^"]*" d="([^"]*)"><title>([^<]*)</title>', latency)
    }
    assert lines["to the 2xx, p99"].count("M") == 1
    assert lines["to the 2xx, p99"].count("L") == 19
    assert lines["to the last step, p99"].count("M") == 2
    assert lines["to the last step, p99"].count("L") == 17
    for shown in ("bind_chat", "postgres", "warm-up, not measured", "99.9 %", "A backlog of 5,000 items", "steady"):
        assert shown in text


def test_a_test_without_a_measurement_says_so():
    """Nothing sent, nothing looked for: no empty verdict passes for a good one."""
    text = page(EMPTY)
    assert text.count("nothing was measured") == 6
    assert "There is no verdict" in text
    assert "It balances" not in text
    assert _shown(EMPTY).startswith("There is no verdict")


def test_hostile_names_are_only_text():
    """Names of steps, processes, settings, answers and examples neither become elements nor escape sequences."""
    second = replace(_second(0), lag={HOSTILE: 1.0}, cpu={HOSTILE: 1.0}, resident={HOSTILE: 1})
    report = replace(
        REPORT,
        openchannel=HOSTILE,
        settings={HOSTILE: HOSTILE},
        machine={HOSTILE: HOSTILE},
        answers={HOSTILE: 1},
        timeline=[second, second],
        cpu={HOSTILE: 1.0},
        verdict=Verdict([Finding(HOSTILE, 1, [HOSTILE])], {HOSTILE: 1}, {HOSTILE: 1}),
    )
    text = page(report)
    assert set(_Reader(text).elements) <= set(_Reader(page(REPORT)).elements)
    assert "\x1b" not in text
    assert "".join(_Reader(text).words).count("<script>alert('1')</script>\"&") > 15
    assert "\x1b" not in _shown(report)
    assert load(dump(report)).openchannel == HOSTILE


def test_what_does_not_balance_is_said_first():
    """The first line in the terminal, and the first sentence of the page, with what was found and examples of it."""
    report = replace(REPORT, verdict=BAD)
    text = _shown(report)
    assert text.startswith("It does not balance: 3 lost")
    assert "m-7 of c-1; m-9 of c-2" in text
    html = page(report)
    assert html.index('<p class="verdict bad"><strong>It does not balance: 3 lost') < html.index("<table>")
    assert '<p class="verdict good"' in page(REPORT)


def test_the_terminal_shows_the_figures():
    """Throughput, percentiles, lag, CPU per process kind, tries, and the answers that were not 2xx."""
    text = _shown(REPORT)
    assert text.startswith("It balances")
    for shown in (
        "2,000 messages sent in 20 s, 97.5 finished per second after a warm-up of 3 s",
        "1 times 503",
        "p99.99",
        "404 ms",  # the slowest to the last step
        "1.9 s",  # the longest lag of bind_chat
        "900/s",
        "postgres",
    ):
        assert shown in text, shown


PROGRESS = Progress("running", 12.0, 60.0, 1200, 1190, 1180, 900, 75.0, 0.012, 0.08, {"bind_chat": 1.5}, {"503": 2})


def test_trials_say_whether_they_were_held():
    """Repeats have no limit that they could be under."""
    table = trials_table(REPORT)
    assert table.columns[-1] == "held"
    assert [row[-1] for row in table.rows] == ["yes", "no"]


def test_without_a_terminal_progress_is_lines():
    """One line now and then, and one whenever the phase changes."""
    written = io.StringIO()
    with Live(Console(file=written, width=40)) as live:
        live.show(PROGRESS)
        live.show(replace(PROGRESS, sent=1191))
        live.show(replace(PROGRESS, phase="draining"))
    lines = written.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == ["running:", "draining:"]
    assert "sent=1190" in lines[0]
    assert "lag=bind_chat:1.5 s" in lines[0]
    assert "errors=503:2" in lines[0]


def test_in_a_terminal_progress_is_a_table():
    """Counts, latencies of late, lag by step and errors; what is not known yet is a dash."""
    written = io.StringIO()
    with Live(Console(file=written, width=120, force_terminal=True, color_system=None)) as live:
        live.show(replace(PROGRESS, answered_p50=None))
    text = written.getvalue()
    for shown in ("12 of 60 s", "1,190", "75/s", "80 ms", "–", "bind_chat", "503 2 times"):
        assert shown in text, shown

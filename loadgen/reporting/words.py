"""What a report says in words: the verdict, and the tables that the terminal and the page share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loadgen.report_data import PERCENTILES, Distribution, Report, Verdict
from loadgen.reporting.quantities import amount, duration


@dataclass(frozen=True, slots=True)
class Table:
    """rows: texts, the first of each is its name. bad: rows, by number, that say that something is wrong."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    bad: frozenset[int] = frozenset()


def is_good(verdict: Verdict) -> bool | None:
    """Whether it balances; None where nothing was looked for, which says nothing."""
    return verdict.balances if verdict.findings else None


def verdict_line(verdict: Verdict) -> str:
    """The whole verdict in a sentence."""
    if not verdict.findings:
        return "There is no verdict: nothing was looked for"
    found = [f"{amount(finding.n)} {finding.name}" for finding in verdict.findings if finding.n]
    return f"It does not balance: {', '.join(found)}" if found else "It balances: nothing was found"


def throughput_line(report: Report) -> str:
    """How much in how long."""
    return (
        f"{amount(report.sent)} messages sent in {duration(report.seconds)}, "
        f"{amount(report.throughput)} finished per second after a warm-up of {duration(report.measured_from)}"
    )


def findings_table(verdict: Verdict) -> Table:
    """What was looked for, what was found."""
    rows = [(finding.name, amount(finding.n), "; ".join(finding.examples)) for finding in verdict.findings]
    bad = frozenset(number for number, finding in enumerate(verdict.findings) if finding.n)
    return Table("What was looked for", ("trouble", "found", "examples"), rows, bad)


def latency_table(report: Report) -> Table:
    """Percentiles of both kinds of latency, from the planned time."""
    kinds = (("to the 2xx", report.to_answer), ("to the last step", report.to_last_step))
    columns = ("latency", "messages", "mean", *(_percentile_name(percentile) for percentile in PERCENTILES))
    return Table("Latency from the planned time", columns, [_latency_row(name, one) for name, one in kinds])


def number_tables(report: Report) -> Iterator[Table]:
    """Everything that was counted, as far as there is any."""
    for title, column, numbers in (
        ("Answers by status; 0: none came", "status", report.answers),
        ("What was checked", "kind", report.verdict.checked),
        ("The ledger at the end, in items", "entry", report.verdict.ledger),
    ):
        if numbers:
            yield Table(title, (column, "number"), [(name, amount(number)) for name, number in numbers.items()])


def cpu_table(report: Report) -> Table:
    """What the processes used in all, and for each 1,000 messages that were sent; none where nothing was measured."""
    rows = [
        (kind, amount(used), amount(1000 * used / report.sent) if report.sent else "–")
        for kind, used in report.cpu.items()
    ]
    return Table("CPU seconds", ("process", "in all", "per 1,000 messages"), rows)


def trials_table(report: Report) -> Table:
    """The tries of a search, or the repeats."""
    rows = [
        (
            f"{amount(trial.rate)}/s",
            f"{amount(trial.finished_rate)}/s",
            duration(trial.p50),
            duration(trial.p99),
            "yes" if trial.held else "no",
        )
        for trial in report.trials
    ]
    return Table("Tries", ("planned", "finished", "p50", "p99", "held"), rows)


def drain_line(report: Report) -> str:
    """The backlog that was worked off; empty if none was built."""
    if report.drain is None:
        return ""
    items, seconds = report.drain.items, report.drain.seconds
    rate = f", {amount(items / seconds)} per second" if seconds > 0 else ""
    return f"A backlog of {amount(items)} items was worked off in {duration(seconds)}{rate}"


def lag_table(report: Report) -> Table:
    """The longest that the oldest item of each step has waited."""
    longest: dict[str, float] = {}
    for second in report.timeline:
        for step, waited in second.lag.items():
            longest[step] = max(waited, longest.get(step, 0.0))
    return Table("Longest lag", ("step", "waited"), [(step, duration(waited)) for step, waited in longest.items()])


def _latency_row(name: str, distribution: Distribution) -> tuple[str, ...]:
    mean = distribution.mean if distribution.count else None
    times = (distribution.at.get(percentile) for percentile in PERCENTILES)
    return name, amount(distribution.count), duration(mean), *map(duration, times)


def _percentile_name(percentile: float) -> str:
    return "longest" if percentile == 100.0 else f"p{percentile:g}"

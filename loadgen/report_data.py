"""What a load test measured and found, as it is shown and written. Times are Unix seconds, durations seconds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PERCENTILES = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99, 100.0)


@dataclass(frozen=True, slots=True)
class Distribution:
    """Latencies of one kind. at: seconds by percentile, each of PERCENTILES. curve: (percentile, seconds), rising.

    Where count is 0, `at` and `curve` are empty, and mean is 0.
    """

    count: int
    mean: float
    at: Mapping[float, float]
    curve: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Second:
    """One second of the test, by the planned times of the messages that belong to it.

    at: seconds since the first planned message. answered and finished count what came to its 2xx or its last step in
    that second; the percentiles are of the messages that were planned in it, None where there were none.
    lag: since when the oldest due item of each step had waited. cpu: seconds used by each kind of process.
    resident: bytes by kind of process. Empty where the system runs elsewhere.
    """

    at: float
    planned: int
    sent: int
    answered: int
    finished: int
    answered_p50: float | None
    answered_p99: float | None
    finished_p50: float | None
    finished_p99: float | None
    lag: Mapping[str, float]
    cpu: Mapping[str, float]
    resident: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of trouble that the verdict looked for. examples: a few, in words; empty where n is 0."""

    name: str
    n: int
    examples: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the system did, held against what was sent. checked: how many of each kind were looked at."""

    findings: Sequence[Finding]
    checked: Mapping[str, int]
    ledger: Mapping[str, int]

    @property
    def balances(self) -> bool:
        """Whether nothing was found."""
        return not any(finding.n for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Trial:
    """One try of `--find-max`, or one repeat. p99: to the last step.

    held: whether the verdict balances and anything was measured; in a search also whether p99 stayed under the limit.
    """

    rate: float
    finished_rate: float
    p50: float
    p99: float
    held: bool


@dataclass(frozen=True, slots=True)
class Drain:
    """A backlog that was built and then worked off."""

    items: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """All of one test. settings: how it was asked for. answers: responses by status, `0` where none came.

    measured_from: seconds since the first planned message at which the warm-up ended.
    """

    openchannel: str
    started_at: float
    settings: Mapping[str, str | int | float | bool]
    machine: Mapping[str, str]
    seconds: float
    measured_from: float
    sent: int
    answers: Mapping[str, int]
    throughput: float
    to_answer: Distribution
    to_last_step: Distribution
    timeline: Sequence[Second]
    cpu: Mapping[str, float]
    verdict: Verdict
    trials: Sequence[Trial] = ()
    drain: Drain | None = None

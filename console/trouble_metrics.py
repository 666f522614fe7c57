"""What of the metrics tells of failures: dead letters, deaths, replays, paused steps, alerts."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from config.topology import INBOX_STEPS, Step
from crm_store import alerts, brakes, dead_letters, deaths, replays
from crm_store.alerts import AlertState
from crm_store.database import Connection
from crm_store.dead_letters import LetterState
from crm_store.replays import ReplayState

MOST_CAUSES = 50
"""Pairs of step and reason that have labels of their own; a receiver may answer with any status of HTTP."""

OTHER = "other"

Cause = tuple[str, str]
"""Step and reason."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """All of it at one moment. letters: by cause and state. oldest: seconds."""

    letters: Mapping[Cause, Mapping[LetterState, int]]
    oldest: float
    deaths: Mapping[Cause, int]
    paused: frozenset[Step]
    engaged: Mapping[Step, int]
    alerts: Mapping[AlertState, int]
    replays: Mapping[ReplayState, int]


def read_trouble(connection: Connection) -> Trouble:
    """As the database has it now."""
    died = deaths.read(connection)
    return Trouble(
        dead_letters.by_cause_and_state(connection),
        dead_letters.oldest_dead(connection),
        died,
        frozenset(brake.step for brake in brakes.on(connection)),
        brakes.engaged(connection),
        alerts.by_state(connection),
        replays.by_state(connection),
    )


def trouble_metrics(read: Trouble, meanings: Mapping[str, str]) -> Iterator[Metric]:
    """The metrics, with their meanings by name."""
    named = _with_labels(read.deaths)
    yield _letters(read.letters, named, meanings["openchannel_dead_letters"])
    name = "openchannel_dead_letters_oldest_seconds"
    yield GaugeMetricFamily(name, meanings[name], value=read.oldest)
    counted: dict[Cause, int] = {}
    for cause, count in read.deaths.items():
        label = _label(cause, named)
        counted[label] = counted.get(label, 0) + count
    died = CounterMetricFamily("openchannel_deaths", meanings["openchannel_deaths"], labels=["step", "reason"])
    for cause, count in counted.items():
        died.add_metric(list(cause), count)
    yield died
    paused = GaugeMetricFamily("openchannel_step_paused", meanings["openchannel_step_paused"], labels=["step"])
    engaged = CounterMetricFamily("openchannel_step_brakes", meanings["openchannel_step_brakes"], labels=["step"])
    for step in INBOX_STEPS:
        paused.add_metric([step], step in read.paused)
        engaged.add_metric([step], read.engaged.get(step, 0))
    yield paused
    yield engaged
    told = GaugeMetricFamily("openchannel_alerts", meanings["openchannel_alerts"], labels=["state"])
    for state, count in read.alerts.items():
        told.add_metric([state], count)
    yield told
    replayed = GaugeMetricFamily("openchannel_replays", meanings["openchannel_replays"], labels=["state"])
    for replay_state, count in read.replays.items():
        replayed.add_metric([replay_state], count)
    yield replayed


def _letters(letters: Mapping[Cause, Mapping[LetterState, int]], named: frozenset[Cause], meaning: str) -> Metric:
    counted: dict[tuple[LetterState, Cause], int] = {}
    for cause, states in letters.items():
        for state in LetterState:
            label = (state, _label(cause, named))
            counted[label] = counted.get(label, 0) + states.get(state, 0)
    family = GaugeMetricFamily("openchannel_dead_letters", meaning, labels=["state", "step", "reason"])
    for (state, cause), count in counted.items():
        family.add_metric([state, *cause], count)
    return family


def _with_labels(died: Mapping[Cause, int]) -> frozenset[Cause]:
    """The commonest; by what died ever, so that a label does not come and go with its letters."""
    commonest: Iterable[Cause] = sorted(died, key=lambda cause: (-died[cause], cause))
    return frozenset(list(commonest)[:MOST_CAUSES])


def _label(cause: Cause, named: frozenset[Cause]) -> Cause:
    step, _ = cause
    return cause if cause in named else (step, OTHER)

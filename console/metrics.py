"""Metrics for Prometheus, read from the database: they are the same whichever process is asked.

Counters begin at the first item ever accepted and do not fall when a process is restarted.
"""

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from config.topology import INBOX_STEPS, Step
from console.dependencies import Dependencies
from console.problems import documented
from console.trouble_metrics import Trouble, read_trouble, trouble_metrics
from crm_store import costs, inbox, ledger, outbox
from crm_store.costs import StepCost
from crm_store.ledger import Ledger
from crm_store.views import figures, snapshot

MEANINGS = {
    # The ledger, in items: accepted = done + ignored + dead + discarded + pending. The first three have `_total`;
    # what is dead or discarded may be replayed or restored.
    "openchannel_inbox_accepted": "Items that were answered 2xx.",
    "openchannel_inbox_done": "Items that went through.",
    "openchannel_inbox_ignored": "Items that make nothing: statuses, echoes, groups (C5).",
    "openchannel_inbox_dead": "Items that were given up and wait for a person.",
    "openchannel_inbox_discarded": "Items that a person has discarded, or erased before they were done.",
    "openchannel_inbox_pending": "Items in some step.",
    # How far behind, and why. By `step`; `deliver` works on the outbox.
    "openchannel_step_lag_seconds": "Since when the oldest due item of a step has waited; 0 if none is due.",
    "openchannel_step_seconds": "Batches of a step: their number, and seconds from claim to commit.",
    "openchannel_step_items": "Items that went through a step, with `_total`.",
    # By `step`. A paused step is one of which nearly everything fails.
    "openchannel_step_paused": "1 while a step is paused, else 0.",
    "openchannel_step_brakes": "Times that a step was paused because nearly everything of it failed, with `_total`.",
    # Dead letters of items and of deliveries. By `state`, `step`, `reason`; rare reasons beyond a number are `other`.
    "openchannel_dead_letters": "Dead letters, by where they stand.",
    "openchannel_dead_letters_oldest_seconds": "Since when the oldest letter waits for a person; 0 if none.",
    # By `step`, `reason`, as above. It does not fall when letters are replayed or deleted.
    "openchannel_deaths": "Times that something was given up, with `_total`; a replay that fails is another one.",
    # By `state`.
    "openchannel_alerts": "Alerts of the last month: waiting, sent, failed, logged.",
    "openchannel_replays": "Replays of dead letters: running, stopped, braked, done.",
    # By `queue`; absent while the broker is away.
    "openchannel_task_queue_depth": "Task messages that no worker has taken.",
    # What the desk has. By `status` (S1), by `type` (C1).
    "openchannel_dialogs": "Dialogs.",
    "openchannel_cards": "Live cards; provisional ones are none.",
}
"""Names and meanings of all metrics."""

SHORTEST_REST = 1.0
"""Seconds for which what was read is served again."""

RESTING_SHARE = 20
"""Counting takes at most about one part in so many of the time, however much there is to count."""

router = APIRouter(tags=["health"])


@dataclass(frozen=True, slots=True)
class Reading:
    """All that is read from the database at once."""

    ledger: Ledger
    lags: Mapping[str, float]
    costs: tuple[StepCost, ...]
    dialogs: Mapping[str, int]
    cards: Mapping[str, int]
    trouble: Trouble


@dataclass(slots=True)
class _Cache:
    reading: Reading | None = None
    good_until: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


class DeskCollector(Collector):
    """Reads when it is asked; many who ask at once share one reading."""

    def __init__(self, needs: Dependencies) -> None:
        self._needs = needs
        self._cache = _Cache()

    def collect(self) -> Iterable[Metric]:
        """Raises DatabaseAwayError."""
        reading = self._read()
        yield from _of_ledger(reading.ledger)
        yield _gauge("openchannel_step_lag_seconds", "step", reading.lags)
        yield from _of_costs(reading.costs)
        yield _gauge("openchannel_task_queue_depth", "queue", self._needs.depths())
        yield _gauge("openchannel_dialogs", "status", reading.dialogs)
        yield _gauge("openchannel_cards", "type", reading.cards)
        yield from trouble_metrics(reading.trouble, MEANINGS)

    def _read(self) -> Reading:
        with self._cache.lock:
            now = time.monotonic()
            if self._cache.reading is None or now >= self._cache.good_until:
                self._cache.reading = _read(self._needs)
                took = time.monotonic() - now
                self._cache.good_until = now + max(SHORTEST_REST, RESTING_SHARE * took)
            return self._cache.reading


def registry_of(needs: Dependencies) -> CollectorRegistry:
    """A registry of its own: nothing of the process or of other libraries is in it."""
    registry = CollectorRegistry()
    registry.register(DeskCollector(needs))
    return registry


@router.get("/metrics", response_class=Response, responses=documented(503))
def metrics(request: Request) -> Response:
    """In the text format of Prometheus."""
    return Response(generate_latest(request.app.state.registry), media_type=CONTENT_TYPE_LATEST)


def _read(needs: Dependencies) -> Reading:
    with snapshot(needs.database) as connection:
        lags = dict.fromkeys(map(str, Step), 0.0) | {
            str(step): lag for step, lag in inbox.oldest_due(connection).items()
        }
        lags[str(Step.DELIVER)] = outbox.oldest_due(connection) or 0.0
        return Reading(
            ledger.read(connection),
            lags,
            tuple(costs.read(connection)),
            {str(status): count for status, count in figures.dialogs_by_status(connection).items()},
            {str(card_type): count for card_type, count in figures.cards_by_type(connection).items()},
            read_trouble(connection),
        )


def _of_ledger(read: Ledger) -> Iterable[Metric]:
    for outcome in ("accepted", "done", "ignored"):
        name = f"openchannel_inbox_{outcome}"
        yield CounterMetricFamily(name, MEANINGS[name], value=getattr(read, outcome))
    for outcome in ("dead", "discarded", "pending"):
        name = f"openchannel_inbox_{outcome}"
        yield GaugeMetricFamily(name, MEANINGS[name], value=getattr(read, outcome))


def _of_costs(read: Iterable[StepCost]) -> Iterable[Metric]:
    by_step = {cost.step: cost for cost in read}
    seconds = SummaryMetricFamily("openchannel_step_seconds", MEANINGS["openchannel_step_seconds"], labels=["step"])
    items = CounterMetricFamily("openchannel_step_items", MEANINGS["openchannel_step_items"], labels=["step"])
    for step in map(str, (*INBOX_STEPS, Step.DELIVER)):
        cost = by_step.get(step, StepCost(step, 0, 0, 0.0))
        seconds.add_metric([step], count_value=cost.batches, sum_value=cost.seconds)
        items.add_metric([step], cost.items)
    yield seconds
    yield items


def _gauge(name: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, MEANINGS[name], labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family

"""`filled`: throughput of a system with millions of cards, by how many there are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench.results import cpu_per_thousand
from bench.rounds import Round, drive, fresh_folder
from bench.scale.part import Bench, Chart, Curve, Goal, Outcome, Part
from bench.scale.seeding import fill
from bench.sides.ours import OURS
from bench.stream import make_stream
from crm_store.migrations import migrate
from runtime.machine import Machine

CARDS = 2_000_000
"""With 4.2 messages in each of their 2.4 million chats: a history of 10 million rows."""

SHARES = (0.1, 0.5, 1.0)
PAIRS = 3
LEAST = 0.85
"""Of the empty system's throughput."""


def judge(rates: Mapping[float, Sequence[float]], empty: Mapping[float, Sequence[float]]) -> Goal:
    """Whether the fullest system keeps its pace. By share of CARDS: messages/s, and those of empty systems beside."""
    full = max(rates)
    ratio = median(rates[full]) / median(empty[full])
    return Goal(f"at least {LEAST:.0%} of the empty system's throughput", f"{ratio:.0%}", ratio >= LEAST)


def measure(bench: Bench) -> Outcome:
    """Rounds in one folder that is filled step by step, each beside a round in an empty one, in alternating order."""
    full: dict[float, list[Round]] = {}
    empty: dict[float, list[Round]] = {}
    points: list[dict[str, Any]] = []
    before = 0
    with fresh_folder() as folder:
        for number, share in enumerate(SHARES):
            cards = bench.sized(round(CARDS * share))
            history = _fill(bench, folder, before, cards - before)
            before = cards
            bench.tell(f"{cards:,} cards, {history:,} messages in the history")
            full[share], empty[share] = [], []
            for pair in range(PAIRS):
                seed = bench.seed + 100 * number + pair
                for is_filled in (True, False) if pair % 2 else (False, True):
                    made = _round_in(bench, folder, seed) if is_filled else bench.round(seed)
                    (full if is_filled else empty)[share].append(made)
                    bench.tell(f"  {'filled' if is_filled else 'empty'}: {made.rate:,.0f} messages/s")
            points.append(_point(cards, history, full[share], empty[share]))
    goal = judge(_rates(full), _rates(empty))
    ratios = [(0.0, 1.0), *((float(point["cards"]), point["ratio"]) for point in points)]
    chart = Chart(
        "Throughput by what is there already", "cards", "share of the empty system's", [Curve("ratio", ratios)], LEAST
    )
    return Outcome({"points": points}, [goal], [chart])


def _rates(rounds: Mapping[float, Sequence[Round]]) -> dict[float, list[float]]:
    return {share: [made.rate for made in of_share] for share, of_share in rounds.items()}


def _point(cards: int, history: int, full: Sequence[Round], empty: Sequence[Round]) -> dict[str, Any]:
    """CPU is told beside the throughput: of a noisy machine it says more."""
    return {
        "cards": cards,
        "history_rows": history,
        "messages_per_second": [round(made.rate, 1) for made in full],
        "empty_messages_per_second": [round(made.rate, 1) for made in empty],
        "ratio": round(median(made.rate for made in full) / median(made.rate for made in empty), 3),
        "cpu_seconds_per_1000_messages": cpu_per_thousand(full),
        "empty_cpu_seconds_per_1000_messages": cpu_per_thousand(empty),
    }


def _fill(bench: Bench, folder: Path, before: int, cards: int) -> int:
    with Machine(folder, None, None) as machine:
        migrate(machine.database_url)
        return fill(machine.database_url, before, cards, lambda step: bench.tell(f"  filling: {step}"))


def _round_in(bench: Bench, folder: Path, seed: int) -> Round:
    stream = make_stream(seed, bench.sized(bench.messages))
    with OURS.start(folder, seed) as running:
        return drive(running, stream)


PART = Part("filled", "2,000,000 cards and 10,000,000 messages are there already", measure)

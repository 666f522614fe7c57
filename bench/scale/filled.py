"""`filled`: throughput of a system with millions of cards, by how many there are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

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
    rates: dict[float, list[float]] = {}
    empty: dict[float, list[float]] = {}
    history: dict[float, int] = {}
    with fresh_folder() as folder:
        for number, share in enumerate(SHARES):
            before = 0 if number == 0 else bench.sized(round(CARDS * SHARES[number - 1]))
            cards = bench.sized(round(CARDS * share))
            history[share] = _fill(bench, folder, before, cards - before)
            bench.tell(f"{cards:,} cards, {history[share]:,} messages in the history")
            rates[share], empty[share] = [], []
            for pair in range(PAIRS):
                seed = bench.seed + 100 * number + pair
                order = (True, False) if pair % 2 else (False, True)
                for is_filled in order:
                    made = _round_in(bench, folder, seed) if is_filled else bench.round(seed)
                    (rates if is_filled else empty)[share].append(made.rate)
                    bench.tell(f"  {'filled' if is_filled else 'empty'}: {made.rate:,.0f} messages/s")
    ratios = {share: median(rates[share]) / median(empty[share]) for share in SHARES}
    figures = {
        "points": [
            {
                "cards": bench.sized(round(CARDS * share)),
                "history_rows": history[share],
                "messages_per_second": [round(rate, 1) for rate in rates[share]],
                "empty_messages_per_second": [round(rate, 1) for rate in empty[share]],
                "ratio": round(ratios[share], 3),
            }
            for share in SHARES
        ],
    }
    points = [(0.0, 1.0), *((float(bench.sized(round(CARDS * share))), ratios[share]) for share in SHARES)]
    chart = Chart(
        "Throughput by what is there already", "cards", "share of the empty system's", [Curve("ratio", points)], LEAST
    )
    return Outcome(figures, [judge(rates, empty)], [chart])


def _fill(bench: Bench, folder: Path, before: int, cards: int) -> int:
    with Machine(folder, None, None) as machine:
        migrate(machine.database_url)
        return fill(machine.database_url, before, cards, lambda step: bench.tell(f"  filling: {step}"))


def _round_in(bench: Bench, folder: Path, seed: int) -> Round:
    stream = make_stream(seed, bench.sized(bench.messages))
    with OURS.start(folder, seed) as running:
        return drive(running, stream)


PART = Part("filled", "2,000,000 cards and 10,000,000 messages are there already", measure)

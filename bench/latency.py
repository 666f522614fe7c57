"""Latency of ours under an open model: at rest, at half of the measured throughput, and at the knee."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from bench.driver import percentile, planned_times
from bench.rounds import Round, run_round
from bench.sides.side import Side
from bench.stream import Stream, make_stream

LIMIT = 1.0
"""Seconds under which p99 stays up to the knee."""

REST = 10.0
"""Messages a second at which each is alone."""

REST_MESSAGES = 200

WARM_UP = 2.0
"""Seconds at the beginning whose messages are checked but not measured: processes open their connections."""

KNEE_STEPS = 4


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from a message's planned time to its last step. rate: messages per second, as planned.

    answered: to the 2xx. seconds: for how long messages were due.
    """

    rate: float
    seconds: float
    p50: float
    p99: float
    longest: float
    answered_p50: float
    answered_p99: float


def measure(side: Side, seed: int, rate: float, seconds: float) -> Latency:
    """Send at a rate for so long. Raises RoundError if the side does not balance."""
    stream = stream_for(seed, rate, seconds)
    made = run_round(side, stream, rate)
    return of_round(made, stream, rate, seconds)


def stream_for(seed: int, rate: float, seconds: float) -> Stream:
    """What is due at this rate in WARM_UP and so many seconds."""
    return make_stream(seed, max(100, round(rate * (WARM_UP + seconds))))


def find_knee(
    side: Side, seed: int, at_half: Latency, throughput: float, seconds: float, told: Callable[[Latency], None]
) -> Latency:
    """The highest rate found at which p99 stays under LIMIT, by halving what lies above half the throughput."""
    best, too_high = at_half, 1.2 * throughput
    for step in range(1, KNEE_STEPS + 1):
        tried = measure(side, seed + step, (best.rate + too_high) / 2, seconds)
        told(tried)
        if tried.p99 < LIMIT:
            best = tried
        else:
            too_high = tried.rate
    return best


def of_round(made: Round, stream: Stream, rate: float, seconds: float) -> Latency:
    """Of a round whose messages were due at this rate for WARM_UP and so many seconds."""
    # A repeat has a planned time of its own, but nothing is done for it: only first requests count.
    due: dict[int, float] = {}
    for at, said in zip(planned_times(stream.seed, rate, len(stream.requests)), stream.requests, strict=True):
        due.setdefault(said.number, at)
    waited = [made.finished[number] - made.sending.began - at for number, at in due.items() if at >= WARM_UP]
    return Latency(
        rate=rate,
        seconds=seconds,
        p50=percentile(waited, 0.5),
        p99=percentile(waited, 0.99),
        longest=max(waited),
        answered_p50=made.sending.answered_p50 or math.nan,
        answered_p99=made.sending.answered_p99 or math.nan,
    )

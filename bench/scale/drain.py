"""`drain`: a backlog that came while no worker ran, and how fast it goes."""

import time
from collections.abc import Sequence

from bench.rounds import checked, fresh_folder, ready_driver, send, wait_until_done
from bench.scale.part import Bench, Chart, Curve, Goal, Outcome, Part
from bench.scale.processes import start_process
from bench.sides.ours import OURS
from bench.stream import make_stream

BACKLOG = 300_000
WORKERS = ("worker-1", "worker-2")
POINTS = 60


def judge(drain: float, steady: float) -> Goal:
    """Messages per second, both."""
    return Goal(
        f"a backlog drains at least at the steady rate, {steady:,.0f}/s",
        f"{drain:,.0f}/s, {drain / steady:.2f} times",
        drain >= steady,
    )


def measure(bench: Bench) -> Outcome:
    """Accept everything with the workers stopped, start them, and wait until all is done and balances."""
    steady = bench.steady_rate()
    stream = make_stream(bench.seed + 1, bench.sized(BACKLOG))
    with fresh_folder() as folder, OURS.start(folder, stream.seed) as running:
        for name in WORKERS:
            running.supervisor.stop(name)
        with ready_driver(running, stream) as driver:
            sending = send(running, driver)
        accepted = len(stream.requests) / sending.seconds
        bench.tell(f"accepted {len(stream.requests):,} webhooks at {accepted:,.0f}/s; the workers start")
        began = time.time()
        for name in WORKERS:
            start_process(running, folder, name, ["cli", "worker", "--role", "inbox"])
        wait_until_done(running)
        finished = sorted(checked(running, stream, sending))
    seconds = finished[-1] - began
    drain = len(finished) / seconds
    bench.tell(f"drained in {seconds:,.1f} s, {drain:,.0f} messages/s")
    figures = {
        "backlog": len(finished),
        "accepted_per_second": round(accepted, 1),
        "drained_per_second": round(drain, 1),
        "steady_per_second": round(steady, 1),
        "seconds": round(seconds, 2),
    }
    points = [(0.0, float(len(finished))), *((at - began, left) for at, left in left_over_time(finished))]
    chart = Chart("A backlog after the workers' start", "seconds", "messages left", [Curve("left", points)])
    return Outcome(figures, [judge(drain, steady)], [chart])


def left_over_time(finished: Sequence[float]) -> list[tuple[float, float]]:
    """Some points of time and how many are not done then. finished: sorted Unix times."""
    step = max(1, len(finished) // POINTS)
    places = [*range(0, len(finished) - 1, step), len(finished) - 1]
    return [(finished[place], float(len(finished) - 1 - place)) for place in places]


PART = Part("drain", "300,000 messages wait when the workers start", measure)

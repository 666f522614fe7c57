"""The results in a terminal."""

from rich.console import Console
from rich.table import Table

from bench.latency import LIMIT, Latency
from bench.results import Results, cpu_per_thousand

KIND_ORDER = ("web", "worker", "courier", "clock", "postgres", "valkey", "driver")


def print_results(console: Console, results: Results) -> None:
    """Throughput and CPU of each side, the ratios, the latencies of ours, and the goals."""
    sides = results.of_sides()
    speed = Table(title=f"{len(results.stream.messages):,} messages, seed {results.stream.seed}: messages per second")
    for header in ("side", "median", "each round"):
        speed.add_column(header, justify="left" if header == "side" else "right")
    for side, rounds in sides.items():
        speed.add_row(side, f"{results.throughput(side):,.0f}", "  ".join(f"{made.rate:,.0f}" for made in rounds))
    console.print(speed)
    costs = {side: cpu_per_thousand(rounds) for side, rounds in sides.items()}
    cost = Table(title="CPU seconds per 1,000 messages")
    for header in ("process", *costs):
        cost.add_column(header, justify="left" if header == "process" else "right")
    for kind in KIND_ORDER:
        cost.add_row(kind, *(f"{cpu[kind]:.2f}" if kind in cpu else "" for cpu in costs.values()))
    sums = (sum(seconds for kind, seconds in cpu.items() if kind != "driver") for cpu in costs.values())
    cost.add_row("all but the driver", *(f"{seconds:.2f}" for seconds in sums))
    console.print(cost)
    for other in ("naive", "loop"):
        ratio = results.ratio(other)
        if ratio is not None:
            console.print(f"ratio_vs_{other} = {ratio:.1f}")
    for name, latency in (
        ("at rest", results.rest),
        ("half load", results.half),
        (f"the knee (p99 < {LIMIT:g} s)", results.knee),
    ):
        if latency:
            console.print(f"{name}: {latency_line(latency)}", soft_wrap=True)
    for goal in results.goals():
        reached = "[green]reached[/]" if goal.reached else "[yellow]not reached[/]"
        console.print(f"goal: {goal.name}: {goal.measured}, {reached}", highlight=False)


def latency_line(latency: Latency) -> str:
    """One measurement in words."""
    return (
        f"{latency.rate:,.0f} messages/s: "
        f"last step p50 {1000 * latency.p50:,.0f} ms, p99 {1000 * latency.p99:,.0f} ms; "
        f"2xx p50 {1000 * latency.answered_p50:,.0f} ms, p99 {1000 * latency.answered_p99:,.0f} ms"
    )

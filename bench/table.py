"""The results in a terminal."""

from rich.console import Console
from rich.table import Table

from bench.latency import LIMIT, Latency
from bench.results import Results, cpu_per_thousand

KIND_ORDER = ("web", "worker", "clock", "postgres", "valkey", "driver")


def print_results(console: Console, results: Results) -> None:
    """Throughput and CPU of each side, the ratios, and the latencies of ours."""
    sides = results.of_sides()
    table = Table(title=f"{len(results.stream.messages):,} messages, seed {results.stream.seed}")
    table.add_column("side")
    table.add_column("messages/s", justify="right")
    table.add_column("rounds", justify="right")
    for kind in KIND_ORDER:
        table.add_column(kind, justify="right")
    table.add_column("all but driver", justify="right")
    for side, rounds in sides.items():
        cpu = cpu_per_thousand(rounds)
        table.add_row(
            side,
            f"{results.throughput(side):,.0f}",
            " ".join(f"{made.rate:,.0f}" for made in rounds),
            *(f"{cpu[kind]:.2f}" if kind in cpu else "" for kind in KIND_ORDER),
            f"{sum(seconds for kind, seconds in cpu.items() if kind != 'driver'):.2f}",
        )
    table.caption = "by kind of process: CPU seconds per 1,000 messages"
    console.print(table)
    for other in ("naive", "loop"):
        ratio = results.ratio(other)
        if ratio is not None:
            console.print(f"ratio_vs_{other} = {ratio:.1f}")
    for name, latency in (("half load", results.half), (f"the knee (p99 < {LIMIT:g} s)", results.knee)):
        if latency:
            console.print(f"{name}: {latency_line(latency)}")


def latency_line(latency: Latency) -> str:
    """One measurement in words."""
    return (
        f"{latency.rate:,.0f} messages/s: "
        f"last step p50 {1000 * latency.p50:,.0f} ms, p99 {1000 * latency.p99:,.0f} ms; "
        f"2xx p50 {1000 * latency.answered_p50:,.0f} ms, p99 {1000 * latency.answered_p99:,.0f} ms"
    )

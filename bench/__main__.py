"""`make bench`: rounds of all sides in turn, then the latency of ours; writes results.json and results.svg."""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench.latency import REST, REST_MESSAGES, Latency, find_knee, measure
from bench.picture import draw
from bench.results import Results
from bench.rounds import Round, RoundError, run_round
from bench.sides.ours import OURS
from bench.sides.plain import LOOP, NAIVE
from bench.stream import Stream, make_stream
from bench.table import latency_line, print_results
from config.logging import configure_logging
from runtime.errors import RuntimeModeError

ROOT = Path(__file__).parents[1]
SIDES = {side.name: side for side in (NAIVE, LOOP, OURS)}


def main() -> None:
    """Exit code 1 if a side does not balance or does not come to an end."""
    given = _arguments()
    out = given.out.absolute()
    console = Console()
    configure_logging("console", "ERROR", "bench")
    try:
        with tempfile.TemporaryDirectory(prefix="openchannel-bench-") as folder:
            apart(folder)
            results = _run(console, given)
    except (RoundError, RuntimeModeError) as error:
        console.print(f"[bold red]FAILED[/]  {error}", highlight=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        console.print("stopped by a signal; nothing is written")
        sys.exit(130)
    print_results(console, results)
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps(results.as_json(ROOT), indent=2) + "\n")
    (out / "results.svg").write_text(draw(results))
    console.print(f"written: {out / 'results.json'}, {out / 'results.svg'}", soft_wrap=True)


def _run(console: Console, given: argparse.Namespace) -> Results:
    stream = make_stream(given.seed, given.messages)
    repeats = len(stream.requests) - len(stream.messages)
    console.print(f"{len(stream.messages):,} messages and {repeats:,} repeats in {len(stream.chats):,} chats")
    console.print(f"{stream.customers:,} customers; {given.rounds} rounds of {', '.join(given.sides)}")
    rounds = _rounds(console, stream, given.sides, given.rounds)
    results = Results(stream, rounds)
    throughput = results.throughput(OURS.name)
    if throughput is None or given.latency_seconds == 0:
        return results

    def tell(latency: Latency) -> None:
        console.print(f"  at {latency_line(latency)}", highlight=False, soft_wrap=True)

    rest = measure(OURS, given.seed, REST, REST_MESSAGES / REST)
    tell(rest)
    half = measure(OURS, given.seed, throughput / 2, given.latency_seconds)
    tell(half)
    knee = find_knee(OURS, given.seed, half, throughput, given.latency_seconds, tell)
    return Results(stream, rounds, rest, half, knee)


def _rounds(console: Console, stream: Stream, sides: Sequence[str], count: int) -> list[Round]:
    """All sides in turn, so that whatever changes on the machine meets all of them."""
    rounds: list[Round] = []
    for number in range(1, count + 1):
        for name in sides:
            os.sync()  # what the last side has left to write is not this one's load
            made = run_round(SIDES[name], stream)
            console.print(f"  round {number}, {name}: {made.rate:,.0f} messages/s, balanced", highlight=False)
            rounds.append(made)
    return rounds


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sides", type=_sides, default=list(SIDES), help="comma-separated: naive, loop, ours")
    parser.add_argument("--latency-seconds", type=float, default=10.0, help="of each rate tried; 0 leaves latency out")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent, help="folder of results.json and results.svg"
    )
    return parser.parse_args()


def _sides(value: str) -> list[str]:
    names = [name.strip() for name in value.split(",") if name.strip()]
    if unknown := set(names) - SIDES.keys():
        raise argparse.ArgumentTypeError(f"no side {', '.join(sorted(unknown))}; there are {', '.join(SIDES)}")
    return names


def apart(folder: str) -> None:
    """Settings of this machine's own desk, in its environment and in `.env`, are not those of the benchmark.

    folder: an empty one, to work in.
    """
    for name in [name for name in os.environ if name.upper().startswith("OPENCHANNEL_")]:
        del os.environ[name]
    os.environ["OPENCHANNEL_WEB__PORT"] = "0"
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    os.chdir(folder)


if __name__ == "__main__":
    main()

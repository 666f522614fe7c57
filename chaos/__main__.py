"""`make chaos`: shakes the real system, and exits with 0 only if everything fired and everything balances."""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from chaos import faults
from chaos.conversations import Planted
from chaos.machine import Layout
from chaos.run import Options, run
from config.logging import configure_logging
from runtime.errors import RuntimeModeError

ROOT = Path(__file__).parents[1]
SMALL_DISK = 1024
"""Megabytes; most of it is taken only while it is full."""


def main() -> None:
    """Exit code 1 if it does not balance or a fault never fired; 2 if the servers cannot be had."""
    given = _arguments()
    console = Console()
    configure_logging("console", "ERROR", "chaos")
    options = Options(
        seed=given.seed,
        kills=given.kills,
        seconds=given.seconds,
        longest=given.longest or max(900.0, 4 * given.seconds, 6.0 * given.kills),
        names=given.faults,
        rate=given.rate,
        trace=given.trace,
        pairs=given.pairs,
        mutation=given.mutation,
        planted=Planted(*given.poison),
        layout=replace(
            Layout(*given.processes), disk=SMALL_DISK if not given.faults or "full-disk" in given.faults else 0
        ),
    )
    folder = Path(tempfile.mkdtemp(prefix="openchannel-chaos-"))
    _apart(folder)
    console.print(f"seed {options.seed}; logs in {folder}", soft_wrap=True)
    try:
        report = run(options, folder, lambda text: console.print(f"  {text}", highlight=False, soft_wrap=True))
    except RuntimeModeError as error:
        console.print(f"[bold red]FAILED[/]  {error}", highlight=False, soft_wrap=True)
        shutil.rmtree(folder, ignore_errors=True)
        sys.exit(2)
    report.show(console)
    report.write(folder)
    if report.failures:
        console.print(f"[bold red]FAILED[/]  with SEED={options.seed}; logs and report in {folder}", soft_wrap=True)
        sys.exit(1)
    if given.out is not None:
        given.out.mkdir(parents=True, exist_ok=True)
        report.write(given.out)
    os.chdir("/")
    shutil.rmtree(folder, ignore_errors=True)
    console.print("[bold green]balanced[/]")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same plan of faults")
    parser.add_argument("--kills", type=int, default=100, help="at the least, of all kinds")
    parser.add_argument("--seconds", type=float, default=90.0, help="for which the storm lasts at the least")
    parser.add_argument("--longest", type=float, help="seconds after which it ends, whatever has not happened yet")
    parser.add_argument("--faults", type=_faults, default=(), help="comma-separated; all if not given")
    parser.add_argument("--rate", type=float, default=40.0, help="new messages per second")
    parser.add_argument("--trace", type=float, default=20.0, help="seconds; 0: no crashes between side effects")
    parser.add_argument("--pairs", type=int, help="of side effects; so many are enough")
    parser.add_argument("--poison", type=_numbers(3), default=(), help="that raises, kills, is unreadable: 4,2,5")
    parser.add_argument("--processes", type=_numbers(4), default=(), help="webs, workers, deliveries, clocks: 2,4,1,2")
    parser.add_argument("--mutation", default="", help="break a guarantee on purpose: a name of chaos.mutations")
    parser.add_argument("--out", type=Path, help="folder in which a report of what balances is kept")
    return parser.parse_args()


def _faults(value: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    try:
        faults.chosen(names)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return names


def _numbers(count: int) -> Callable[[str], tuple[int, ...]]:
    """So many numbers with commas between."""

    def read(value: str) -> tuple[int, ...]:
        try:
            numbers = tuple(map(int, value.split(",")))
        except ValueError:
            numbers = ()
        if len(numbers) != count or min(numbers) < 0:
            raise argparse.ArgumentTypeError(f"{value!r} is not {count} numbers with commas between")
        return numbers

    return read


def _apart(folder: Path) -> None:
    """Settings of this machine's own desk, in its environment and in `.env`, are not those of the round."""
    for name in [name for name in os.environ if name.upper().startswith(("OPENCHANNEL_", "CHAOS_"))]:
        del os.environ[name]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    os.chdir(folder)


if __name__ == "__main__":
    main()

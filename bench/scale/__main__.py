"""`make bench-scale`: the parts one after the other; each is written to scale.json and scale.svg at its end."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.__main__ import ROOT, apart
from bench.rounds import RoundError
from bench.scale import costs, drain, filled, flood, hot_chat, hot_open_channel, memory, web
from bench.scale.part import Bench
from bench.scale.report import JSON_FILE, PICTURE_FILE, entry, show, write
from config.logging import configure_logging
from runtime.errors import RuntimeModeError, StopRequestedError

PARTS = {
    module.PART.name: module.PART for module in (costs, web, filled, hot_chat, hot_open_channel, flood, drain, memory)
}


def main() -> None:
    """Exit code 1 if something does not balance or does not come to an end.

    A goal that is missed is shown and written down, and changes nothing else: noise alone can do it.
    """
    given = _arguments()
    out = given.out.absolute()
    console = Console()
    configure_logging("console", "ERROR", "bench")
    bench = Bench(given.seed, given.messages, given.scale, _teller(console))
    entries: dict[str, Any] = {}
    failed = False
    try:
        with tempfile.TemporaryDirectory(prefix="openchannel-bench-") as folder:
            apart(folder)
            for name in given.parts:
                part = PARTS[name]
                console.print(f"[bold]{name}[/]: {part.title}; scale {given.scale:g}", highlight=False)
                os.sync()  # what the last part has left to write is not this one's load
                try:
                    entries[name] = entry(bench, part.run(bench), ROOT)
                    write(out, entries, list(PARTS))
                except StopRequestedError:
                    raise
                except (RoundError, RuntimeModeError) as error:
                    failed = True
                    console.print(f"[bold red]FAILED[/]  {error}", highlight=False, soft_wrap=True)
    except (KeyboardInterrupt, StopRequestedError):
        console.print("stopped by a signal; the parts that had come to their end are written")
        sys.exit(130)
    show(console, entries)
    if entries:
        console.print(f"written: {out / JSON_FILE}, {out / PICTURE_FILE}", soft_wrap=True)
    sys.exit(1 if failed else 0)


def _teller(console: Console) -> Callable[[str], None]:
    return lambda line: console.print(f"  {line}", highlight=False, soft_wrap=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000, help="of one round at full scale")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1.0, help="share of all sizes; 0.01 is a quick trial")
    parser.add_argument("--parts", type=_parts, default=list(PARTS), help=f"comma-separated: {', '.join(PARTS)}")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1], help="folder of the files")
    return parser.parse_args()


def _parts(value: str) -> list[str]:
    names = [name.strip() for name in value.split(",") if name.strip()]
    if unknown := set(names) - PARTS.keys():
        raise argparse.ArgumentTypeError(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return names


if __name__ == "__main__":
    main()

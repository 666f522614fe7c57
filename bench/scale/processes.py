"""Processes of ours, stopped and started one by one while the rest goes on."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from dotenv import dotenv_values

from bench.sides.side import Running
from cli.composition import MACHINE_FILE
from runtime.child import Child


def start_process(
    running: Running, folder: Path, name: str, module: Sequence[str], ready: Callable[[], bool] | None = None
) -> None:
    """Start `python -m MODULE...` as a child of this name, with the settings of the machine in this data folder."""
    given = dotenv_values(folder / MACHINE_FILE, interpolate=False)
    environment = {variable: value for variable, value in given.items() if value is not None}
    running.supervisor.start(Child(name, [sys.executable, "-m", *module], env=environment, ready=ready))

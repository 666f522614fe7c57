"""The load desk as files that `openchannel apply` takes: its YAML, and the operators' tokens beside it."""

from pathlib import Path

from loadgen.streams.desk import LoadDesk, token_files, yaml_of
from runtime.private_files import write_private

FILE = "desk.yaml"


def write_desk(desk: LoadDesk, folder: Path) -> Path:
    """Write the files, for nobody else to read; returns the YAML's path. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for operator, name in zip(desk.operators, token_files(desk), strict=True):
        write_private(folder / name, f"{operator.token}\n")
    write_private(folder / FILE, yaml_of(desk))
    return folder / FILE

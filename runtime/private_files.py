"""Folders and small files that only their owner may read, written whole or not at all."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from runtime.errors import FolderUnusableError


def make_private_folder(folder: Path, mode: int = 0o700) -> None:
    """Make a folder with its parents, or take the one that is there. Raises FolderUnusableError if it is not ours."""
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise FolderUnusableError(f"The folder {folder} cannot be made: {error.strerror}.") from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise FolderUnusableError(
            f"The folder {folder} belongs to user {folder.stat().st_uid}, and you, user {os.geteuid()}, cannot write in"
            " it. Run as its owner, or name another data folder."
        )


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600; whoever reads it, after a power cut too, finds the old or the new text."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def read_or_make_secret(path: Path) -> str:
    """The secret in this file, made at the first call: 43 characters that need no quoting in URLs or files."""
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        secret = ""
    except OSError as error:
        raise FolderUnusableError(f"{path} cannot be read: {error.strerror}.") from error
    if not secret:
        secret = secrets.token_urlsafe(32)
        write_private(path, secret)
    return secret


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on disk, so that a rename survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""The data folder of one machine: one supervisor at a time, and the secrets that belong to its data."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from runtime.errors import FolderInUseError, FolderUnusableError
from runtime.private_files import make_private_folder, write_private


@dataclass(frozen=True, slots=True)
class MachineSecrets:
    """Made once per data folder. Lost with it: what was encrypted with the key cannot be read again."""

    secret_key: str
    """32 random bytes as URL-safe base64: a Fernet key."""
    api_token: str

    def __repr__(self) -> str:
        return "MachineSecrets(...)"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder, made if needed, for this process. The kernel gives it up when the process ends in any way.

    Raises FolderInUseError if another supervisor holds it, FolderUnusableError if it cannot be written.
    """
    # Others may pass, so that PostgreSQL can run as another user below it; what is in it is closed by itself.
    make_private_folder(folder, 0o711)
    path = folder / "lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise FolderUnusableError(f"{path} cannot be opened: {error.strerror}.") from error
    with os.fdopen(descriptor, "r+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUseError(
                f"openchannel already runs on {folder} (process {file.read().strip() or 'unknown'})."
                " Stop it first, or name another data folder."
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
        # The file stays: were it removed, two could hold locks on two files of one name.


def load_secrets(folder: Path) -> MachineSecrets:
    """The folder's secrets, made at the first call and kept in `secrets.json`, which only its owner may read.

    Raises FolderUnusableError if the file is there but makes no sense: new secrets would make old data unreadable.
    """
    path = folder / "secrets.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return MachineSecrets(secret_key=str(found["secret_key"]), api_token=str(found["api_token"]))
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FolderUnusableError(f"{path} cannot be used: {error!r}. Put back a copy of it.") from error
    made = MachineSecrets(
        secret_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(), api_token=secrets.token_urlsafe(32)
    )
    write_private(path, json.dumps(asdict(made), indent=2) + "\n")
    return made

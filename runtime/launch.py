"""As whom a child runs, and the command line that starts it so (see `runtime.unprivileged`)."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runtime.errors import NoUnprivilegedUserError
from runtime.unprivileged import EXIT_CANNOT_DROP_ROOT

LAUNCHER = Path(__file__).with_name("unprivileged.py")


@dataclass(frozen=True, slots=True)
class Identity:
    """`same`: as we are. `namespace`: not root inside a user namespace, files stay ours. `user`: somebody else."""

    kind: Literal["same", "namespace", "user"]
    uid: int
    gid: int

    def options(self) -> list[str]:
        """The launcher's options for this identity."""
        return [] if self.kind == "same" else [f"--{self.kind}", f"{self.uid}:{self.gid}"]

    def take_over(self, folder: Path) -> None:
        """Give a folder, with all that is in it, to this identity. Nothing to do unless it is another user."""
        if self.kind != "user":
            return
        for path in (folder, *folder.rglob("*")):
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


SAME = Identity("same", -1, -1)


def command(
    argv: Sequence[str],
    *,
    death_signal: signal.Signals = signal.SIGTERM,
    identity: Identity = SAME,
    needs: Sequence[Path] = (),
) -> list[str]:
    """The command line that runs `argv` (its program by full path) under the launcher.

    Must be started by this very process, from a thread that lives as long as the child may: the child gets
    `death_signal` when that thread ends.
    """
    options = ["--parent", str(os.getpid()), "--death-signal", str(int(death_signal)), *identity.options()]
    for folder in needs:
        options += ["--needs", str(folder)]
    return [sys.executable, "-I", "-S", str(LAUNCHER), *options, "--", *argv]


def postgres_identity(folder: Path, program: Path) -> Identity:
    """As whom PostgreSQL can run on `folder`: it refuses root, anybody else runs it as they are.

    For root each way is tried for real, with `program --version` and a look at the folder, and the first that works
    is taken: the folder's owner if that is somebody else already; a user namespace, where nothing changes hands; the
    owner of a folder above (as with sudo in a user's home); the users `postgres` and `nobody`.

    Raises NoUnprivilegedUserError with what each way met, and what to do.
    """
    if os.geteuid() != 0:
        return SAME
    met: list[str] = []
    for identity in _candidates(folder):
        owner_before = folder.stat()
        if identity.kind == "user":
            os.chown(folder, identity.uid, identity.gid)
        probe = subprocess.run(
            command([str(program), "--version"], identity=identity, needs=[folder]),
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        if probe.returncode == 0:
            return identity
        os.chown(folder, owner_before.st_uid, owner_before.st_gid)
        met.append(f"  {_describe(identity)}: {probe.stderr.strip() or f'exit code {probe.returncode}'}")
        if identity.kind == "namespace" and probe.returncode != EXIT_CANNOT_DROP_ROOT:
            met[-1] += " (in the namespace root's right to pass closed folders is gone)"
    raise NoUnprivilegedUserError(
        "PostgreSQL refuses to run as root, and no other way to run it was found:\n"
        + "\n".join(met)
        + f"\nRun openchannel as an ordinary user; or put the project and {folder} where that user may go"
        + " (for example under /srv or /opt); or name a server of your own in OPENCHANNEL_DATABASE__URL."
    )


def _candidates(folder: Path) -> Iterator[Identity]:
    owner = folder.stat()
    if owner.st_uid != 0:
        yield Identity("user", owner.st_uid, owner.st_gid)
    ordinary = _ordinary_user()
    if ordinary is not None:
        yield Identity("namespace", ordinary.pw_uid, ordinary.pw_gid)
    for above in folder.resolve().parents:
        owner = above.stat()
        if owner.st_uid != 0:
            yield Identity("user", owner.st_uid, owner.st_gid)
            break
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        yield Identity("user", entry.pw_uid, entry.pw_gid)


def _ordinary_user() -> pwd.struct_passwd | None:
    """Any user but root who has a name: initdb wants to know the name of the user that it runs as."""
    # `nobody` last: as its number the kernel also shows the files of everybody who is not in the namespace.
    others = [entry for entry in pwd.getpwall() if entry.pw_uid != 0]
    return min(others, key=lambda entry: (entry.pw_name == "nobody", entry.pw_name != "postgres"), default=None)


def _describe(identity: Identity) -> str:
    if identity.kind == "namespace":
        return f"in a user namespace as user {identity.uid}"
    return f"as user {identity.uid}"

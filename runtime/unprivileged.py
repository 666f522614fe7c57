"""The launcher of child processes: give up root, be told of the parent's death, then become the command.

Run by path (`python -I -S .../unprivileged.py [options] -- COMMAND...`), with the standard library alone, so that it
needs neither the working folder nor site-packages. A launcher, not Popen's `preexec_fn`: between fork and exec of a
process with threads hardly any Python code is safe.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1

EXIT_CANNOT_DROP_ROOT = 77
"""Root could not be given up in the way that was asked for."""
EXIT_CANNOT_REACH = 78
"""The user that is left cannot use a folder or the program."""


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def enter_user_namespace(uid: int, gid: int) -> None:
    """Become `uid` in a user namespace of our own; outside it, files still belong to the user who started us.

    Raises OSError where the kernel or a container forbids it.
    """
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    unshare = getattr(_libc(), "unshare", None)
    if unshare is None:
        raise OSError(0, "this system has no user namespaces")
    if unshare(CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    # The kernel accepts a group map only after setgroups is denied.
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {outer_uid} 1"), ("gid_map", f"{gid} {outer_gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:  # noqa: PTH123 - keeps start-up short
            file.write(text)


def become_user(uid: int, gid: int) -> None:
    """Become another user for good, with no supplementary groups. Raises OSError."""
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def die_with_parent(signal_number: int, parent: int) -> None:
    """Have the kernel send us this signal when the thread that forked us ends, as by `kill -9`. Linux only.

    Exits at once if the parent is gone already: its death would not be told any more.
    """
    prctl = getattr(_libc(), "prctl", None)
    if prctl is None or not sys.platform.startswith("linux"):
        return
    prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(128 + signal_number)


def _id_pair(text: str) -> tuple[int, int]:
    uid, _, gid = text.partition(":")
    return int(uid), int(gid)


def main(arguments: list[str]) -> None:
    """Never returns: becomes the command, or exits with one of the codes above and a line on stderr."""
    parser = argparse.ArgumentParser(description="Become a command with fewer rights, tied to its parent's life.")
    parser.add_argument("--parent", type=int, required=True, help="process id that must still be the parent")
    parser.add_argument("--death-signal", type=int, default=int(signal.SIGTERM))
    drop = parser.add_mutually_exclusive_group()
    drop.add_argument("--namespace", type=_id_pair, metavar="UID:GID", help="enter a user namespace as this user")
    drop.add_argument("--user", type=_id_pair, metavar="UID:GID", help="become this user for good")
    parser.add_argument("--needs", action="append", default=[], metavar="FOLDER", help="must be writable afterwards")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    try:
        if options.namespace is not None:
            enter_user_namespace(*options.namespace)
        elif options.user is not None:
            become_user(*options.user)
    except OSError as error:
        sys.stderr.write(f"cannot give up root: {error}\n")
        sys.exit(EXIT_CANNOT_DROP_ROOT)
    for folder in options.needs:
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            sys.stderr.write(f"user {os.getuid()} cannot write in {folder}\n")
            sys.exit(EXIT_CANNOT_REACH)
    # After every change of user: the kernel forgets the death signal when credentials change.
    die_with_parent(options.death_signal, options.parent)
    try:
        os.execv(options.command[0], options.command)  # noqa: S606 - becoming the command is the purpose
    except OSError as error:
        sys.stderr.write(f"user {os.getuid()} cannot run {options.command[0]}: {error}\n")
        sys.exit(EXIT_CANNOT_REACH)


if __name__ == "__main__":
    main(sys.argv[1:])

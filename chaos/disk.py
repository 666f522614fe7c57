"""A small disk of memory for PostgreSQL, so that it can be full. Needs root, and Linux; elsewhere there is none."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path

CLONE_NEWNS = 0x00020000
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

FILLER = "filler"


class Disk:
    """A tmpfs on a folder, seen by this process and its children alone: it is gone with them, however they end.

    Mount it before any thread is started: threads that are there already do not see it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def mount(cls, folder: Path, megabytes: int) -> Disk | None:
        """On a folder, made if needed; None where that is not to be had."""
        if not sys.platform.startswith("linux") or os.geteuid() != 0:
            return None
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        libc = ctypes.CDLL(None, use_errno=True)
        place = os.fsencode(folder)
        if (
            libc.unshare(CLONE_NEWNS) != 0
            or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0
            or libc.mount(b"tmpfs", place, b"tmpfs", 0, b"mode=0700,size=%dm" % megabytes) != 0
        ):
            return None
        return cls(folder)

    def fill(self) -> int:
        """Take all the space that is left; returns the bytes taken."""
        seen = os.statvfs(self.folder)
        free = seen.f_bavail * seen.f_frsize
        taken = 0
        descriptor = os.open(self.folder / FILLER, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            # What others take meanwhile makes the last part fail: then smaller ones, down to a page.
            part = free
            while part >= seen.f_frsize:
                try:
                    os.posix_fallocate(descriptor, taken, part)
                    taken += part
                except OSError:
                    part //= 2
        finally:
            os.close(descriptor)
        return taken

    def free(self) -> None:
        """Give the space back."""
        with suppress(FileNotFoundError):
            (self.folder / FILLER).unlink()

    def unmount(self) -> None:
        """What is on it is gone."""
        ctypes.CDLL(None).umount2(os.fsencode(self.folder), MNT_DETACH)

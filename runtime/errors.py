"""What can go wrong when one machine runs the whole system. Every message says what to do."""

from __future__ import annotations

from typing import ClassVar


class RuntimeModeError(Exception):
    """The base of this package's errors; `reason` is stable, for metrics and scripts."""

    reason: ClassVar[str] = "runtime"


class BinaryMissingError(RuntimeModeError):
    """No usable server program was found; the message names the packages that carry one."""

    reason = "binary_missing"


class FolderInUseError(RuntimeModeError):
    """Another supervisor works on the same data folder."""

    reason = "folder_in_use"


class FolderUnusableError(RuntimeModeError):
    """The data folder cannot be read or written, or holds what this version cannot use."""

    reason = "folder_unusable"


class NoUnprivilegedUserError(RuntimeModeError):
    """Started as root, and no way was found to run PostgreSQL as somebody else."""

    reason = "no_unprivileged_user"


class ChildFailedError(RuntimeModeError):
    """A child did not get ready; the message carries the last lines that it wrote."""

    reason = "child_failed"


class StopRequestedError(RuntimeModeError):
    """SIGINT, SIGTERM or SIGHUP came while something was being waited for: not a failure, the caller winds up."""

    reason = "stop_requested"

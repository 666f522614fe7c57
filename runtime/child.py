"""What the supervisor keeps running, and what it tells about it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from runtime.launch import SAME, Identity


@dataclass(frozen=True, slots=True)
class Child:
    """One process to keep running until it is stopped; whichever way it ends by itself, it is started again."""

    name: str
    argv: Sequence[str]
    """The command; its program by full path."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to this process's own environment."""
    stop_signal: signal.Signals = signal.SIGTERM
    """Asks it to end; also what the kernel sends it when this process dies without stopping it."""
    stop_timeout: float = 10.0
    """Seconds that it has to end, before the next signal."""
    last_signal: signal.Signals | None = None
    """Sent after `stop_timeout`, with five more seconds, before SIGKILL; None goes straight to SIGKILL."""
    ready: Callable[[], bool] | None = None
    """Polled until it is true; must return within a second or so. None: ready as soon as it is started."""
    ready_timeout: float = 60.0
    """Seconds until a start that is not ready counts as failed."""
    before_start: Callable[[], None] | None = None
    """Called before each start and each restart. An exception fails that start."""
    passing_troubles: str = ""
    """Regular expression for lines of a first start's failure that will pass: it is tried again, in `ready_timeout`."""
    identity: Identity = SAME
    cwd: Path | None = None


class ChildState(StrEnum):
    """Where a child is in its life."""

    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting"
    """It ended, and its restart is due after a pause."""
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class ChildStatus:
    """One child for a status display; `since` is when it got into this state, in UTC."""

    name: str
    state: ChildState
    pid: int | None
    restarts: int
    since: datetime
    last_exit: int | None
    """Exit code of its latest end; negative is the number of the signal that ended it."""

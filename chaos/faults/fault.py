"""What a fault is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Protocol, TypeVar

from chaos.channel_api import ChannelApi
from chaos.machine import Machine
from chaos.plan import LASTS

_T = TypeVar("_T")


class Scene(Protocol):
    """What faults act on."""

    machine: Machine
    receiver: ChannelApi
    offsets: dict[str, float]
    """Seconds by which a process's clock is to be off from its next start on, by its name."""


class Fault(ABC):
    """One kind of fault. An instance is used again and again, by one thread."""

    name: ClassVar[str]
    """Stable: in reports, and in FAULTS=."""
    about: ClassVar[str]
    """For the report."""
    weight: ClassVar[int] = 1
    """Of one that does not last: how often it comes, compared with its like."""
    lasts: ClassVar[tuple[float, float] | None] = LASTS
    """Seconds, at the least and at the most; None: it is over at once."""

    def __init__(self) -> None:
        self.fired = 0
        """How often it has met something, not how often it was tried."""

    def possible(self, scene: Scene) -> bool:  # noqa: ARG002  as every fault
        """Whether it is to be had on this machine."""
        return True

    @abstractmethod
    def begin(self, scene: Scene, draw: float) -> None:
        """Let it happen, or begin. Never raises because what it would meet is away at the moment."""

    def go_on(self, scene: Scene) -> None:  # noqa: B027  most faults have nothing to do here
        """Called often while it lasts."""

    def end(self, scene: Scene) -> None:  # noqa: B027  most faults have nothing to do here
        """Heal it."""


def pick(draw: float, among: Sequence[_T]) -> _T:
    """The one that the draw, in [0, 1), falls on."""
    return among[int(draw * len(among))]

"""The network to PostgreSQL and to Valkey: cut, slow, and with one direction swallowed."""

from __future__ import annotations

from chaos.faults.fault import Fault, Scene, pick
from chaos.proxy import Mode, Proxy

SIDES = ("web", "work", "both")
"""The webs' way to a server, that of all others, or both."""


class _Broken(Fault):
    server: str
    modes: tuple[Mode, ...]

    def __init__(self) -> None:
        super().__init__()
        self._broken: list[tuple[Proxy, int]] = []

    def begin(self, scene: Scene, draw: float) -> None:
        side = pick(draw, SIDES)
        mode = pick(draw * 7 % 1, self.modes)
        for (server, of_side), proxy in scene.machine.links.items():
            if server == self.server and side in (of_side, "both"):
                self._broken.append((proxy, proxy.touched))
                proxy.set_mode(mode)

    def end(self, scene: Scene) -> None:  # noqa: ARG002  as every fault
        met = False
        for proxy, touched_before in self._broken:
            proxy.set_mode(Mode.PASS)
            met = met or proxy.touched > touched_before
        self._broken.clear()
        self.fired += met


class CutPostgres(_Broken):
    """Reset, and refused at once."""

    name = "cut-postgres"
    about = "the network to PostgreSQL is cut"
    server = "postgres"
    modes = (Mode.CUT,)


class SlowPostgres(_Broken):
    """Held back and throttled."""

    name = "slow-postgres"
    about = "the network to PostgreSQL is slow"
    server = "postgres"
    modes = (Mode.SLOW,)


class HalfPostgres(_Broken):
    """One direction is swallowed: a COMMIT that never arrives, or its answer."""

    name = "half-postgres"
    about = "one direction of the network to PostgreSQL is swallowed"
    server = "postgres"
    modes = (Mode.DEAF, Mode.MUTE)


class CutValkey(_Broken):
    """Reset, and refused at once."""

    name = "cut-valkey"
    about = "the network to Valkey is cut"
    server = "valkey"
    modes = (Mode.CUT,)


class SlowValkey(_Broken):
    """Held back and throttled."""

    name = "slow-valkey"
    about = "the network to Valkey is slow"
    server = "valkey"
    modes = (Mode.SLOW,)


class HalfValkey(_Broken):
    """One direction is swallowed: a task taken from its queue that never reaches its worker."""

    name = "half-valkey"
    about = "one direction of the network to Valkey is swallowed"
    server = "valkey"
    modes = (Mode.DEAF, Mode.MUTE)

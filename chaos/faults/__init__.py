"""The faults: what is done to the processes, the servers, the network and the surroundings."""

from collections.abc import Collection

from chaos.faults.fault import Fault, Scene
from chaos.faults.kills import (
    KillBackend,
    KillClock,
    KillDelivery,
    KillPostgres,
    KillValkey,
    KillWeb,
    KillWorker,
    StopWorker,
)
from chaos.faults.network import CutPostgres, CutValkey, HalfPostgres, HalfValkey, SlowPostgres, SlowValkey
from chaos.faults.servers import Exhausted, FlushAll, FullDisk
from chaos.faults.surroundings import ClockOffset, FailingReceiver, SilentReceiver, SlowReceiver

__all__ = ["ALL", "Fault", "Scene", "chosen"]

ALL: tuple[type[Fault], ...] = (
    KillWeb,
    KillWorker,
    KillDelivery,
    KillClock,
    KillValkey,
    KillPostgres,
    KillBackend,
    StopWorker,
    FlushAll,
    CutPostgres,
    SlowPostgres,
    HalfPostgres,
    CutValkey,
    SlowValkey,
    HalfValkey,
    Exhausted,
    FullDisk,
    ClockOffset,
    SlowReceiver,
    FailingReceiver,
    SilentReceiver,
)


def chosen(names: Collection[str]) -> list[Fault]:
    """New faults of these names, or of all, in the order of `ALL`. Raises ValueError that names what there is."""
    known = [fault.name for fault in ALL]
    if unknown := set(names) - set(known):
        raise ValueError(f"no fault {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return [fault() for fault in ALL if not names or fault.name in names]

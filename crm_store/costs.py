"""What the steps cost, added up over all workers: batches, items and seconds."""

from dataclasses import dataclass

from config.topology import Step
from crm_store.database import Connection
from crm_store.queries import Queries

_SQL = Queries("costs")


@dataclass(frozen=True, slots=True)
class StepCost:
    """seconds: from the claim to the commit, over all batches."""

    step: str
    batches: int
    items: int
    seconds: float


def enter(connection: Connection, step: Step, items: int, seconds: float) -> None:
    """Add a batch, as part of the caller's transaction."""
    connection.execute(_SQL["enter"], {"step": step, "items": items, "seconds": seconds})


def read(connection: Connection) -> list[StepCost]:
    """The sums per step."""
    return [StepCost(*row) for row in connection.execute(_SQL["read"]).fetchall()]


def fold(connection: Connection) -> None:
    """Compact the entries, so that `read` stays cheap."""
    connection.execute(_SQL["fold"])

"""The ledger, in items: accepted = done + ignored + dead + discarded + pending."""

from collections.abc import Mapping
from dataclasses import dataclass

from crm_store.database import Connection
from crm_store.queries import Queries

_SQL = Queries("ledger")


@dataclass(frozen=True, slots=True)
class Ledger:
    """Where all accepted items are."""

    accepted: int = 0
    done: int = 0
    ignored: int = 0
    dead: int = 0
    discarded: int = 0
    pending: int = 0

    @property
    def balances(self) -> bool:
        """Whether nothing was lost and nothing counted twice."""
        return self.accepted == self.done + self.ignored + self.dead + self.discarded + self.pending

    def __str__(self) -> str:
        return (
            f"accepted={self.accepted} done={self.done} ignored={self.ignored} "
            f"dead={self.dead} discarded={self.discarded} pending={self.pending}"
        )


def enter(connection: Connection, counts: Mapping[str, int]) -> None:
    """Add to the outcomes, as part of the caller's transaction."""
    counts = {outcome: n for outcome, n in counts.items() if n}
    if counts:
        connection.execute(_SQL["enter"], {"outcomes": list(counts), "counts": list(counts.values())})


def read(connection: Connection) -> Ledger:
    """The ledger as of one snapshot."""
    return Ledger(**dict(connection.execute(_SQL["read"]).fetchall()))


def fold(connection: Connection) -> None:
    """Compact the entries, so that `read` stays cheap."""
    connection.execute(_SQL["fold"])

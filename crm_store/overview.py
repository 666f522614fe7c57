"""The whole desk at a glance, for a display that is drawn again every second or so."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from crm_store import ledger
from crm_store.database import Connection
from crm_store.desks import HEARTBEAT_LIMIT
from crm_store.ledger import Ledger
from crm_store.queries import Queries

_SQL = Queries("overview")


@dataclass(frozen=True, slots=True)
class OperatorLoad:
    """An operator now. held: open dialogs that he has. in_all: dialogs that he has or was the last to have."""

    name: str
    online: bool
    held: int
    in_all: int


@dataclass(frozen=True, slots=True)
class DialogChange:
    """One line of the event log. It says nothing of the customer. operator: who acted, or who has the dialog."""

    at: datetime
    dialog_id: int
    open_channel: str
    channel_kind: str
    actor: str
    cause: str
    became: str
    operator: str


@dataclass(frozen=True, slots=True)
class Overview:
    """cards: live ones, by type. dialogs: by status. deliveries: rows of the outbox, by state."""

    ledger: Ledger = field(default_factory=Ledger)
    cards: Mapping[str, int] = field(default_factory=dict)
    dialogs: Mapping[str, int] = field(default_factory=dict)
    deliveries: Mapping[str, int] = field(default_factory=dict)
    operators: tuple[OperatorLoad, ...] = ()
    changes: tuple[DialogChange, ...] = ()

    @property
    def waiting(self) -> int:
        """Dialogs without an operator: the backlog, and those that are offered to all (D4)."""
        return self.dialogs.get("queued", 0) + self.dialogs.get("offered", 0)


def read(connection: Connection, latest: int) -> Overview:
    """Everything, with the `latest` changes of dialogs, newest first. Each part is a snapshot of its own."""
    operators = connection.execute(_SQL["operators"], {"heartbeat_limit": HEARTBEAT_LIMIT}).fetchall()
    changes = connection.execute(_SQL["changes"], {"latest": latest}).fetchall()
    return Overview(
        ledger=ledger.read(connection),
        cards=dict(connection.execute(_SQL["cards"]).fetchall()),
        dialogs=dict(connection.execute(_SQL["dialogs"]).fetchall()),
        deliveries=dict(connection.execute(_SQL["deliveries"]).fetchall()),
        operators=tuple(OperatorLoad(*row) for row in operators),
        changes=tuple(DialogChange(*row) for row in changes),
    )

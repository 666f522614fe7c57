"""What can be seen of the server and of what has gone wrong, for `openchannel doctor`."""

from collections.abc import Mapping
from dataclasses import dataclass

from crm_store.database import Connection
from crm_store.queries import Queries

_SQL = Queries("diagnosis")


@dataclass(frozen=True, slots=True)
class Server:
    """settings: as PostgreSQL writes them, times in milliseconds. connections: of all programs."""

    settings: Mapping[str, str]
    connections: int

    @property
    def version(self) -> int:
        """150004 is 15.4."""
        return int(self.settings["server_version_num"])


def server(connection: Connection) -> Server:
    """The server, as this connection has it."""
    (connections,) = connection.execute(_SQL["connections"]).fetchone() or (0,)
    return Server(dict(connection.execute(_SQL["server_settings"]).fetchall()), connections)


def has_sessions(connection: Connection, application_name: str) -> bool:
    """Whether a process of this name is connected to this database."""
    row = connection.execute(_SQL["has_sessions"], {"name": application_name}).fetchone()
    return bool(row and row[0])


def dead_letters(connection: Connection) -> tuple[int, int]:
    """Dead letters that nobody has dealt with: in all, and of the last day."""
    total, recent = connection.execute(_SQL["dead_letters"]).fetchone() or (0, 0)
    return total, recent


def unsent(connection: Connection) -> dict[str, int]:
    """Messages to customers that were given up (`failed`) or cannot be sent yet (`held`)."""
    return dict(connection.execute(_SQL["deliveries"]).fetchall())


def waiting(connection: Connection) -> dict[int, int]:
    """Dialogs without an operator, by open channel id."""
    return dict(connection.execute(_SQL["waiting"]).fetchall())

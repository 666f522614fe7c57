"""Names of open channels and operators become ids; a wrong one comes with the nearest."""

from collections.abc import Mapping

from cli.desks.problems import nearest
from cli.refusals import RefusedError
from crm_store import administration
from crm_store.database import Connection


def open_channel_id(connection: Connection, name: str) -> int:
    """Raises RefusedError, with the nearest name."""
    known = administration.read(connection).open_channels
    return _find("open channel", name, {one: its.id for one, its in known.items()})


def operator_id(connection: Connection, name: str) -> int:
    """Raises RefusedError, with the nearest name."""
    known = administration.read(connection).operators
    return _find("operator", name, {one: his.id for one, his in known.items()})


def _find(what: str, name: str, ids: Mapping[str, int]) -> int:
    if name not in ids:
        raise RefusedError(f'there is no {what} "{name}"{nearest(name, ids) or "; see openchannel export"}')
    return ids[name]

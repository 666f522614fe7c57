"""Placeholder until roles are merged."""

from console.security import Caller, Operator
from crm_store import seats
from crm_store.database import Connection
from crm_store.dialogs import LockedDialog
from tracker.access import Standing


def standing(connection: Connection, caller: Caller, dialog: LockedDialog) -> Standing:
    """What the caller is to a dialog."""
    if not isinstance(caller, Operator):
        return Standing(None, supervises=True)
    from tracker.channels import OpenChannelSettings

    found = seats.read_some(connection, dialog.open_channel_id, OpenChannelSettings(), [caller.id])
    return Standing(caller.id, on_roster=caller.id in found and found[caller.id].position >= 0)

"""What a dialog ends with: a text, a while in which the customer may come back, and the end (S4, A5).

Lock order: the chat and the dialog (by the caller), timers, outbox.
"""

from config.topology import Step
from crm_store import chats, dialogs, events, outbox, returning, timers
from crm_store.chats import OutboundEntry
from crm_store.database import Connection
from crm_store.dialogs import LockedDialog
from crm_store.timers import NewClock
from tracker.channels import OpenChannelSettings
from tracker.dialogs import Clock, DialogStatus, after_close
from worker.senders import SENDABLE_KINDS


def say(connection: Connection, dialog: LockedDialog, text: str, operator_id: int | None = None) -> OutboundEntry:
    """Add a message of ours to the history of a locked chat. operator_id: None where the system speaks."""
    seq = chats.take_seqs(connection, {dialog.chat_id: 1})[dialog.chat_id]
    entry = OutboundEntry(dialog.chat_id, seq, text, dialog.id, operator_id)
    chats.append_outbound(connection, [entry])
    return entry


def wind_up(
    connection: Connection, dialog: LockedDialog, settings: OpenChannelSettings, text: str, actor: str, cause: str
) -> set[Step]:
    """Close a locked dialog of a locked chat, with a text: for a while it is closing (S4). A second close ends that.

    What nobody has is closed at once: nobody could go on with it.

    Returns the steps that have work then.
    """
    if dialog.status is DialogStatus.CLOSING:
        text = ""
    if text:
        outbox.insert(connection, [say(connection, dialog, text)], SENDABLE_KINDS)
    if after_close(settings, text, dialog.operator_id) is DialogStatus.CLOSING:
        dialogs.begin_closing(connection, dialog.id)
        timers.stop_clocks(connection, [dialog.id])
        clock = NewClock(Clock.CLOSING, dialog.open_channel_id, dialog.id, settings.full_close_after)
        timers.set_clocks(connection, [clock])
        events.log(connection, [dialog.event(actor, cause, DialogStatus.CLOSING, dialog.operator_id)])
    else:
        returning.close(connection, [dialog], actor, cause)
    return {Step.DELIVER} if text else set()

"""Step 5: what the customer is told automatically; so far that nobody is available (D8, A4).

Lock order: chats (by the claim), dialogs by id, outbox.
"""

from collections.abc import Sequence

from config.topology import Step
from crm_store import chats, desks, dialogs, inbox, outbox
from crm_store.chats import OutboundEntry
from crm_store.database import Connection
from crm_store.dialogs import LockedDialog
from crm_store.inbox import ClaimedItem, Move
from worker.runner import Carried, Outcome
from worker.senders import SENDABLE_KINDS


def respond(connection: Connection, items: Sequence[ClaimedItem], _carried: Carried) -> Outcome:
    """See the module."""
    dialog_ids = {item.dialog_id for item in items if item.dialog_id is not None}
    unnoticed = dialogs.lock_unnoticed(connection, dialog_ids)
    sent = _send_notices(connection, unnoticed) if unnoticed else 0
    return Outcome(
        [Move(item.inbox_id, inbox.DONE) for item in items],
        also_hint=(Step.DELIVER,) if sent else (),
    )


def _send_notices(connection: Connection, unnoticed: Sequence[LockedDialog]) -> int:
    """Tell the customers of these waiting dialogs, once each; returns how many were told.

    What the open channel says where the dialog is handled: it may have been transferred (D10).
    """
    settings = desks.settings_of(connection, {one.open_channel_id for one in unnoticed})
    texts = {one.id: settings[one.open_channel_id].nobody_available_text for one in unnoticed}
    told = [one for one in unnoticed if texts[one.id]]
    if not told:
        return 0
    seqs = chats.take_seqs(connection, {one.chat_id: 1 for one in told})
    entries = [OutboundEntry(one.chat_id, seqs[one.chat_id], texts[one.id], one.id) for one in told]
    chats.append_outbound(connection, entries)
    dialogs.mark_noticed(connection, [one.id for one in told])
    outbox.insert(connection, entries, SENDABLE_KINDS)
    return len(entries)

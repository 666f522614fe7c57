"""Step 5: what the customer is told automatically; so far that nobody is available (D8, A4).

Lock order: chats (by the claim), dialogs by id, outbox.
"""

from collections.abc import Sequence

from config.topology import Step
from crm_store import chats, dialogs, inbox, outbox
from crm_store.chats import OutboundEntry
from crm_store.database import Connection
from crm_store.inbox import ClaimedItem, Move
from worker.runner import Carried, Outcome
from worker.senders import SENDABLE_KINDS


def respond(connection: Connection, items: Sequence[ClaimedItem], _carried: Carried) -> Outcome:
    """See the module."""
    dialog_ids = {item.dialog_id for item in items if item.dialog_id is not None}
    unnoticed = dialogs.lock_unnoticed(connection, dialog_ids)
    sent = _send_notices(connection, unnoticed) if unnoticed else 0
    return Outcome(
        [Move(item.inbox_id, inbox.stage_after(Step.RESPOND)) for item in items],
        also_hint=(Step.DELIVER,) if sent else (),
    )


def _send_notices(connection: Connection, unnoticed: dict[int, int]) -> int:
    """Tell the customers of these waiting dialogs, once each (dialog id to chat id); returns how many were told."""
    contexts = chats.contexts(connection, unnoticed.values())
    notices = {
        dialog_id: chat_id
        for dialog_id, chat_id in unnoticed.items()
        if contexts[chat_id].settings.nobody_available_text
    }
    if not notices:
        return 0
    seqs = chats.take_seqs(connection, dict.fromkeys(notices.values(), 1))
    entries = [
        OutboundEntry(chat_id, seqs[chat_id], contexts[chat_id].settings.nobody_available_text, dialog_id)
        for dialog_id, chat_id in notices.items()
    ]
    chats.append_outbound(connection, entries)
    dialogs.mark_noticed(connection, notices.keys())
    outbox.insert(connection, entries, SENDABLE_KINDS)
    return len(entries)

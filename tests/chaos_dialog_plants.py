"""What may be wrong with dialogs, timers and answers after a round; see `tests.chaos_plants`."""

from collections.abc import Mapping

from tests.chaos_plants import COPY_OF_MESSAGE, DONE, HELD

_ANSWER = "(SELECT chat_id, seq FROM messages WHERE operator_id IS NOT NULL ORDER BY 1, 2 LIMIT 1)"

_OTHER_HELD = f"(SELECT max(id) FROM dialogs WHERE status <> 'closed' AND id <> {HELD})"
_STRICTLY = """(
    SELECT min(dialogs.id) FROM dialogs JOIN open_channels ON open_channels.id = open_channel_id
    WHERE name = 'strictly'
)"""
_QUEUED = f"UPDATE dialogs SET status = 'queued', operator_id = NULL, accepted_at = NULL WHERE id = {HELD}"
_OVERDUE = """
    INSERT INTO timers (kind, open_channel_id, due_at) SELECT 'spoilt', min(id), now() - interval '1 hour'
    FROM open_channels
"""

PLANTED_IN_DIALOGS: Mapping[str, tuple[list[str], str]] = {
    # Dialogs
    "a dialog without a holder": ([f"UPDATE dialogs SET operator_id = NULL WHERE id = {HELD}"], "S1: what is with"),
    "a dialog in the backlog with a holder": (
        [f"UPDATE dialogs SET status = 'queued' WHERE id = {HELD}"],
        "S1: what is with somebody has one holder",
    ),
    "two open dialogs of a chat": (
        [
            "DROP INDEX dialogs_one_open_per_chat",
            f"UPDATE dialogs SET chat_id = (SELECT chat_id FROM dialogs WHERE id = {_OTHER_HELD}) WHERE id = {HELD}",
        ],
        "S1: one open dialog per chat",
    ),
    "a dialog that is not what its last event says": (
        [f"UPDATE dialogs SET status = 'closing' WHERE id = {HELD}"],
        "S1: a dialog is what its last event says",
    ),
    "an assignment that nobody explains": (
        ["DELETE FROM decisions WHERE id = (SELECT min(id) FROM decisions WHERE operator_id IS NOT NULL)"],
        "D12: each assignment",
    ),
    "an offer that nobody explains": (
        ["DELETE FROM decisions WHERE id = (SELECT min(id) FROM decisions WHERE operator_id IS NULL)"],
        "D12: each offer",
    ),
    "an operator above the limit": (
        ["""UPDATE open_channels SET settings = settings || '{"max_dialogs": 0}'"""],
        "D7: nobody has more of an open channel",
    ),
    "an operator above his own limit": (
        ["UPDATE operators SET personal_limit = 1"],
        "D7: nobody has more over all",
    ),
    "a message in a dialog of another chat": (
        [
            f"""UPDATE inbox_state SET dialog_id = (SELECT max(id) FROM dialogs WHERE chat_id <> inbox_state.chat_id)
            WHERE inbox_id = {DONE}"""
        ],
        "none is lost: a customer's message that was distributed",
    ),
    "a dialog that nobody has accepted at any time": (
        [f"UPDATE dialogs SET status = 'accepted', accepted_at = NULL WHERE id = {HELD}"],
        "S1: whoever has accepted it",
    ),
    "an open dialog that was closed at some time": (
        [f"UPDATE dialogs SET closed_at = now() WHERE id = {HELD}"],
        "S1: what is closed says when",
    ),
    "an event that does not follow from the one before": (
        [f"UPDATE events SET was = 'closed' WHERE id = (SELECT max(id) FROM events WHERE dialog_id = {HELD})"],
        "S1: what an event was, the one before became",
    ),
    # Timers
    "a clock that closes what waits for us": (
        [
            f"""WITH ours AS (
                UPDATE dialogs SET status = 'accepted' WHERE id = {HELD} RETURNING open_channel_id, id
            )
            INSERT INTO timers (kind, open_channel_id, dialog_id, due_at)
            SELECT 'auto_close', open_channel_id, id, now() + interval '1 hour' FROM ours"""
        ],
        "S3: the auto-close runs only",
    ),
    "no hand-over clock": (
        [
            f"""WITH gone AS (DELETE FROM timers WHERE kind = 'handover')
            UPDATE dialogs SET status = 'assigned', accepted_at = NULL WHERE id = {HELD}"""
        ],
        "D5: the hand-over clock runs",
    ),
    "no backlog timer": (
        [f"WITH gone AS (DELETE FROM timers WHERE kind = 'backlog') {_QUEUED}"],
        "D8: where something waits",
    ),
    "a free operator whom nobody tells": (
        [
            _QUEUED,
            "UPDATE operators SET online = true, away = false, seen_at = now(), personal_limit = NULL",
            """INSERT INTO timers (kind, open_channel_id, due_at) SELECT 'backlog', id, now() + interval '1 hour'
            FROM open_channels ON CONFLICT (kind, open_channel_id, dialog_id) DO UPDATE SET due_at = excluded.due_at""",
        ],
        "D8: nothing waits for who could have it",
    ),
    "no clock that marks": (
        [
            f"""WITH gone AS (DELETE FROM timers WHERE kind = 'unanswered')
            UPDATE dialogs SET answered_at = NULL, unanswered_at = NULL WHERE id = {HELD}"""
        ],
        "S2: nobody has answered",
    ),
    "no clock that closes": (
        [
            """UPDATE open_channels SET settings = settings || '{"close_after": 60}' WHERE name = 'evenly'""",
            f"UPDATE dialogs SET status = 'awaiting_customer' WHERE id = {HELD}",
        ],
        "S3: the customer is awaited",
    ),
    "no clock of the end": (
        [f"UPDATE dialogs SET status = 'closing' WHERE id = {HELD}"],
        "S4: the clock of the end",
    ),
    "a clock of a dialog that is closed": (
        [
            """INSERT INTO timers (kind, open_channel_id, dialog_id, due_at)
            SELECT 'closing', open_channel_id, id, now() + interval '1 hour' FROM dialogs
            WHERE status = 'closed' LIMIT 1"""
        ],
        "S1: what is closed has no clock",
    ),
    "a timer that nobody works off": (
        [_OVERDUE],
        "timers that nobody works off",
    ),
    # What the product does by itself
    "a card that never became a lead": (
        ["UPDATE cards SET type = 'provisional' WHERE id = (SELECT min(id) FROM cards WHERE live_id IS NULL)"],
        "C3: whoever has written has a lead",
    ),
    "a customer who was not told": (
        [f"UPDATE dialogs SET status = 'queued', first_assigned_at = NULL, noticed_at = NULL WHERE id = {HELD}"],
        "D8: whoever waits since he wrote was told so",
    ),
    "a notice that is lost": (
        [f"UPDATE dialogs SET noticed_at = CASE WHEN noticed_at IS NULL THEN now() END WHERE id = {HELD}"],
        "A4: that nobody is available is said once",
    ),
    "a mark of which nobody is told": (
        [f"UPDATE dialogs SET unanswered_at = CASE WHEN unanswered_at IS NULL THEN now() END WHERE id = {HELD}"],
        "S2: what is marked as unanswered is told once",
    ),
    "a closing text that was said twice": (
        [f"{COPY_OF_MESSAGE} (SELECT chat_id, seq FROM messages WHERE text = 'Thank you, good-bye.' LIMIT 1)"],
        "A5: each close has its text once",
    ),
    "a close by the clock without a text": (
        [
            f"""INSERT INTO events (dialog_id, actor, cause, became)
            VALUES ({_STRICTLY}, 'system', 'auto_close', 'closing')"""
        ],
        "A5: each close by the clock has its text once",
    ),
    # Answers
    "a lost answer": (
        [f"DELETE FROM messages WHERE (chat_id, seq) = {_ANSWER}"],
        "answers that were acknowledged, and are in no history",
    ),
    "an answer that is sent out of no history": (
        [f"DELETE FROM messages WHERE (chat_id, seq) = {_ANSWER}"],
        "in the outbox, and in no history",
    ),
    "a doubled answer": ([f"{COPY_OF_MESSAGE} {_ANSWER}"], "answers more than once in the history"),
    "an answer that nobody wrote": (
        [f"UPDATE messages SET text = 'no' WHERE (chat_id, seq) = {_ANSWER}"],
        "answers that nobody wrote",
    ),
    "an answer that is in no outbox": (
        [f"DELETE FROM outbox WHERE (chat_id, seq) = {_ANSWER}"],
        "answers that are in no outbox",
    ),
    "an answer that was given up": (
        [f"UPDATE outbox SET state = 'failed' WHERE (chat_id, seq) = {_ANSWER}"],
        "answers that are not sent",
    ),
    "an answer that arrived as another": (
        [f"UPDATE messages SET text = 'no' WHERE (chat_id, seq) = {_ANSWER}"],
        "arrived with another text",
    ),
    "an act that left no trace": (
        ["DELETE FROM events WHERE cause = 'close'"],
        "acts that were acknowledged, and have not happened",
    ),
    "an act that happened twice": (
        [
            """INSERT INTO events (dialog_id, actor, cause, was, became)
            SELECT dialog_id, actor, cause, was, became FROM events WHERE cause = 'answer' LIMIT 1"""
        ],
        "acts that have happened more often",
    ),
}

WORK_LEFT: Mapping[str, tuple[str, str]] = {
    "pending": (
        f"UPDATE inbox_state SET stage = 'respond' WHERE inbox_id = {DONE}",
        "1 items of the inbox are pending",
    ),
    "unsent": (f"UPDATE outbox SET state = 'pending' WHERE (chat_id, seq) = {_ANSWER}", "1 answers are not sent yet"),
    "receipts": (
        "INSERT INTO receipts (channel_id, message_key, state) VALUES (1, gen_random_uuid(), 'read')",
        "1 receipts are not applied yet",
    ),
    "timers": (_OVERDUE, "1 timers are due"),
}

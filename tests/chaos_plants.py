"""What may be wrong in the database after a round: how it is planted, and what the verdict must say of it.

Each statement must find something to spoil.
"""

from collections.abc import Mapping

_FIRST_IN = "(SELECT chat_id, seq FROM messages WHERE direction = 'in' ORDER BY 1, 2 LIMIT 1)"
_ANSWER = "(SELECT chat_id, seq FROM messages WHERE operator_id IS NOT NULL ORDER BY 1, 2 LIMIT 1)"
_DONE = "(SELECT min(inbox_id) FROM inbox_state WHERE stage = 'done')"
_DEAD = "(SELECT min(inbox_id) FROM inbox_state WHERE stage = 'dead')"
_HELD = "(SELECT min(id) FROM dialogs WHERE status = 'accepted')"
_OTHER_HELD = "(SELECT max(id) FROM dialogs WHERE status <> 'closed')"
_BESIDE = """(
    SELECT min(one.id) FROM chats AS one JOIN chats AS other ON other.card_id = one.card_id AND other.id > one.id
)"""
_QUEUED = f"UPDATE dialogs SET status = 'queued', operator_id = NULL, accepted_at = NULL WHERE id = {_HELD}"
_COPY_OF_MESSAGE = """
    INSERT INTO messages
    SELECT (jsonb_populate_record(messages, jsonb_build_object('seq', seq + 100000))).* FROM messages
    WHERE (chat_id, seq) = """
_A_CARD = "INSERT INTO cards (id, type) OVERRIDING SYSTEM VALUE VALUES (900001, 'lead')"

PLANTED_IN_DATABASE: Mapping[str, tuple[list[str], str]] = {
    # The ledger and the inbox
    "a done too many": (["INSERT INTO ledger VALUES ('done', 1)"], "the ledger does not balance"),
    "an accepted and a done too many": (
        ["INSERT INTO ledger VALUES ('done', 1), ('accepted', 1)"],
        "the ledger says accepted",
    ),
    "an item that came to no end": (
        [f"UPDATE inbox_state SET stage = 'bind_chat' WHERE inbox_id = {_DONE}"],
        "pending is 1, not 0",
    ),
    "an ignored message": (
        [
            f"UPDATE inbox_state SET stage = 'ignored' WHERE inbox_id = {_DONE}",
            "INSERT INTO ledger VALUES ('done', -1), ('ignored', 1)",
        ],
        "ignored, although customers wrote it",
    ),
    "a discarded message": (
        [f"UPDATE inbox_state SET stage = 'discarded' WHERE inbox_id = {_DEAD}"],
        "discarded, although nobody did",
    ),
    "a lost item": (
        [f"DELETE FROM inbox_state WHERE inbox_id = {_DONE}"],
        "answered 2xx, and not in the inbox",
    ),
    "a doubled item": (
        [
            f"""INSERT INTO inbox (id, channel_id, received_at, message, raw) OVERRIDING SYSTEM VALUE
            SELECT 900001, channel_id, received_at, message, raw FROM inbox WHERE id = {_DONE}""",
            "INSERT INTO inbox_state (inbox_id, stage) VALUES (900001, 'done')",
        ],
        "more than once in the inbox",
    ),
    "an item that nobody sent": (
        [f"""UPDATE inbox SET message = message || '{{"external_id": "m-0"}}' WHERE id = {_DONE}"""],
        "in the inbox, and never sent",
    ),
    "a good message that is dead": (
        [f"UPDATE inbox_state SET stage = 'dead' WHERE inbox_id = {_DONE}"],
        "dead, and not poison",
    ),
    "poison that is done": (
        [f"UPDATE inbox_state SET stage = 'done' WHERE inbox_id = {_DEAD}"],
        "poison, and not dead",
    ),
    "a dead letter that is gone": ([f"DELETE FROM dead_letters WHERE inbox_id = {_DEAD}"], "dead letters do not fit"),
    # Histories
    "a lost message": (
        [f"DELETE FROM messages WHERE (chat_id, seq) = {_FIRST_IN}"],
        "answered 2xx, and not in the history",
    ),
    "a doubled message": ([f"{_COPY_OF_MESSAGE} {_FIRST_IN}"], "more than once in the history"),
    "a message of nobody": (
        [f"UPDATE messages SET external_id = 'm-0' WHERE (chat_id, seq) = {_FIRST_IN}"],
        "in the history, and never sent",
    ),
    "a message in another chat": (
        [f"UPDATE messages SET chat_id = (SELECT max(id) FROM chats), seq = 900 WHERE (chat_id, seq) = {_FIRST_IN}"],
        "in the history of another chat",
    ),
    "another text": (
        [f"UPDATE messages SET text = text || '!' WHERE (chat_id, seq) = {_FIRST_IN}"],
        "not as it was written",
    ),
    "an order that was not kept": (
        ["UPDATE messages SET seq = 100000 - seq WHERE direction = 'in'"],
        "after a message that was sent only after its answer",
    ),
    "another order than of the inbox": (
        ["UPDATE messages SET seq = 100000 - seq WHERE direction = 'in'"],
        "in another order than it was accepted",
    ),
    "another place than the first step's": (
        [f"UPDATE inbox_state SET chat_seq = chat_seq + 1 WHERE inbox_id = {_DONE}"],
        "not in the place that its first step has fixed",
    ),
    # Cards
    "two customers on one card": (
        ["UPDATE chats SET card_id = (SELECT min(id) FROM cards WHERE live_id IS NULL)"],
        "cards of several customers",
    ),
    "one customer on two cards": (
        [_A_CARD, f"UPDATE chats SET card_id = 900001 WHERE id = {_BESIDE}"],
        "customers on several cards",
    ),
    "a phone that is lost": (
        ["DELETE FROM card_identifiers WHERE kind = 'phone'"],
        "cards with other phones, e-mails or ids",
    ),
    "a phone of nobody": (
        [
            """INSERT INTO card_identifiers
            SELECT (jsonb_populate_record(card_identifiers, '{"key": "+491510000000"}')).* FROM card_identifiers
            WHERE kind = 'phone' LIMIT 1"""
        ],
        "cards with other phones, e-mails or ids",
    ),
    "a card of nobody": (
        [
            _A_CARD,
            """INSERT INTO card_identifiers
            SELECT (jsonb_populate_record(card_identifiers, '{"card_id": 900001}')).* FROM card_identifiers LIMIT 1""",
        ],
        "cards of nobody who wrote",
    ),
    "a chat without a card": (
        ["UPDATE chats SET card_id = NULL WHERE id = (SELECT min(chat_id) FROM dialogs)"],
        "chats without a card",
    ),
    "a merge that joins nobody": (
        ["UPDATE merges SET undone_at = now() WHERE id = (SELECT min(id) FROM merges)"],
        "cards do not point where the merges lead",
    ),
    "a fact that stands elsewhere": (
        [_A_CARD, "UPDATE card_identifiers SET card_id = 900001 WHERE kind = 'email'"],
        "a fact stands on the card that its chat is bound to",
    ),
    # Dialogs
    "a dialog without a holder": ([f"UPDATE dialogs SET operator_id = NULL WHERE id = {_HELD}"], "S1: what is with"),
    "a dialog in the backlog with a holder": (
        [f"UPDATE dialogs SET status = 'queued' WHERE id = {_HELD}"],
        "S1: what is with somebody has one holder",
    ),
    "two open dialogs of a chat": (
        [
            "DROP INDEX dialogs_one_open_per_chat",
            f"UPDATE dialogs SET chat_id = (SELECT chat_id FROM dialogs WHERE id = {_OTHER_HELD}) WHERE id = {_HELD}",
        ],
        "S1: one open dialog per chat",
    ),
    "a dialog that is not what its last event says": (
        [f"UPDATE dialogs SET status = 'awaiting_operator' WHERE id = {_HELD}"],
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
            WHERE inbox_id = {_DONE}"""
        ],
        "none is lost: a customer's message that was distributed",
    ),
    # Timers
    "no hand-over clock": (
        [f"UPDATE dialogs SET status = 'assigned', accepted_at = NULL WHERE id = {_HELD}"],
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
        ["DELETE FROM timers WHERE kind = 'unanswered'"],
        "S2: nobody has answered",
    ),
    "no clock that closes": (
        ["DELETE FROM timers WHERE kind = 'auto_close'"],
        "S3: the customer is awaited",
    ),
    "no clock of the end": (["DELETE FROM timers WHERE kind = 'closing'"], "S4: the clock of the end"),
    "a clock of a dialog that is closed": (
        [
            """UPDATE dialogs SET status = 'closed', closed_at = now()
            WHERE id = (SELECT min(dialog_id) FROM timers WHERE kind = 'closing')"""
        ],
        "S1: what is closed has no clock",
    ),
    "a timer that nobody works off": (
        ["UPDATE timers SET due_at = now() - interval '1 hour' WHERE kind = 'closing'"],
        "timers that nobody works off",
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
    "a doubled answer": ([f"{_COPY_OF_MESSAGE} {_ANSWER}"], "answers more than once in the history"),
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
        f"UPDATE inbox_state SET stage = 'respond' WHERE inbox_id = {_DONE}",
        "1 items of the inbox are pending",
    ),
    "unsent": (f"UPDATE outbox SET state = 'pending' WHERE (chat_id, seq) = {_ANSWER}", "1 answers are not sent yet"),
    "receipts": (
        "INSERT INTO receipts (channel_id, message_key, state) VALUES (1, gen_random_uuid(), 'read')",
        "1 receipts are not applied yet",
    ),
    "timers": ("UPDATE timers SET due_at = now() - interval '1 second' WHERE kind = 'closing'", "timers are due"),
}

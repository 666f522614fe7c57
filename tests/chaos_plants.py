"""What may be wrong in the database after a round: how it is planted, and what the verdict must say of it.

Each statement must find something to spoil.
"""

from collections.abc import Mapping

_FIRST_IN = "(SELECT chat_id, seq FROM messages WHERE direction = 'in' ORDER BY 1, 2 LIMIT 1)"
DONE = "(SELECT min(inbox_id) FROM inbox_state WHERE stage = 'done')"
_DEAD = "(SELECT min(inbox_id) FROM inbox_state WHERE stage = 'dead')"
HELD = """(
    SELECT min(dialogs.id) FROM dialogs JOIN open_channels ON open_channels.id = open_channel_id
    WHERE name = 'evenly' AND operator_id IS NOT NULL AND status <> 'closed'
)"""
"""Where nothing is closed by the clock: what is held stays so, however long it takes to drain."""

_BESIDE = """(
    SELECT min(one.id) FROM chats AS one JOIN chats AS other ON other.card_id = one.card_id AND other.id > one.id
)"""
COPY_OF_MESSAGE = """
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
        [f"UPDATE inbox_state SET stage = 'bind_chat' WHERE inbox_id = {DONE}"],
        "pending is 1, not 0",
    ),
    "an ignored message": (
        [
            f"UPDATE inbox_state SET stage = 'ignored' WHERE inbox_id = {DONE}",
            "INSERT INTO ledger VALUES ('done', -1), ('ignored', 1)",
        ],
        "ignored, although customers wrote it",
    ),
    "a discarded message": (
        [f"UPDATE inbox_state SET stage = 'discarded' WHERE inbox_id = {_DEAD}"],
        "discarded, although nobody did",
    ),
    "a lost item": (
        [f"DELETE FROM inbox_state WHERE inbox_id = {DONE}"],
        "answered 2xx, and not in the inbox",
    ),
    "a doubled item": (
        [
            f"""INSERT INTO inbox (id, channel_id, received_at, message, raw) OVERRIDING SYSTEM VALUE
            SELECT 900001, channel_id, received_at, message, raw FROM inbox WHERE id = {DONE}""",
            "INSERT INTO inbox_state (inbox_id, stage) VALUES (900001, 'done')",
        ],
        "more than once in the inbox",
    ),
    "an item that nobody sent": (
        [f"""UPDATE inbox SET message = message || '{{"external_id": "m-0"}}' WHERE id = {DONE}"""],
        "in the inbox, and never sent",
    ),
    "a good message that is dead": (
        [f"UPDATE inbox_state SET stage = 'dead' WHERE inbox_id = {DONE}"],
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
    "a doubled message": ([f"{COPY_OF_MESSAGE} {_FIRST_IN}"], "more than once in the history"),
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
        [f"UPDATE inbox_state SET chat_seq = chat_seq + 1 WHERE inbox_id = {DONE}"],
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
    "a finished message in a chat without a card": (
        ["UPDATE chats SET card_id = NULL WHERE id = (SELECT min(chat_id) FROM dialogs)"],
        "every chat with a finished message of a customer has a card",
    ),
    "a card that points at itself": (
        ["UPDATE cards SET live_id = id WHERE id = (SELECT min(id) FROM cards)"],
        "a live card points nowhere",
    ),
    "a fact that nobody can lock": (
        [
            """DELETE FROM identifiers WHERE (kind, key) = (
                SELECT kind, key FROM card_identifiers WHERE given_by = 'customer' LIMIT 1
            )"""
        ],
        "every fact has an identifier",
    ),
    "one customer who is kept apart": (
        [
            """INSERT INTO kept_apart (card_id, other_id, actor, reason)
            SELECT least(id, live_id), greatest(id, live_id), 'test', '' FROM cards WHERE live_id IS NOT NULL LIMIT 1"""
        ],
        "whoever is kept apart is not one",
    ),
    "a dialog that shows another card": (
        [_A_CARD, f"UPDATE dialogs SET card_id = 900001 WHERE id = {HELD}"],
        "an open dialog shows its chat's card",
    ),
    "a finished message that is in no history": (
        [f"DELETE FROM messages WHERE inbox_id = {DONE}"],
        "no history is lost",
    ),
}

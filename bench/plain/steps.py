"""The five steps, each for one message, row by row, as part of the caller's transaction."""

from collections.abc import Sequence
from typing import Any

import psycopg

from tracker.extraction import extract
from tracker.identifiers import KIND_RANK, Identifier
from tracker.messages import InboundMessage

Connection = psycopg.Connection[tuple[Any, ...]]


def read_message(connection: Connection, message_id: int) -> InboundMessage:
    """A message of the inbox."""
    row = connection.execute("SELECT message::text FROM inbox WHERE id = %s", [message_id]).fetchone()
    assert row is not None  # noqa: S101  it was inserted before anybody was told of it
    return InboundMessage.model_validate_json(row[0])


def lookup(connection: Connection, message: InboundMessage) -> tuple[list[Identifier], int | None]:
    """Step 1: the identifiers of a message, and a card that has one of them."""
    written = extract(message.text, "DE")
    given = {(identifier.kind, identifier.key) for identifier in message.identifiers}
    identifiers = [*message.identifiers, *(i for i in written if (i.kind, i.key) not in given)]
    return identifiers, _find_card(connection, identifiers)


def bind(
    connection: Connection,
    message_id: int,
    message: InboundMessage,
    identifiers: Sequence[Identifier],
    card: int | None,
) -> tuple[int, int]:
    """Step 2: the chat and its card, made where there is none, and the history. Returns both ids."""
    where = [message.channel, message.chat_id]
    connection.execute("INSERT INTO chats (channel, external_id) VALUES (%s, %s) ON CONFLICT DO NOTHING", where)
    row = connection.execute(
        "SELECT id, card_id FROM chats WHERE channel = %s AND external_id = %s FOR UPDATE", where
    ).fetchone()
    assert row is not None  # noqa: S101  inserted above
    chat_id, bound_to = row
    card_id = bound_to or (_live(connection, card) if card else _find_card(connection, identifiers))
    if card_id is None:
        card_id = _id(connection, "INSERT INTO cards (name) VALUES (%s) RETURNING id", [message.name])
    for identifier in sorted(identifiers, key=lambda i: (i.kind, i.key)):
        card_id = _add(connection, card_id, identifier)
    if card_id != bound_to:
        connection.execute("UPDATE chats SET card_id = %s WHERE id = %s", [card_id, chat_id])
    connection.execute(
        "INSERT INTO history (message_id, chat_id, text, sent_at) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [message_id, chat_id, message.text, message.sent_at],
    )
    return chat_id, card_id


def ensure_card(connection: Connection, card_id: int, source: str) -> int:
    """Step 3: a provisional card becomes a lead. Returns the live card's id."""
    card_id = _live(connection, card_id)
    connection.execute(
        "UPDATE cards SET type = 'lead', source = %s WHERE id = %s AND type = 'provisional'", [source, card_id]
    )
    return card_id


def distribute(connection: Connection, chat_id: int, card_id: int) -> int:
    """Step 4: the chat's dialog, made where there is none, with the operator whose turn it is. Returns its id."""
    row = connection.execute("SELECT id FROM dialogs WHERE chat_id = %s AND status <> 'closed'", [chat_id]).fetchone()
    if row:
        return int(row[0])
    # One at a time: otherwise two messages would get the same operator.
    connection.execute("SELECT id FROM desk FOR UPDATE")
    made = connection.execute(
        "INSERT INTO dialogs (chat_id, card_id) VALUES (%s, %s) ON CONFLICT DO NOTHING RETURNING id",
        [chat_id, card_id],
    ).fetchone()
    if made is None:
        return _id(connection, "SELECT id FROM dialogs WHERE chat_id = %s AND status <> 'closed'", [chat_id])
    operator = connection.execute(
        "SELECT id FROM operators WHERE online ORDER BY last_assigned_at NULLS FIRST, id LIMIT 1"
    ).fetchone()
    if operator:
        connection.execute("UPDATE operators SET last_assigned_at = clock_timestamp() WHERE id = %s", operator)
        connection.execute("UPDATE dialogs SET operator_id = %s WHERE id = %s", [operator[0], made[0]])
    return int(made[0])


def respond(connection: Connection, message_id: int, dialog_id: int) -> None:
    """Step 5: nobody available is said once; the message is done."""
    operator = connection.execute("SELECT operator_id FROM dialogs WHERE id = %s", [dialog_id]).fetchone()
    if operator is None or operator[0] is None:
        connection.execute(
            "INSERT INTO outbox (dialog_id, text) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            [dialog_id, "Everybody is busy right now."],
        )
    connection.execute("UPDATE inbox SET done_at = clock_timestamp() WHERE id = %s AND done_at IS NULL", [message_id])


def _find_card(connection: Connection, identifiers: Sequence[Identifier]) -> int | None:
    for identifier in sorted(identifiers, key=lambda i: KIND_RANK[i.kind]):
        row = connection.execute(
            "SELECT card_id FROM identifiers WHERE kind = %s AND key = %s", [identifier.kind, identifier.key]
        ).fetchone()
        if row:
            return int(row[0])
    return None


def _add(connection: Connection, card_id: int, identifier: Identifier) -> int:
    """Put an identifier on a card; if it is another card's, the younger card is merged into the older."""
    which = [identifier.kind, identifier.key]
    owner = connection.execute("SELECT card_id FROM identifiers WHERE kind = %s AND key = %s", which).fetchone()
    if owner is None:
        made = connection.execute(
            "INSERT INTO identifiers (kind, key, value, card_id) VALUES (%s, %s, %s, %s) "
            "ON CONFLICT DO NOTHING RETURNING card_id",
            [*which, identifier.value, card_id],
        ).fetchone()
        if made:
            return card_id
        owner = connection.execute("SELECT card_id FROM identifiers WHERE kind = %s AND key = %s", which).fetchone()
    assert owner is not None  # noqa: S101  nothing deletes identifiers
    if owner[0] == card_id:
        return card_id
    survivor, loser = sorted([int(owner[0]), card_id])
    connection.execute("UPDATE identifiers SET card_id = %s WHERE card_id = %s", [survivor, loser])
    connection.execute("UPDATE chats SET card_id = %s WHERE card_id = %s", [survivor, loser])
    connection.execute("UPDATE dialogs SET card_id = %s WHERE card_id = %s", [survivor, loser])
    connection.execute("UPDATE cards SET merged_into = %s WHERE id = %s", [survivor, loser])
    return survivor


def _live(connection: Connection, card_id: int) -> int:
    return _id(connection, "SELECT coalesce(merged_into, id) FROM cards WHERE id = %s", [card_id])


def _id(connection: Connection, query: str, parameters: Sequence[object]) -> int:
    row = connection.execute(query.encode(), parameters).fetchone()
    assert row is not None  # noqa: S101  the row is there
    return int(row[0])

"""Takes the next message whose chat nobody else has, does all steps in one transaction, and goes on.

The lock on the chat keeps its order: while one worker has a chat's message, no other takes a later one of it. The
message is chosen after the lock, by a statement of its own: one that does both may have passed over a chat's first
message while the chat was still locked, and take its second.
"""

import os
import signal
import sys
import time

import psycopg

from bench.plain import steps
from tracker.messages import InboundMessage

IDLE_SECONDS = 0.01

_NEXT_CHAT = """
    SELECT chats.id FROM inbox JOIN chats ON chats.id = inbox.chat_id
    WHERE inbox.done_at IS NULL
    ORDER BY inbox.id
    LIMIT 1
    FOR UPDATE OF chats SKIP LOCKED
"""
_NEXT_MESSAGE = """
    SELECT id, message::text FROM inbox WHERE chat_id = %s AND done_at IS NULL ORDER BY id LIMIT 1
"""


def take_one(connection: steps.Connection) -> bool:
    """Do one message; False if there is none."""
    with connection.transaction():
        chat = connection.execute(_NEXT_CHAT).fetchone()
        if chat is None:
            return False
        row = connection.execute(_NEXT_MESSAGE, chat).fetchone()
        if row is None:
            return True  # the other worker has just done it
        message_id, message = row[0], InboundMessage.model_validate_json(row[1])
        identifiers, card = steps.lookup(connection, message)
        chat_id, card_id = steps.bind(connection, message_id, message, identifiers, card)
        card_id = steps.ensure_card(connection, card_id, message.channel)
        dialog_id = steps.distribute(connection, chat_id, card_id)
        steps.respond(connection, message_id, dialog_id)
    return True


def main() -> None:
    """Until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with psycopg.connect(os.environ["BENCH_DATABASE_URL"], autocommit=True) as connection:
        while True:
            try:
                found = take_one(connection)
            except psycopg.errors.DeadlockDetected:
                continue  # rolled back: the message is taken again
            if not found:
                time.sleep(IDLE_SECONDS)


if __name__ == "__main__":
    main()

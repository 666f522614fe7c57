"""Streams of numbered messages, and what must have come of them whatever was killed meanwhile."""

from tests.acceptance.system import System
from tests.webhooks import Webhook, message


def numbered(chat: int, n: int) -> Webhook:
    """The n-th message of a chat, on a Telegram channel."""
    return message("telegram", 1 + chat, f"{n}", name=f"Ann {chat}")


def each_effect_once_and_in_order(system: System, chats: int, per_chat: int) -> None:
    """Every message stands once in its history, in order; a card, a dialog and a decision a chat; fair shares."""
    expected = [str(n) for n in range(per_chat)]
    histories = system.rows("SELECT array_agg(text ORDER BY seq) FROM messages GROUP BY chat_id")
    assert len(histories) == chats
    assert all(texts == expected for (texts,) in histories), "once each, in the order of their arrival"
    assert system.value("SELECT count(*) FROM cards") == chats
    assert system.value("SELECT count(*) FROM dialogs") == chats
    assert system.value("SELECT count(*) FROM decisions") == chats
    assert system.value("SELECT count(*) FROM dialogs WHERE operator_id IS NULL") == 0
    assert system.value("SELECT max(n) - min(n) FROM (SELECT count(*) AS n FROM dialogs GROUP BY operator_id) x") <= 1

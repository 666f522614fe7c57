"""What the product does by itself: leads, and what it tells the customers, each once (C3, D8, S2, S4, A4, A5)."""

from chaos.checks.seen import SHOWN, Rows


def _said(setting: str) -> str:
    """How often a text of the open channel was said in a dialog."""
    return f"""(
        SELECT count(*) FROM messages
        WHERE messages.chat_id = dialogs.chat_id AND messages.dialog_id = dialogs.id AND direction = 'out'
            AND messages.operator_id IS NULL AND messages.text = open_channels.settings ->> '{setting}'
    )"""  # noqa: S608 - of our own parts


def _differs(setting: str, due: str) -> str:
    """Dialogs of open channels with this text in which it was not said as often as it was due."""
    return f"""
        SELECT dialogs.id, {_said(setting)}, {due}
        FROM dialogs JOIN open_channels ON open_channels.id = dialogs.open_channel_id
        WHERE coalesce(open_channels.settings ->> '{setting}', '') <> '' AND {_said(setting)} <> {due}
    """  # noqa: S608 - of our own parts


def _events(condition: str) -> str:
    return f"(SELECT count(*) FROM events WHERE events.dialog_id = dialogs.id AND {condition})"  # noqa: S608


_RULES = {
    "C3: whoever has written has a lead": """
        SELECT DISTINCT chats.id, live.type
        FROM inbox_state AS state
        JOIN chats ON chats.id = state.chat_id
        JOIN cards AS own ON own.id = chats.card_id
        JOIN cards AS live ON live.id = coalesce(own.live_id, own.id)
        WHERE state.stage = 'done' AND state.dialog_id IS NOT NULL AND live.type <> 'lead'
    """,
    "D8: whoever waits since he wrote was told so": """
        SELECT dialogs.id FROM dialogs JOIN open_channels ON open_channels.id = dialogs.open_channel_id
        WHERE dialogs.status = 'queued' AND first_assigned_at IS NULL AND noticed_at IS NULL
            AND coalesce(open_channels.settings ->> 'nobody_available_text', '') <> ''
            AND NOT EXISTS (SELECT FROM events WHERE events.dialog_id = dialogs.id AND events.became = 'offered')
            AND EXISTS (SELECT FROM inbox_state WHERE stage = 'done' AND inbox_state.dialog_id = dialogs.id)
    """,
    "A4: that nobody is available is said once": _differs(
        "nobody_available_text", "(dialogs.noticed_at IS NOT NULL)::integer"
    ),
    "S2: what is marked as unanswered is told once": _differs(
        "unanswered_text", "(dialogs.unanswered_at IS NOT NULL)::integer"
    ),
    "A5: each close has its text once": _differs("closing_text", _events("cause = 'close' AND was <> 'closing'")),
    "A5: each close by the clock has its text once": _differs("auto_close_text", _events("cause = 'auto_close'")),
}
"""They hold on a desk where every customer is to have a lead, and whose texts stay what they are."""

RULES = tuple(_RULES)
"""By name."""


def undone(rows: Rows) -> list[str]:
    """What was not done, or more often than once."""
    return [f"{rule}: {odd[:SHOWN]}" for rule, query in _RULES.items() if (odd := rows(query))]

"""What always holds of the tracker's tables, whatever was done and whoever was killed."""

from collections.abc import Callable, Iterator
from typing import Any

from crm_store import matching, parting
from crm_store.database import Connection
from tracker.customers import joined
from tracker.separation import separate

Rows = Callable[..., list[tuple[Any, ...]]]

_NEVER = {
    "a live card points nowhere": """
        SELECT cards.id FROM cards JOIN cards AS live ON live.id = cards.live_id
        WHERE live.live_id IS NOT NULL OR cards.live_id = cards.id
    """,
    "every chat with a finished message of a customer has a card": """
        SELECT DISTINCT chats.id FROM chats JOIN inbox_state ON inbox_state.chat_id = chats.id
        WHERE chats.card_id IS NULL AND inbox_state.stage = 'done' AND inbox_state.dialog_id IS NOT NULL
    """,
    "a fact stands on the card that its chat is bound to": """
        SELECT present.card_id, present.chat_id FROM card_identifiers AS present
        LEFT JOIN chats ON chats.id = present.chat_id
        WHERE present.chat_id <> 0 AND chats.card_id IS DISTINCT FROM present.card_id
    """,
    "every fact has an identifier by which it is locked": """
        SELECT kind, key FROM card_identifiers LEFT JOIN identifiers USING (kind, key)
        WHERE identifiers.key IS NULL AND given_by = 'customer'
    """,
    "whoever is kept apart is not one": """
        SELECT kept_apart.card_id, kept_apart.other_id FROM kept_apart
        JOIN cards AS one ON one.id = kept_apart.card_id JOIN cards AS other ON other.id = kept_apart.other_id
        WHERE coalesce(one.live_id, one.id) = coalesce(other.live_id, other.id)
    """,
    "an open dialog shows its chat's card": """
        SELECT dialogs.id FROM dialogs JOIN chats ON chats.id = dialogs.chat_id
        WHERE dialogs.status <> 'closed' AND dialogs.card_id IS DISTINCT FROM chats.card_id
    """,
    "no history is lost: every finished message of a customer is in its chat's": """
        SELECT state.inbox_id FROM inbox_state AS state
        LEFT JOIN messages ON messages.inbox_id = state.inbox_id AND messages.chat_id = state.chat_id
        WHERE state.stage = 'done' AND state.dialog_id IS NOT NULL AND messages.seq IS NULL
    """,
}


def broken(rows: Rows) -> list[str]:
    """What does not hold."""
    found = [f"{rule}: {odd[:5]}" for rule, query in _NEVER.items() if (odd := rows(query))]
    return [*found, *_not_a_forest(rows)]


def _not_a_forest(rows: Rows) -> Iterator[str]:
    """Cards point where the merges lead, and the merges join without a circle."""
    live: dict[int, int] = dict(rows("SELECT id, coalesce(live_id, id) FROM cards"))
    links = rows("SELECT card_id, other_id FROM merges WHERE undone_at IS NULL")
    parts = joined(live, links)
    wrong = [part for part in parts if len({live[card_id] for card_id in part}) > 1]
    if wrong or len(parts) != len(set(live.values())):
        yield f"cards do not point where the merges lead: {wrong[:3]}"
    if len(links) != len(live) - len(parts):
        yield "merges join what was joined already"


def contradictions(connection: Connection) -> list[int]:
    """T8: live cards of customers whose contradicting proofs only typed links join."""
    live = [row[0] for row in connection.execute("SELECT id FROM cards WHERE live_id IS NULL ORDER BY id").fetchall()]
    odd = []
    for card_id in live:
        known = matching.lock_customers(connection, [card_id])
        ids = [card.id for card in known]
        bound, merges = parting.chats_of(connection, ids), parting.active_merges(connection, ids)
        if separate(ids, bound, parting.facts_of(known), merges, 0) is not None:
            odd.append(card_id)
    return odd

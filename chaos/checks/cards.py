"""Cards: who gave the same phone, e-mail or messenger id has one card, alone; and merges are a forest."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

from chaos.checks.inbox import by_external_id
from chaos.checks.seen import SHOWN, Rows, Seen, told
from chaos.record import Given, Record
from tracker.customers import joined

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

RULES = tuple(_NEVER)
"""By name."""


def broken(rows: Rows) -> list[str]:
    """What always holds of the tracker's tables, whatever was done and whoever was killed, and does not."""
    found = [f"{rule}: {odd[:SHOWN]}" for rule, query in _NEVER.items() if (odd := rows(query))]
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


def as_the_oracle_says(seen: Seen, record: Record) -> Iterator[str]:
    """One card for all chats that are joined by what they gave, with exactly that on it.

    The order in which it was given does not matter (T8): no two customers of the load contradict each other.
    """
    given = _given(seen, record)
    card_of = {chat_id: seen.chats[chat_id].card for chat_id in given if chat_id in seen.chats}
    yield from told("chats without a card", [_chat(seen, chat_id) for chat_id in given if card_of.get(chat_id) is None])
    customers = _customers(given)
    apart, wrong_facts = [], []
    owners: dict[int, int] = {}
    shared = set()
    for number, customer in enumerate(customers):
        cards = {card for chat_id in customer if (card := card_of.get(chat_id)) is not None}
        shared |= {card for card in cards if owners.setdefault(card, number) != number}
        if len(cards) > 1:
            apart.append(f"{_chat(seen, customer[0])} on cards {sorted(cards)}")
        elif cards and seen.facts.get(min(cards), frozenset()) != frozenset().union(*(given[one] for one in customer)):
            wrong_facts.append(f"card {min(cards)} of {_chat(seen, customer[0])}")
    yield from told("customers on several cards", apart)
    yield from told("cards of several customers", sorted(shared))
    yield from told("cards with other phones, e-mails or ids than their customers gave", wrong_facts)
    yield from told("cards of nobody who wrote", sorted(seen.facts.keys() - owners.keys()))


def _given(seen: Seen, record: Record) -> dict[int, set[Given]]:
    """What the messages of each chat's history have given, as they were sent."""
    sent = by_external_id(record)
    given: dict[int, set[Given]] = defaultdict(set)
    for entry in seen.history:
        if (one := sent.get(entry.external_id)) is not None:
            given[entry.chat_id] |= one.message.gives
    return given


def _customers(given: Mapping[int, Collection[Given]]) -> list[list[int]]:
    """Chats that are joined by an identifier, over any number of others."""
    chats_with: dict[Given, list[int]] = defaultdict(list)
    for chat_id, identifiers in given.items():
        for identifier in identifiers:
            chats_with[identifier].append(chat_id)
    customers, reached = [], set()
    for chat_id in given:
        if chat_id in reached:
            continue
        customer, ahead = [], [chat_id]
        reached.add(chat_id)
        while ahead:
            one = ahead.pop()
            customer.append(one)
            beside = {other for identifier in given[one] for other in chats_with[identifier]} - reached
            reached |= beside
            ahead += beside
        customers.append(sorted(customer))
    return customers


def _chat(seen: Seen, chat_id: int) -> str:
    chat = seen.chats.get(chat_id)
    return f"{chat.channel}/{chat.external_id}" if chat else f"chat {chat_id}"

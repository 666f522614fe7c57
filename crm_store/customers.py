"""Customers: a live card, the cards that were merged into it, their deals and chats, as a person asks for them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from crm_store.database import Connection
from crm_store.queries import Queries
from tracker.traces import Traces

_SQL = Queries("customers")

ADDRESSES_AT_ONCE = 10_000

Key = tuple[str, str]
"""Kind and key of an identifier."""


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat with the ids by which its channel knows it."""

    id: int
    channel_id: int
    external_id: str
    customer_id: str


@dataclass(frozen=True, slots=True)
class Customers:
    """One customer or several, with all that is theirs. values: of each identifier, its key and its writings."""

    live_ids: tuple[int, ...]
    card_ids: tuple[int, ...]
    chats: tuple[Chat, ...]
    identifiers: frozenset[tuple[str, str, str]]

    @property
    def chat_ids(self) -> list[int]:
        """Ascending."""
        return [chat.id for chat in self.chats]

    @property
    def keys(self) -> frozenset[Key]:
        """Kinds and keys of all identifiers."""
        return frozenset((kind, key) for kind, key, _ in self.identifiers)


@dataclass(frozen=True, slots=True)
class Overview:
    """What tells one customer from another, for a person. merged: cards that were merged into this one."""

    live_id: int
    type: str
    name: str
    created_at: datetime
    merged: int
    chats: int


def find(connection: Connection, keys: Iterable[Key] = (), card_ids: Collection[int] = ()) -> list[int]:
    """Live cards of the customers who have these identifiers or cards (also merged ones, and deals)."""
    found = connection.execute(_SQL["with_identifiers"], _parameters(keys)).fetchall()
    if card_ids:
        found += connection.execute(_SQL["with_cards"], {"card_ids": list(card_ids)}).fetchall()
    return sorted({live_id for (live_id,) in found})


def find_by_address(connection: Connection, traces: Traces) -> list[int]:
    """Live cards of the chats whose address is one of these phones or e-mails, though nobody gave it as such."""
    card_ids: set[int] = set()
    after = 0
    while rows := connection.execute(_SQL["addresses"], {"after": after, "limit": ADDRESSES_AT_ONCE}).fetchall():
        after = rows[-1][0]
        card_ids.update(card_id for _, card_id, *address in rows if traces.found_in(" ".join(address)))
    return find(connection, card_ids=card_ids) if card_ids else []


def read(connection: Connection, live_ids: Collection[int], unbound: Collection[int] = ()) -> Customers:
    """All that belongs to these live cards, and of the chats `unbound` those that have no card."""
    cards = connection.execute(_SQL["cards"], {"live_ids": list(live_ids)}).fetchall()
    by_cards = {"card_ids": [card_id for (card_id,) in cards]}
    return Customers(
        live_ids=tuple(sorted(live_ids)),
        card_ids=tuple(by_cards["card_ids"]),
        chats=tuple(
            Chat(*row) for row in connection.execute(_SQL["chats"], {**by_cards, "unbound": list(unbound)}).fetchall()
        ),
        identifiers=frozenset(connection.execute(_SQL["identifiers"], by_cards).fetchall()),
    )


def family(connection: Connection, live_ids: Collection[int]) -> frozenset[int]:
    """Those of these cards that live still, and all that were merged into any of them; no deals."""
    return frozenset(row[0] for row in connection.execute(_SQL["family"], {"live_ids": list(live_ids)}).fetchall())


def proven_by_others(connection: Connection, keys: Iterable[Key], card_ids: Collection[int]) -> set[Key]:
    """Of these identifiers, those that a customer without these cards has proven: they are his."""
    parameters = {**_parameters(keys), "card_ids": list(card_ids)}
    return {(kind, key) for kind, key in connection.execute(_SQL["proven_by_others"], parameters).fetchall()}


def shared(connection: Connection, keys: Iterable[Key]) -> set[Key]:
    """Of these identifiers, those that are nobody's, because too many claim them (T9)."""
    return {(kind, key) for kind, key in connection.execute(_SQL["shared"], _parameters(keys)).fetchall()}


def _parameters(keys: Iterable[Key]) -> dict[str, list[str]]:
    ordered = sorted(keys)
    return {"kinds": [kind for kind, _ in ordered], "keys": [key for _, key in ordered]}


def overview(connection: Connection, live_ids: Collection[int]) -> list[Overview]:
    """For a person to choose from."""
    return [Overview(*row) for row in connection.execute(_SQL["overview"], {"live_ids": list(live_ids)}).fetchall()]


def counts(connection: Connection, customers: Customers) -> dict[str, int]:
    """Rows by table; the inbox's finished items are not among them."""
    parameters = {"card_ids": list(customers.card_ids), "chat_ids": customers.chat_ids}
    return dict(connection.execute(_SQL["counts"], parameters).fetchall())

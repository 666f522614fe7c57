"""Cards, what stands on them, and the memory of first phones."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from crm_store.database import Connection
from crm_store.queries import Queries
from tracker.cards import CardDetails, CardType, DealState
from tracker.identifiers import Evidence, IdentifierKind
from tracker.matching import Addition, IdentifierKey, KnownCard

_SQL = Queries("cards")


@dataclass(frozen=True, slots=True)
class Owners:
    """Who has identifiers: live cards by identifier, and the cards that remember phones (T5)."""

    on_cards: Mapping[IdentifierKey, frozenset[int]]
    remembered: Mapping[IdentifierKey, int]

    @property
    def card_ids(self) -> set[int]:
        """All cards named."""
        return {card_id for ids in self.on_cards.values() for card_id in ids} | set(self.remembered.values())


@dataclass(frozen=True, slots=True)
class NewCard:
    """A provisional card. matched: false where the tracker is off (T1)."""

    id: int
    name: str
    open_channel_id: int
    chat_id: int
    matched: bool


@dataclass(frozen=True, slots=True)
class Promotion:
    """A provisional card becomes a lead or a contact."""

    card_id: int
    type: CardType
    source_id: int
    responsible_id: int | None


@dataclass(frozen=True, slots=True)
class NewDeal:
    """A deal under a contact."""

    id: int
    contact_id: int
    open_channel_id: int
    chat_id: int
    source_id: int
    responsible_id: int | None


def lock_identifiers(connection: Connection, keys: Collection[IdentifierKey]) -> None:
    """Make and lock identifiers: from here to the commit nobody else decides about them (T10)."""
    ordered = sorted(keys)
    parameters = {"kinds": [kind for kind, _ in ordered], "keys": [key for _, key in ordered]}
    connection.execute(_SQL["ensure_identifiers"], parameters)
    connection.execute(_SQL["lock_identifiers"], parameters)


def owners(connection: Connection, keys: Collection[IdentifierKey]) -> Owners:
    """The live cards that have these identifiers."""
    ordered = sorted(keys)
    rows = connection.execute(
        _SQL["owners"], {"kinds": [kind for kind, _ in ordered], "keys": [key for _, key in ordered]}
    ).fetchall()
    on_cards: dict[IdentifierKey, set[int]] = {}
    remembered: dict[IdentifierKey, int] = {}
    for kind, key, card_id, remembers in rows:
        if remembers:
            remembered[IdentifierKind(kind), key] = card_id
        else:
            on_cards.setdefault((IdentifierKind(kind), key), set()).add(card_id)
    return Owners({key: frozenset(ids) for key, ids in on_cards.items()}, remembered)


def lock_cards(connection: Connection, card_ids: Collection[int]) -> list[KnownCard]:
    """Lock cards and read them with their identifiers."""
    if card_ids:
        connection.execute(_SQL["lock_cards"], {"card_ids": sorted(card_ids)})
    return read_cards(connection, card_ids)


def read_cards(connection: Connection, card_ids: Collection[int]) -> list[KnownCard]:
    """Read cards with their identifiers, without locks."""
    if not card_ids:
        return []
    parameters = {"card_ids": sorted(card_ids)}
    cards = {
        card_id: KnownCard(card_id, CardType(card_type), name, created_at, has_memory=has_memory)
        for card_id, card_type, name, created_at, has_memory in connection.execute(_SQL["read_cards"], parameters)
    }
    for card_id, kind, key, evidence in connection.execute(_SQL["identifiers_of"], parameters):
        cards[card_id].on_card[IdentifierKind(kind), key] = Evidence(evidence)
    return list(cards.values())


def new_ids(connection: Connection, n: int) -> list[int]:
    """Ids for `n` new cards; those that are not used are gaps."""
    return [row[0] for row in connection.execute(_SQL["new_ids"], {"n": n})] if n else []


def insert(connection: Connection, cards: Sequence[NewCard]) -> None:
    """Insert provisional cards (T6)."""
    connection.execute(
        _SQL["insert_cards"],
        {
            "ids": [card.id for card in cards],
            "names": [card.name for card in cards],
            "open_channel_ids": [card.open_channel_id for card in cards],
            "chat_ids": [card.chat_id for card in cards],
            "matched": [card.matched for card in cards],
        },
    )


def add_identifiers(connection: Connection, additions: Iterable[Addition]) -> None:
    """Put identifiers on cards (T4). Of two additions of one identifier the last one counts."""
    last = {(a.card_id, a.identifier.kind, a.identifier.key): a for a in additions}
    rows = [last[key] for key in sorted(last)]
    connection.execute(
        _SQL["add_identifiers"],
        {
            "card_ids": [row.card_id for row in rows],
            "kinds": [row.identifier.kind for row in rows],
            "keys": [row.identifier.key for row in rows],
            "values": [row.identifier.value for row in rows],
            "writtens": [row.identifier.written for row in rows],
            "evidences": [row.identifier.evidence for row in rows],
            "inbox_ids": [row.inbox_id for row in rows],
            "given_ats": [row.at for row in rows],
        },
    )


def remember(connection: Connection, phones: Mapping[IdentifierKey, int]) -> None:
    """Remember first phones for their cards, for ever (T5)."""
    connection.execute(
        _SQL["remember"],
        {
            "kinds": [kind for kind, _ in phones],
            "keys": [key for _, key in phones],
            "card_ids": list(phones.values()),
        },
    )


def fill_names(connection: Connection, names: Mapping[int, str]) -> None:
    """Fill empty names; a filled one is never overwritten (T4)."""
    connection.execute(_SQL["fill_names"], {"card_ids": list(names), "names": list(names.values())})


def details(connection: Connection, card_ids: Collection[int]) -> dict[int, CardDetails]:
    """What decides about the creation of cards (C1-C3), by card id."""
    rows = connection.execute(_SQL["details"], {"card_ids": sorted(card_ids)}).fetchall()
    return {
        card_id: CardDetails(CardType(card_type), name, has_phone, has_email)
        for card_id, card_type, name, has_phone, has_email in rows
    }


def promote(connection: Connection, promotions: Sequence[Promotion]) -> None:
    """Make leads and contacts of provisional cards."""
    connection.execute(
        _SQL["promote"],
        {
            "card_ids": [promotion.card_id for promotion in promotions],
            "types": [promotion.type for promotion in promotions],
            "source_ids": [promotion.source_id for promotion in promotions],
            "responsible_ids": [promotion.responsible_id for promotion in promotions],
        },
    )


def source_ids(connection: Connection, names: Collection[str]) -> dict[str, int]:
    """Ids of sources by name, made where missing (C4)."""
    parameters = {"names": sorted(names)}
    known: dict[str, int] = dict(connection.execute(_SQL["read_sources"], parameters).fetchall())
    if len(known) < len(parameters["names"]):
        connection.execute(_SQL["ensure_sources"], parameters)
        known = dict(connection.execute(_SQL["read_sources"], parameters).fetchall())
    return known


def deal_states(connection: Connection, chat_ids: Collection[int]) -> dict[int, DealState]:
    """The deals of each chat's contact, by chat id."""
    rows = connection.execute(_SQL["deal_states"], {"chat_ids": sorted(chat_ids)}).fetchall()
    return {chat_id: DealState(*state) for chat_id, *state in rows}


def insert_deals(connection: Connection, deals: Sequence[NewDeal]) -> None:
    """Open deals under their contacts (C1)."""
    connection.execute(
        _SQL["insert_deals"],
        {
            "ids": [deal.id for deal in deals],
            "contact_ids": [deal.contact_id for deal in deals],
            "open_channel_ids": [deal.open_channel_id for deal in deals],
            "chat_ids": [deal.chat_id for deal in deals],
            "source_ids": [deal.source_id for deal in deals],
            "responsible_ids": [deal.responsible_id for deal in deals],
        },
    )


def accepted_by(connection: Connection, card_ids: Collection[int], operator_id: int) -> None:
    """Who takes the dialog first becomes responsible (C4); later ones change nothing."""
    connection.execute(_SQL["accepted_by"], {"card_ids": sorted(card_ids), "operator_id": operator_id})


def absorb(connection: Connection, card_id: int, survivor_id: int) -> None:
    """A locked provisional card, which nobody has seen, becomes part of the card that was found for it (C2).

    It points at the survivor, as a merge does: its chats and identifiers follow.
    """
    connection.execute(_SQL["absorb"], {"card_id": card_id, "survivor_id": survivor_id})

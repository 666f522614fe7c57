"""What the tracker knows and decides: identifiers, facts, claims, merges, reviews.

A customer is all cards that merges join. Whoever holds the lock of the live card may change them all.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from crm_store.database import Connection
from crm_store.errors import CustomersMovedError
from crm_store.queries import Queries
from tracker.cards import CardType
from tracker.claims import Claim, Standing
from tracker.customers import PROVABLE, IdentifierKey, KnownCard
from tracker.decisions import Addition, Knowledge, Merge, Review
from tracker.identifiers import Evidence, Identifier, IdentifierKind

_SQL = Queries("matching")

MOST_LISTED = 10
"""Of the cards with one identifier, how many are named as candidates."""

MOST_TRIES = 10
"""How often customers are locked again because others merged or parted them meanwhile."""


@dataclass(frozen=True, slots=True)
class NewMerge:
    """A merge as it is recorded. rule: T7, C2 or `person`. link: None where a person merged without one."""

    merge: Merge
    rule: str
    actor: str = "tracker"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class GivenByChat:
    """What a bound chat gave before. has_name: whether its card has one."""

    card_id: int
    has_name: bool
    facts: dict[IdentifierKey, Evidence]


# Reading, and locking


def read_given(connection: Connection, chat_ids: Collection[int]) -> dict[int, GivenByChat]:
    """What bound chats gave before, without locks: the chats are locked."""
    given: dict[int, GivenByChat] = {}
    rows = connection.execute(_SQL["facts_of_chats"], {"chat_ids": sorted(chat_ids)}).fetchall()
    for chat_id, card_id, has_name, kind, key, evidence in rows:
        before = given.setdefault(chat_id, GivenByChat(card_id, has_name, {}))
        if kind is not None:
            before.facts[IdentifierKind(kind), key] = Evidence(evidence)
    return given


def candidates(connection: Connection, keys: Collection[IdentifierKey]) -> dict[IdentifierKey, set[int]]:
    """The live cards that these identifiers seem to lead to, read without locks: advice (T2, T5)."""
    found: dict[IdentifierKey, set[int]] = {}
    if keys:
        for kind, key, card_id in connection.execute(_SQL["candidates"], {**_named(sorted(keys)), "most": MOST_LISTED}):
            found.setdefault((IdentifierKind(kind), key), set()).add(card_id)
    return found


def learn(connection: Connection, keys: Collection[IdentifierKey], card_ids: Collection[int]) -> Knowledge:
    """Lock these identifiers, and the customers who have them or one of these cards; read all that is known of them.

    From here to the commit nobody else decides about them (T10).
    """
    remembered, standings = _lock_identifiers(connection, keys)
    shared = {key for key, standing in standings.items() if standing is Standing.SHARED}
    usual = [key for key in sorted(keys) if key not in standings]
    involved = {*card_ids, *remembered.values(), *_owners(connection, set(keys) - shared)}
    cards = lock_customers(connection, involved)
    apart, detached = _parted(connection, [card.id for card in cards])
    claimable = [key for key in usual if key[0] in PROVABLE]
    return Knowledge(
        cards=cards,
        remembered=remembered,
        apart=apart,
        detached=detached,
        standings=standings,
        claims=_claims(connection, claimable) if claimable else (),
    )


def read_facts(connection: Connection, card_id: int) -> tuple[Identifier, ...]:
    """All identifiers of the customer to whom a card belongs, each with its strongest evidence, in the order given."""
    rows = connection.execute(_SQL["identifiers_of_customer"], {"card_id": card_id}).fetchall()
    return tuple(
        Identifier(kind=IdentifierKind(kind), key=key, value=value, written=written, evidence=Evidence(evidence))
        for kind, key, value, written, evidence in rows
    )


def lock_customers(connection: Connection, card_ids: Collection[int]) -> list[KnownCard]:
    """Lock the customers to whom these cards belong, and read all their cards with their facts.

    Raises CustomersMovedError.
    """
    return read_customers(connection, set(lock_live_cards(connection, card_ids).values())) if card_ids else []


def read_customers(connection: Connection, live_ids: Collection[int]) -> list[KnownCard]:
    """All cards, with their facts, of the customers for whom these live cards stand. Locks nothing."""
    cards = {
        card_id: KnownCard(card_id, CardType(card_type), *rest)
        for card_id, card_type, *rest in connection.execute(_SQL["customers"], {"live_ids": list(live_ids)})
    }
    for card_id, kind, key, chat_id, evidence in connection.execute(_SQL["facts_of"], {"card_ids": list(cards)}):
        cards[card_id].facts.setdefault((IdentifierKind(kind), key), {})[chat_id] = Evidence(evidence)
    return list(cards.values())


def lock_live_cards(connection: Connection, card_ids: Collection[int]) -> dict[int, int]:
    """Lock the live cards of these cards, and with them their customers; returns the live card of each.

    Raises CustomersMovedError if others kept merging and parting them.
    """
    for lock in (_lock_free, *[_lock_in_order] * MOST_TRIES):
        try:
            with connection.transaction():  # what was locked in vain is given back: else two could wait in a circle
                return lock(connection, sorted(card_ids))
        except CustomersMovedError:
            continue
    raise CustomersMovedError("customers kept being merged and parted")


def _lock_free(connection: Connection, card_ids: Sequence[int]) -> dict[int, int]:
    """All at once, as nearly always nobody else has one of them."""
    locked = {row[0] for row in connection.execute(_SQL["lock_free_live_cards"], {"card_ids": card_ids}).fetchall()}
    live = read_live_ids(connection, card_ids)
    if not (live.keys() >= set(card_ids) and locked.issuperset(live.values())):
        raise CustomersMovedError("others have some of these customers")
    return live


def _lock_in_order(connection: Connection, card_ids: Sequence[int]) -> dict[int, int]:
    row = connection.execute(_SQL["lock_live_cards"], {"card_ids": card_ids}).fetchone()
    if not (row and row[0]):
        raise CustomersMovedError("others merged or parted these customers meanwhile")
    live = read_live_ids(connection, card_ids)
    if not live.keys() >= set(card_ids):
        raise CustomersMovedError("somebody has erased one of these cards")
    return live


def read_live_ids(connection: Connection, card_ids: Collection[int]) -> dict[int, int]:
    """The live card of each card, without locks."""
    return dict(connection.execute(_SQL["live_ids"], {"card_ids": list(card_ids)}).fetchall())


def _lock_identifiers(
    connection: Connection, keys: Collection[IdentifierKey]
) -> tuple[dict[IdentifierKey, int], dict[IdentifierKey, Standing]]:
    """Make and lock identifiers; returns who remembers them (T5), and standings that are not usual (T9).

    Of a shared one nobody is looked for: it may be thousands of people's.
    """
    if not keys:
        return {}, {}
    named = _named(sorted(keys))
    connection.execute(_SQL["ensure_identifiers"], named)
    remembered: dict[IdentifierKey, int] = {}
    standings: dict[IdentifierKey, Standing] = {}
    for kind, key, remembered_card_id, standing in connection.execute(_SQL["lock_identifiers"], named):
        if remembered_card_id is not None and standing != Standing.SHARED:
            remembered[IdentifierKind(kind), key] = remembered_card_id
        if standing != Standing.USUAL:
            standings[IdentifierKind(kind), key] = Standing(standing)
    return remembered, standings


def _owners(connection: Connection, keys: Collection[IdentifierKey]) -> list[int]:
    if not keys:
        return []
    return [row[0] for row in connection.execute(_SQL["owners"], _named(sorted(keys))).fetchall()]


def _parted(
    connection: Connection, card_ids: Sequence[int]
) -> tuple[list[tuple[int, int]], list[tuple[int, IdentifierKey]]]:
    """Pairs that a person keeps apart, and identifiers that a person took off a card."""
    rows = connection.execute(_SQL["parted"], {"card_ids": card_ids}).fetchall() if card_ids else []
    return (
        [(card_id, other_id) for card_id, other_id, _, _ in rows if other_id is not None],
        [(card_id, (IdentifierKind(kind), key)) for card_id, other_id, kind, key in rows if other_id is None],
    )


def _claims(connection: Connection, keys: Sequence[IdentifierKey]) -> list[Claim]:
    rows = connection.execute(_SQL["claims"], _named(keys)).fetchall()
    return [Claim((IdentifierKind(kind), key), *rest) for kind, key, *rest in rows]


def _named(keys: Iterable[IdentifierKey]) -> dict[str, list[str]]:
    listed = list(keys)
    return {"kinds": [kind for kind, _ in listed], "keys": [key for _, key in listed]}


def blocked_values(connection: Connection) -> frozenset[str]:
    """The block list (T9): keys of phones; e-mails as addresses, `@domain` or `name@`."""
    return frozenset(value for _, value in connection.execute(_SQL["blocked_values"]).fetchall())


# Writing what a Book decided


def add_facts(connection: Connection, additions: Iterable[Addition]) -> None:
    """Put facts on cards (T4). Of two additions of one fact the last one counts: it is the stronger."""
    last = {(a.card_id, a.identifier.kind, a.identifier.key, a.chat_id): a for a in additions}
    rows = [last[key] for key in sorted(last)]
    connection.execute(
        _SQL["add_facts"],
        {
            "card_ids": [row.card_id for row in rows],
            "kinds": [row.identifier.kind for row in rows],
            "keys": [row.identifier.key for row in rows],
            "chat_ids": [row.chat_id for row in rows],
            "values": [row.identifier.value for row in rows],
            "writtens": [row.identifier.written for row in rows],
            "evidences": [row.identifier.evidence for row in rows],
            "inbox_ids": [row.inbox_id for row in rows],
            "given_ats": [row.at for row in rows],
            "rules": [row.rule for row in rows],
        },
    )


def remember(connection: Connection, phones: Mapping[IdentifierKey, int]) -> None:
    """Remember first phones for their cards, for ever (T5)."""
    connection.execute(_SQL["remember"], {**_named(phones), "card_ids": list(phones.values())})


def fill_names(connection: Connection, names: Mapping[int, tuple[str, int]]) -> None:
    """Fill empty names, from these messages; a filled one is never overwritten (T4)."""
    connection.execute(
        _SQL["fill_names"],
        {
            "card_ids": list(names),
            "names": [name for name, _ in names.values()],
            "inbox_ids": [inbox_id for _, inbox_id in names.values()],
        },
    )


def add_claims(connection: Connection, claims: Sequence[Claim]) -> None:
    """Note claims that contradict those that are counted (T9)."""
    connection.execute(
        _SQL["add_claims"],
        {
            **_named(claim.identifier for claim in claims),
            "channel_kinds": [claim.channel_kind for claim in claims],
            "names": [claim.name for claim in claims],
            "customer_ids": [claim.customer_id for claim in claims],
            "chat_ids": [claim.chat_id for claim in claims],
            "inbox_ids": [claim.inbox_id for claim in claims],
        },
    )


def set_standing(connection: Connection, keys: Iterable[IdentifierKey], standing: Standing) -> None:
    """What is thought of locked identifiers from now on (T9)."""
    connection.execute(_SQL["set_standing"], {**_named(keys), "standing": standing})


def add_merges(connection: Connection, merges: Sequence[NewMerge]) -> list[int]:
    """Record merges (T7); returns their ids. The caller sets the live cards."""
    links = [new.merge.link for new in merges]
    rows = connection.execute(
        _SQL["add_merges"],
        {
            "card_ids": [new.merge.card_id for new in merges],
            "other_ids": [new.merge.other_id for new in merges],
            "loser_ids": [new.merge.loser_id for new in merges],
            "survivor_ids": [new.merge.survivor_id for new in merges],
            "rules": [new.rule for new in merges],
            "kinds": [link.identifier[0] if link else None for link in links],
            "keys": [link.identifier[1] if link else None for link in links],
            "evidences": [link.evidence if link else None for link in links],
            "chat_ids": [new.merge.chat_id for new in merges],
            "inbox_ids": [new.merge.inbox_id for new in merges],
            "actors": [new.actor for new in merges],
            "reasons": [new.reason for new in merges],
        },
    )
    return [row[0] for row in rows.fetchall()]


def set_live(connection: Connection, live: Mapping[int, int]) -> None:
    """Let each card point at its live card."""
    ordered = sorted(live)
    connection.execute(_SQL["set_live"], {"card_ids": ordered, "live_ids": [live[card_id] for card_id in ordered]})


def add_reviews(connection: Connection, reviews: Sequence[Review]) -> None:
    """Ask a person; what is asked already is not asked again (T7, T9)."""
    connection.execute(
        _SQL["add_reviews"],
        {
            "causes": [review.cause for review in reviews],
            "card_ids": [review.card_id for review in reviews],
            "other_ids": [review.other_id for review in reviews],
            **_named(review.link.identifier for review in reviews),
            "evidences": [review.link.evidence for review in reviews],
            "chat_ids": [review.chat_id for review in reviews],
            "inbox_ids": [review.inbox_id for review in reviews],
        },
    )

"""Erasing customers (T5): all that is theirs in one transaction, after a sweep of what others wrote of them.

The sweep goes first: an erase that is stopped at any point leaves customers who are still found, and is run again.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from crm_store import audit, customers, desks, seats, statistics
from crm_store.customers import Customers, Key
from crm_store.database import Connection, Session
from crm_store.errors import StoreError
from crm_store.patience import patiently
from crm_store.queries import Queries
from crm_store.removal import delete_items
from crm_store.sweeping import Sweeper
from crm_store.text_sweep import Progress, Swept, Target
from tracker.identifiers import IdentifierKind
from tracker.traces import Traces

_SQL = Queries("erasure")

LONG_HISTORY = 10_000
"""Messages of a chat that are deleted in one transaction; the older ones of a longer chat go before, in such parts."""

MOST_ROUNDS = 6

FEW_ITEMS = 2_000
"""So many that came in during the sweep may be searched while nothing is accepted: some tens of milliseconds."""

_SEARCHED = frozenset({IdentifierKind.PHONE.value, IdentifierKind.EMAIL.value})


class ChangingCustomerError(StoreError):
    """The customer gets new chats, cards or identifiers faster than they can be swept."""

    reason = "changing_customer"


class OtherCustomerError(StoreError):
    """The customer was merged or parted meanwhile: he is not any more who was confirmed. Nothing of him is erased."""

    reason = "other_customer"


@dataclass(frozen=True, slots=True)
class Request:
    """Who is to be erased, by whom and why.

    named: identifiers that were given; they are swept in any case. family: the cards that the customers consist of, as
    they were confirmed; those of the beginning where it is None.
    """

    live_ids: Collection[int]
    named: frozenset[Key]
    actor: str
    reason: str
    family: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased: cards, rows by table; what was rewritten elsewhere; identifiers that others keep."""

    card_ids: tuple[int, ...]
    deleted: Mapping[str, int]
    rewritten: Mapping[str, int]
    kept: int
    statistics_renewed: bool = False


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a round erases. keys: identifiers that go everywhere. kept: how many stay, because they are others' too.

    unbound: chats that are taken for his as long as they have no card.
    """

    who: Customers
    searched: frozenset[tuple[str, str]]
    keys: frozenset[Key]
    kept: int
    unbound: frozenset[int]

    def is_as(self, other: "_Plan") -> bool:
        """Whether a sweep for this plan was one for the other."""
        same = self.who.card_ids == other.who.card_ids and self.who.chat_ids == other.who.chat_ids
        return same and other.searched <= self.searched


class _ChangedError(Exception):
    """There is more to sweep for than there was; nothing was changed. unbound: chats that have come in meanwhile."""

    def __init__(self, unbound: Collection[int] = ()) -> None:
        super().__init__()
        self.unbound = unbound


def erase(session: Session, request: Request, progress: Progress) -> Erased:
    """Erase these customers and sweep for their phones and e-mails; without any customers only sweep.

    session: a connection of its own, with a short lock time-out: what it waits for, others wait behind.
    Raises DatabaseAwayError, ChangingCustomerError and OtherCustomerError: nothing is lost by running it again.
    """
    swept = Swept()
    thinned = 0
    if request.family is None:
        request = replace(request, family=patiently(_family, session, request.live_ids))
    for _ in range(MOST_ROUNDS):
        plan = patiently(_read_plan, session, request, swept.unbound)
        sweeper = Sweeper(session, _target(plan), progress, swept)
        swept_to = patiently(_last_item, session)
        sweeper.everything(swept_to)
        while (last := patiently(_last_item, session)) - swept_to > FEW_ITEMS:  # came in meanwhile
            sweeper.inbox(swept_to, last)
            swept_to = last
        if swept.unbound != plan.unbound:
            continue
        thinned += _thin_out(session, plan.who.chat_ids)
        try:
            erased, last = patiently(_erase, session, request, plan, sweeper, swept_to, thinned)
        except _ChangedError as error:
            swept.unbound |= set(error.unbound)
            continue
        sweeper.inbox(swept_to, last)
        return replace(erased, statistics_renewed=statistics.renew(session))
    raise ChangingCustomerError("the customer gets new chats or identifiers all the time; run the erase again")


def _read_plan(session: Session, request: Request, unbound: Collection[int]) -> _Plan:
    with session.transaction() as connection:
        return _plan(connection, request, unbound)


def _family(session: Session, live_ids: Collection[int]) -> frozenset[int]:
    with session.transaction() as connection:
        return customers.family(connection, live_ids)


def _plan(connection: Connection, request: Request, unbound: Collection[int]) -> _Plan:
    if customers.family(connection, request.live_ids) != request.family:
        raise OtherCustomerError("the customer was merged or parted meanwhile; look again, and confirm again")
    who = customers.read(connection, request.live_ids, unbound)
    given = who.keys | request.named
    # Another's proven phone is his own, and a shared one is nobody's, unless it is named.
    others = customers.proven_by_others(connection, given, who.card_ids)
    others |= customers.shared(connection, given) - request.named
    keys = given - others
    writings = {(kind, text) for kind, key, value in who.identifiers if (kind, key) in keys for text in (key, value)}
    return _Plan(who, frozenset(w for w in writings | keys if w[0] in _SEARCHED), keys, len(others), frozenset(unbound))


def _target(plan: _Plan) -> Target:
    phones = [text for kind, text in plan.searched if kind == IdentifierKind.PHONE]
    emails = [text for kind, text in plan.searched if kind == IdentifierKind.EMAIL]
    return Target(Traces(phones, emails), plan.who.chats, plan.who.card_ids)


def _last_item(session: Session) -> int:
    with session.transaction() as connection:
        connection.execute(_SQL["stop_accepting"])
        return _value(connection, "last_item")


def _thin_out(session: Session, chat_ids: Collection[int]) -> int:
    """Delete the older messages of long histories; returns how many."""
    deleted = 0
    while True:
        with session.connection() as connection:
            parameters = {"chat_ids": list(chat_ids), "limit": LONG_HISTORY}
            long = connection.execute(_SQL["long_histories"], parameters).fetchall()
        if not long:
            return deleted
        for (chat_id,) in long:
            deleted += patiently(_delete_oldest, session, chat_id)


def _delete_oldest(session: Session, chat_id: int) -> int:
    with session.transaction() as connection:
        return connection.execute(_SQL["thin_out"], {"chat_id": chat_id, "limit": LONG_HISTORY}).rowcount


def _erase(
    session: Session, request: Request, plan: _Plan, sweeper: Sweeper, swept_to: int, thinned: int
) -> tuple[Erased, int]:
    """The transaction. Returns also the last item that was accepted before it. Raises _ChangedError."""
    with session.transaction() as connection:
        connection.execute(_SQL["take_turn"])
        dialog_ids, parted = _lock(connection, request, plan)
        connection.execute(_SQL["stop_accepting"])
        if late := sweeper.unbound_since(connection, swept_to):
            raise _ChangedError(late)
        deleted = _delete_items(connection, plan.who, sweeper, swept_to)
        keys = plan.keys | _extra_keys(connection, plan, sweeper)
        deleted |= _delete_rest(connection, plan, keys, dialog_ids, parted)
        deleted["messages"] += thinned
        last = _value(connection, "last_item")
        erased = Erased(plan.who.card_ids, deleted, dict(sweeper.swept.rewritten), plan.kept)
        _audit(connection, request, erased, _target(plan).traces)
    return erased, last


def _lock(connection: Connection, request: Request, plan: _Plan) -> tuple[list[int], list[int]]:
    """All locks in their order; returns the customer's dialogs, and those of others that show his cards.

    Frees the slots of the operators who have open ones.
    """
    who = plan.who
    touched = connection.execute(_SQL["touched_chats"], _given(plan)).fetchall()
    locked = sorted({*who.chat_ids, *(chat_id for (chat_id,) in touched)})
    connection.execute(_SQL["lock_chats"], {"chat_ids": locked})
    connection.execute(_SQL["lock_identifiers"])
    row = connection.execute(_SQL["lock_cards"], {"card_ids": list(who.card_ids)}).fetchone()
    if not (row and row[0]) or not plan.is_as(_plan(connection, request, plan.unbound)):
        raise _ChangedError
    by_chats = {"chat_ids": who.chat_ids}
    open_channel_ids = [row[0] for row in connection.execute(_SQL["desks_of"], by_chats).fetchall()]
    desks.lock_open_channels(connection, open_channel_ids)
    operator_ids = [row[0] for row in connection.execute(_SQL["operators_of"], by_chats).fetchall()]
    desks.lock_operators(connection, operator_ids)
    rows = connection.execute(_SQL["lock_dialogs"], {**by_chats, "card_ids": list(who.card_ids)}).fetchall()
    own = set(who.chat_ids)
    mine = [row for row in rows if row[1] in own]
    dialog_ids = [row[0] for row in mine]
    connection.execute(_SQL["delete_timers"], {"dialog_ids": dialog_ids})
    _free_slots(connection, {(row[3], row[2]) for row in mine if row[4] and row[3] is not None})
    return dialog_ids, [row[0] for row in rows if row[1] not in own]


def _free_slots(connection: Connection, held: Iterable[tuple[int, int]]) -> None:
    """The backlogs that can use the slots of these operators on these open channels are tried at once (D8)."""
    slots = sorted(held)
    if slots:
        seats.free_slots(connection, slots)


def _delete_items(connection: Connection, who: Customers, sweeper: Sweeper, swept_to: int) -> dict[str, int]:
    addresses = sorted({(c.channel_id, text) for c in who.chats for text in (c.external_id, c.customer_id) if text})
    rows = connection.execute(
        _SQL["items"],
        {
            "left_ids": sorted(sweeper.swept.left),
            "chat_ids": who.chat_ids,
            "swept_to": swept_to,
            "channel_ids": [channel_id for channel_id, _ in addresses],
            "addresses": [address for _, address in addresses],
        },
    ).fetchall()
    stages = delete_items(connection, [row[0] for row in rows])
    return {"inbox": sum(stages.values()) + sweeper.swept.deleted_items}


def _extra_keys(connection: Connection, plan: _Plan, sweeper: Sweeper) -> set[Key]:
    """Identifiers of other kinds that hold one of the customer's; a proven e-mail of another customer stays his."""
    found = sweeper.swept.keys - plan.keys
    comparable = {key for key in found if key[0] in _SEARCHED}
    return found - customers.proven_by_others(connection, comparable, plan.who.card_ids)


def _delete_rest(
    connection: Connection, plan: _Plan, keys: Collection[Key], dialog_ids: list[int], parted: list[int]
) -> dict[str, int]:
    given = _given(plan, keys) | {"dialog_ids": dialog_ids}
    others = [row[0] for row in connection.execute(_SQL["touched_chats"], given).fetchall()]
    connection.execute(_SQL["strip_chats"], {**given, "other_ids": others})
    connection.execute(_SQL["part_dialogs"], {**given, "dialog_ids": parted})
    connection.execute(_SQL["strip_merges"], given)
    deleted = {table: connection.execute(_SQL[f"delete_{name}"], given).rowcount for table, name in _IN_ORDER}
    connection.execute(_SQL["strip_reviews"], given)
    connection.execute(_SQL["forget_cards"], given)
    deleted["identifiers"] = connection.execute(_SQL["delete_identifiers"], given).rowcount
    deleted["cards"] = connection.execute(_SQL["delete_cards"], given).rowcount
    return deleted


_IN_ORDER = (
    ("outbox", "outbox"),
    ("events", "events"),
    ("decisions", "decisions"),
    ("dialogs", "dialogs"),
    ("messages", "messages"),
    ("claims", "claims"),
    ("card_identifiers", "facts"),
    ("detached", "detached"),
    ("merges", "merges"),
    ("kept_apart", "kept_apart"),
    ("reviews", "reviews"),
    ("chats", "chats"),
)
"""Tables and the queries that delete from them, those that point at others first."""


def _given(plan: _Plan, keys: Collection[Key] | None = None) -> dict[str, Any]:
    ordered = sorted(plan.keys if keys is None else keys)
    return {
        "card_ids": list(plan.who.card_ids),
        "chat_ids": plan.who.chat_ids,
        "kinds": [kind for kind, _ in ordered],
        "keys": [key for _, key in ordered],
    }


def _audit(connection: Connection, request: Request, erased: Erased, traces: Traces) -> None:
    details = {
        "card_ids": list(erased.card_ids),
        "deleted": {table: n for table, n in erased.deleted.items() if n},
        "rewritten": dict(erased.rewritten),
        "identifiers_kept": erased.kept,
        "reason": traces.redact(request.reason),
    }
    audit.enter(connection, request.actor, "customer_erased", "done", details)


def _value(connection: Connection, query: str) -> int:
    row = connection.execute(_SQL[query]).fetchone()
    assert row is not None  # noqa: S101  an aggregate
    return int(row[0])

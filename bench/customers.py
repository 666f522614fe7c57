"""Who writes in a stream, over which chats: every fourth of a stream's chats is a customer's second one.

A customer who writes over two channels gives the same phone or e-mail in the first message of both, so that his
card does not depend on which of the two is worked on first.
"""

import random
from dataclasses import dataclass, replace

from bench.desk import KINDS
from loadgen.distinct_people import people
from loadgen.people import Person
from tracker.identifiers import IdentifierKind

KIND_SHARES = {"telegram": 0.42, "livechat": 0.25, "custom": 0.25, "whatsapp": 0.06, "webform": 0.02}
"""Of the chats. WhatsApp proves a phone and a form is known by its e-mail in every message: they are few."""

LINKED_BY_EMAIL = 0.18
"""Of the customers with two chats in which either could be given."""

TALKING_KINDS = ("telegram", "livechat", "custom")
"""Kinds in which a message gives a phone or an e-mail only when its customer says so."""


@dataclass(frozen=True, slots=True)
class Chat:
    """number: in the stream. linked_by: what its first message gives, because the customer has a second chat."""

    number: int
    customer: int
    person: Person
    kind: str
    linked_by: IdentifierKind | None = None


def make_chats(rng: random.Random, customers: int, chats: int) -> list[Chat]:
    """The chats of a stream; as many customers as there are chats without the second ones."""
    everybody = list(people(rng, customers))
    kinds = _kinds(rng, chats)
    made = [Chat(number, number, everybody[number], kinds[number]) for number in range(customers)]
    # A second chat's partner is of a talking kind, so that either can give what the other one's channel needs.
    partners = rng.sample([chat.number for chat in made if chat.kind in TALKING_KINDS], chats - customers)
    for number, partner in enumerate(partners, customers):
        first = made[partner]
        kind = kinds[number]
        if kind == first.kind:
            kind = rng.choice([other for other in TALKING_KINDS if other != first.kind])
        link = _link(rng, kind)
        made[partner] = replace(first, linked_by=link)
        made.append(Chat(number, partner, first.person, kind, link))
    return made


def _kinds(rng: random.Random, chats: int) -> list[str]:
    kinds = [kind for kind in KINDS for _ in range(round(KIND_SHARES[kind] * chats))]
    kinds = (kinds + ["telegram"] * chats)[:chats]
    rng.shuffle(kinds)
    return kinds


def _link(rng: random.Random, kind: str) -> IdentifierKind:
    if kind == "whatsapp":
        return IdentifierKind.PHONE
    if kind == "webform":
        return IdentifierKind.EMAIL
    return IdentifierKind.EMAIL if rng.random() < LINKED_BY_EMAIL else IdentifierKind.PHONE

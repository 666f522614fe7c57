"""The customers of a stream: who they are, over which channels they write, and what they say there about themselves.

No two of them contradict each other by a proof, so the order in which parallel workers learn things does not matter
(T8), and an oracle that reads one message after the other knows the right cards.
"""

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from loadgen.distinct_people import people
from loadgen.evaluation.said import Given
from loadgen.people import Person
from loadgen.phrases import PHRASES
from loadgen.streams.desk import HOT
from loadgen.world import Act

MOST_PEOPLE = 10_000_000
RETURNING_SHARE = 0.35
FAMILY_SHARE = 0.08
"""Of the customers who have one number in common with up to two others, who type it and prove nothing."""
LARGEST_FAMILY = 3
REMEMBERED = 2000

WEIGHTS = {
    "load-telegram": 34,
    "load-whatsapp": 16,
    "load-livechat": 20,
    "load-webform": 6,
    "load-custom": 14,
    HOT: 5,
    "load-queue-livechat": 5,
}
FAMILY_CHANNELS = ("load-telegram", "load-livechat", "load-queue-livechat")
"""Those over which nothing is proved."""


@dataclass(frozen=True, slots=True)
class Line:
    """What is said in one message, and by what it makes its customer known. phone, email: in fields of a form."""

    text: str
    gives: tuple[Given, ...] = ()
    phone: bool = False
    email: bool = False
    act: Act = Act.WRITE


@dataclass(eq=False, slots=True)
class Talk:
    """A conversation under way."""

    person: Person
    channel: str
    kind: str
    left: deque[Line] = field(default_factory=deque)


@dataclass(slots=True)
class _Customer:
    person: Person
    channels: list[str]
    in_family: bool = False


class Customers:
    """Begins conversations, without end. All random things come from one generator."""

    def __init__(self, rng: random.Random, kinds: dict[str, str], taken: set[object] | None = None) -> None:
        """kinds: of the channels, by key. taken: as `distinct_people.people`."""
        self._rng = rng
        self._kinds = kinds
        self._people: Iterator[Person] = people(random.Random(rng.getrandbits(64)), MOST_PEOPLE, taken)
        self._known: deque[_Customer] = deque(maxlen=REMEMBERED)
        self._family: list[Person] = []

    def stranger(self) -> Person:
        """Somebody who is no customer: a bot, or one who writes into a group."""
        return next(self._people)

    def endless(self, channel: str) -> Talk:
        """One who never ends."""
        return Talk(next(self._people), channel, self._kinds[channel])

    def begin(self, channel: str | None = None) -> Talk:
        """A conversation of somebody new, or of one who has written before. channel: only over this one."""
        rng = self._rng
        if channel is not None:
            customer = _Customer(next(self._people), [channel])
        elif self._known and rng.random() < RETURNING_SHARE:
            customer = rng.choice(self._known)
        else:
            customer = self._newcomer()
            self._known.append(customer)
        chosen = rng.choice(customer.channels)
        talk = Talk(customer.person, chosen, self._kinds[chosen])
        talk.left.extend(self._lines(customer, talk.kind))
        return talk

    def small_talk(self, person: Person) -> Line:
        """A message that says nothing about its customer."""
        return Line(self._rng.choice(PHRASES[person.country.language].follow_ups))

    def _newcomer(self) -> _Customer:
        rng, person = self._rng, next(self._people)
        if rng.random() >= FAMILY_SHARE:
            keys = list(WEIGHTS)
            count = rng.choices((1, 2, 3), weights=(45, 40, 15))[0]
            return _Customer(person, list(dict.fromkeys(rng.choices(keys, list(WEIGHTS.values()), k=count))))
        if len(self._family) >= LARGEST_FAMILY:
            self._family = []
        self._family.append(person)
        first = self._family[0]
        shared = replace(person, phone=first.phone, country=first.country)
        return _Customer(shared, [rng.choice(FAMILY_CHANNELS)], in_family=True)

    def _lines(self, customer: _Customer, kind: str) -> Iterator[Line]:
        rng, person = self._rng, customer.person
        phrases = PHRASES[person.country.language]
        proven = (Given("phone", person.phone, "proven"),) if kind == "whatsapp" else ()
        evidence = "proven" if kind == "custom" else "typed"
        in_field = Given("email", person.email, evidence)
        if kind == "webform":
            phone = rng.random() < 0.5
            given = (Given("phone", person.phone, "typed"), in_field) if phone else (in_field,)
            yield Line(rng.choice(phrases.openings), given, phone=phone, email=True)
            return
        yield Line(rng.choice(phrases.openings), proven)
        for _ in range(rng.choice((0, 1, 2, 3, 4, 6))):
            yield Line(rng.choice(phrases.follow_ups), proven)
        if customer.in_family or rng.random() < 0.45:
            typed = Given("phone", person.written_phone, "typed")
            yield Line(rng.choice(phrases.phone).format(person.written_phone), (*proven, typed))
        if rng.random() < 0.3:
            typed = Given("email", person.email, "typed")
            yield Line(rng.choice(phrases.email).format(person.email), (*proven, typed))
        if kind in ("livechat", "custom") and rng.random() < 0.25:
            yield Line(rng.choice(phrases.follow_ups), (in_field,), email=True)
        if kind == "telegram" and not customer.in_family and rng.random() < 0.15:
            yield Line("", (Given("phone", person.phone, "proven"),), act=Act.SHARE_CONTACT)
        yield Line(rng.choice(phrases.thanks), proven)

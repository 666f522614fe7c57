"""Who lives in the world: customers with numbers, addresses and habits, and what is hard about some of them."""

import random
from dataclasses import dataclass, field

from loadgen.evaluation.countries import COUNTRIES, Country
from loadgen.people import ascii_name

DOMAINS = ("kontor.example", "mail.blumen.example", "fjord.example", "casa-azul.example", "studio9.example")

HABITS: tuple[tuple[str, int], ...] = (
    ("whatsapp", 26),
    ("telegram", 20),
    ("livechat", 22),
    ("webform", 12),
    ("instagram", 12),
    ("custom", 8),
)
"""Kinds of channels, and how much people like them."""

SECONDS = 120 * 24 * 3600
"""How long the world lasts."""


@dataclass(frozen=True, slots=True)
class Phone:
    """A number. national: digits after the country's code."""

    country: Country
    national: str

    @property
    def e164(self) -> str:
        """As it is dialled."""
        return f"+{self.country.code}{self.national}"

    @property
    def whatsapp(self) -> str:
        """As WhatsApp writes it, with + (T12)."""
        return f"+{self.country.code}{self.country.whatsapp(self.national)}"


@dataclass(slots=True)
class Person:
    """A customer. chats: how many he has. likes: kinds of channels, the same as often as he likes them.

    hard: what is hard about him, empty for most. gives: the number that he gives instead of his own (a family's, a
    company's), and how often. victim: whose number he types. heir_of: from whom he takes over a number, and when.
    """

    code: str
    given: str
    family: str
    country: Country
    phone: Phone
    second_phone: Phone
    email: str
    telegram_id: str
    likes: tuple[str, ...]
    chats: int = 1
    hard: str = ""
    gives: Phone | None = None
    victim: "Person | None" = None
    heir_of: "Person | None" = None
    heir_since: int = 0

    @property
    def name(self) -> str:
        """Both names."""
        return f"{self.given} {self.family}"


@dataclass(slots=True)
class Population:
    """People with their chats counted out: `customers` of them have `chats` together. Everything is from `rng`."""

    rng: random.Random
    customers: int
    chats: int
    people: list[Person] = field(init=False)
    _taken: set[str] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self.people = [self._person(number) for number in range(self.customers)]
        self._count_out_chats()
        self._make_hard()

    def _person(self, number: int) -> Person:
        rng = self.rng
        country = rng.choice(COUNTRIES)
        given, family = rng.choice(country.given), rng.choice(country.family)
        email = f"{ascii_name(rng, given)}.{ascii_name(rng, family)}{number}@{rng.choice(DOMAINS)}"
        names, weights = zip(*HABITS, strict=True)
        return Person(
            code=f"customer-{number + 1:05d}",
            given=given,
            family=family,
            country=country,
            phone=self._phone(country),
            second_phone=self._phone(country),
            email=email,
            telegram_id=str(100_000_000 + number * 137 + rng.randrange(137)),
            likes=tuple(rng.choices(names, weights, k=rng.choice((2, 3, 4)))),
        )

    def _phone(self, country: Country, *, office: bool = False) -> Phone:
        while True:
            national = country.office(self.rng) if office else country.number(self.rng)
            phone = Phone(country, national)
            if phone.e164 not in self._taken:
                self._taken.add(phone.e164)
                return phone

    def _count_out_chats(self) -> None:
        """Everybody has one; few have many."""
        weights = [0.15 + self.rng.random() ** 3 for _ in self.people]
        for person in self.rng.choices(self.people, weights, k=self.chats - self.customers):
            person.chats += 1

    # What is hard

    def _make_hard(self) -> None:
        """Everybody is in one trap at most."""
        left = list(self.people)
        self.rng.shuffle(left)
        busy = [person for person in left if person.chats > 1]
        quiet = [person for person in left if person.chats == 1]
        share = self.customers // 100
        for _ in range(max(1, share // 5)):
            self._switchboard(self._some(quiet, busy, self.rng.randint(12, 40)))
        for _ in range(max(1, share * 3)):
            self._family(self._some(busy, quiet, self.rng.choice((2, 2, 3, 4))))
        for _ in range(max(1, share)):
            self._recycled(self._some(busy, quiet, 2))
        for number in range(max(2, share * 2)):
            self._stranger(self._some(busy, quiet, 2), proves=number % 2 == 0)
        for hard in ("two_proven", "second_phone", "at_once"):
            for person in self._some(busy, quiet, max(1, share * 2)):
                person.hard = hard

    def _some(self, first: list[Person], then: list[Person], number: int) -> list[Person]:
        """So many people of the first list, or of the other where it is used up; small worlds may have fewer."""
        return [source.pop() for _ in range(number) if (source := first or then)]

    def _switchboard(self, people: list[Person]) -> None:
        """Employees of one company give its number, and some nothing else."""
        if people:
            office = self._phone(people[0].country, office=True)
            for person in people:
                person.hard, person.gives = "switchboard", office
                person.likes = ("livechat", "livechat", "webform")

    def _family(self, people: list[Person]) -> None:
        """They give the first one's number."""
        for person in people:
            person.hard, person.gives = "family", people[0].phone
            person.family = people[0].family

    def _recycled(self, people: list[Person]) -> None:
        """A number moves from the first to the second."""
        if len(people) == 2:
            former, heir = people
            former.hard = heir.hard = "recycled"
            heir.heir_of, heir.heir_since = former, self.rng.randrange(SECONDS // 4, SECONDS * 3 // 4)

    def _stranger(self, people: list[Person], *, proves: bool) -> None:
        """The first types the second's number; half of them prove their own, sooner or later."""
        if len(people) == 2:
            stranger, stranger.victim = people[0], people[1]
            stranger.hard = "stranger_proves" if proves else "stranger"

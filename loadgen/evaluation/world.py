"""A generated world: who wrote what, when, and what he gave. Everything follows from the seed, on every machine."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from loadgen.evaluation.conversations import DAY, Conversation, Conversations, Reveal
from loadgen.evaluation.population import Population
from loadgen.evaluation.said import Given, Message
from loadgen.phrases import PHRASES

BEGINNING = datetime(2026, 1, 5, 6, tzinfo=UTC)

DECOYS = (
    "Order 4821-337755",
    "№ 220-4471-09",
    "Rechnung #9912045578",
    "IBAN DE89 3704 0044 0532 0130 00",
    "1.299,00 €",
    "14 900 руб.",
    "https://shop.example/p/4915112345678?ref=79121234567",
    "12.03.2026 14:30",
    "2026-03-12",
    "tracking 00340434161094042557",
    "4000 1234 5678 9010",
    "42, 44 / 46",
    "60x120x200 cm",
)
"""They look like phones, and are none."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the world is."""

    customers: int = 10_000
    chats: int = 30_000
    messages: int = 100_000

    def __post_init__(self) -> None:
        if not 1 <= self.customers <= self.chats <= self.messages:
            raise ValueError("a world needs at least one customer, a chat for each, and a message for each chat")

    @classmethod
    def of(cls, customers: int) -> "Sizes":
        """The default proportions."""
        return cls(customers, 3 * customers, 10 * customers)


def make_world(seed: int, sizes: Sizes | None = None) -> list[Message]:
    """All messages in the order of their times; those of one moment in an order of their own."""
    sizes = sizes or Sizes()
    rng = random.Random(seed)
    population = Population(rng, sizes.customers, sizes.chats)
    planner = Conversations(rng)
    planned = [conversation for person in population.people for conversation in planner.of(person)]
    for person in population.people:
        planner.hand_over(person)
    lengths = _lengths(rng, planned, sizes.messages)
    written = [
        message
        for conversation, length in zip(planned, lengths, strict=True)
        for message in _write(rng, conversation, length)
    ]
    return sorted(written, key=lambda message: message.sent_at)


def _lengths(rng: random.Random, planned: Sequence[Conversation], messages: int) -> list[int]:
    """How many messages each chat has; a chat that would need two gets them as long as there are enough."""
    lengths = [1] * len(planned)
    left = messages - len(planned)
    for number, conversation in enumerate(planned):
        if left > 0 and conversation.least > 1:
            lengths[number] += 1
            left -= 1
    weights = [0.02 if one.kind == "webform" else 0.2 + rng.random() ** 2 for one in planned]
    for number in rng.choices(range(len(planned)), weights, k=left):
        lengths[number] += 1
    return lengths


def _write(rng: random.Random, conversation: Conversation, length: int) -> Iterator[Message]:
    person = conversation.person
    places: list[list[Reveal]] = [[] for _ in range(length)]
    for reveal in conversation.reveals:
        # At once means at once; others come to it sooner or later.
        early = conversation.trap == "at_once"
        places[-1 if reveal.late else 0 if early else min(rng.randrange(length), 5)].append(reveal)
    times = _times(rng, conversation, length)
    for number, (reveals, seconds) in enumerate(zip(places, times, strict=True)):
        writer, name = person, conversation.name
        if conversation.heir is not None and seconds >= conversation.heir.heir_since:
            writer, name = conversation.heir, conversation.heir.name
        identity = (*conversation.always, *(reveal.identity for reveal in reveals if reveal.identity is not None))
        yield Message(
            customer=writer.code,
            channel=conversation.channel,
            chat=conversation.chat,
            sent_at=BEGINNING + timedelta(seconds=seconds),
            name=name,
            text=_text(rng, person.country.language, reveals, number, length),
            identity=_each_once(identity),
            says=_each_once(reveal.says for reveal in reveals if reveal.says is not None),
            trap=conversation.trap,
        )


def _times(rng: random.Random, conversation: Conversation, length: int) -> list[int]:
    """Seconds from the beginning. Some conversations go on after days."""
    times = [conversation.start]
    for number in range(1, length):
        times.append(times[-1] + 5 + int(rng.expovariate(1 / 1200)))
        if rng.random() < 0.1:
            times[-1] += rng.randrange(DAY, 8 * DAY)
        if conversation.heir is not None and number == (length + 1) // 2:
            times[-1] = max(times[-1], conversation.heir.heir_since + rng.randrange(DAY))
    return times


def _text(rng: random.Random, language: str, reveals: Sequence[Reveal], number: int, length: int) -> str:
    phrases = PHRASES[language]
    said = []
    for reveal in reveals:
        if reveal.written:
            wording = phrases.email if "@" in reveal.written else phrases.phone
            said.append(rng.choice(wording).format(reveal.written))
    if not said:
        if number == 0:
            said.append(rng.choice(phrases.openings))
        else:
            said.append(rng.choice(phrases.thanks if number == length - 1 else phrases.follow_ups))
    if rng.random() < 0.12:
        said.append(rng.choice(DECOYS))
    return "\n".join(said)


def _each_once(given: Iterator[Given] | tuple[Given, ...]) -> tuple[Given, ...]:
    return tuple(dict.fromkeys(given))

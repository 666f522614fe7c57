"""A world from a seed: who writes what, when and over which channel.

Everything random comes from one `random.Random`. The same seed, channels and rate give the same people who say the
same things at the same moments; the run's number makes their messages new ones. So the customers of an earlier run
come back, and are known.
"""

import heapq
import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count

from loadgen.people import Person, new_person
from loadgen.phrases import PHRASES, Phrases
from tracker.channels import Channel

REPEAT_SHARE = 0.03
"""Of the webhooks that a provider sends a second time, although the first was answered."""

GROUP_SHARE = 0.025
"""Of a messenger's messages that are written into a group, which is no customer's chat (C5)."""

ACTIVE_SECONDS = 3.0
"""How long a customer waits between two messages, on average."""

NEW_SHARE = 0.4
RETURNING_SHARE = 0.35
"""Of the conversations that somebody begins who has written before."""

REMEMBERED_PEOPLE = 2000
NUMBERS_PER_RUN = 1_000_000

GROUP_KINDS = frozenset({"telegram", "whatsapp"})


class Act(StrEnum):
    """What a customer does with a message."""

    WRITE = "write"
    SHARE_CONTACT = "share_contact"
    """Sends his own contact card, by the messenger's button."""
    WRITE_IN_GROUP = "write_in_group"
    WRITE_AS_BOT = "write_as_bot"
    """A program writes, as the messenger says."""
    EDIT = "edit"
    """Changes what he wrote before."""
    SEND_PICTURE = "send_picture"
    """One of an album; the text is its caption."""


@dataclass(frozen=True, slots=True)
class Writing:
    """One message of a customer. channel: key. number: unique over all messages of all runs.

    gives_phone, gives_email: in fields of a form or protocol, besides what the text says. about: the number of the
    message that is edited, or of the first of its album.
    """

    channel: str
    number: int
    person: Person
    act: Act
    text: str
    gives_phone: bool = False
    gives_email: bool = False
    about: int = 0


@dataclass(frozen=True, slots=True)
class Planned:
    """A webhook that is due. at: seconds from the beginning. written_at: when the customer wrote.

    repeat: the provider sends what it has sent before.
    """

    at: float
    writing: Writing
    written_at: float
    repeat: bool = False


@dataclass(slots=True)
class _Conversation:
    channel: Channel
    person: Person
    left: deque[tuple[Act, str]]
    gives_phone: bool = False
    gives_email: bool = False


@dataclass(slots=True)
class World:
    """seed: everything follows from it. run: as no earlier run on the same data. rate: messages per second."""

    seed: int
    run: int
    rate: float
    channels: Sequence[Channel]
    _rng: random.Random = field(init=False)
    _people: deque[Person] = field(init=False, default_factory=lambda: deque(maxlen=REMEMBERED_PEOPLE))
    _active: list[_Conversation] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)

    def plan(self) -> Iterator[Planned]:
        """All webhooks in the order of their times, without an end. `rate` counts messages, not repeats. Once only."""
        rng, numbers, at = self._rng, count(self.run * NUMBERS_PER_RUN + 1), 0.0
        repeats: list[tuple[float, int, Planned]] = []
        while True:
            at += rng.expovariate(self.rate)
            while repeats and repeats[0][0] <= at:
                yield heapq.heappop(repeats)[2]
            planned = Planned(at, self._next_writing(next(numbers)), at)
            yield planned
            if rng.random() < REPEAT_SHARE:
                again = Planned(at + rng.uniform(0.5, 4.0), planned.writing, at, repeat=True)
                heapq.heappush(repeats, (again.at, planned.writing.number, again))

    def _next_writing(self, number: int) -> Writing:
        rng = self._rng
        target = max(5.0, self.rate * ACTIVE_SECONDS)
        if not self._active or (len(self._active) < target and rng.random() < NEW_SHARE):
            self._active.append(self._begin())
        position = rng.randrange(len(self._active))
        conversation = self._active[position]
        if conversation.channel.kind in GROUP_KINDS and rng.random() < GROUP_SHARE:
            text = rng.choice(_phrases(conversation.person).follow_ups)
            return Writing(conversation.channel.key, number, conversation.person, Act.WRITE_IN_GROUP, text)
        act, text = conversation.left.popleft()
        if not conversation.left:
            self._active[position] = self._active[-1]
            self._active.pop()
        return Writing(
            conversation.channel.key,
            number,
            conversation.person,
            act,
            text,
            gives_phone=conversation.gives_phone,
            gives_email=conversation.gives_email,
        )

    def _begin(self) -> _Conversation:
        rng = self._rng
        if self._people and rng.random() < RETURNING_SHARE:
            person = rng.choice(self._people)
        else:
            person = new_person(rng, tuple(channel.key for channel in self.channels))
            self._people.append(person)
        key = rng.choice(person.channels)
        channel = next(channel for channel in self.channels if channel.key == key)
        if channel.kind == "webform":
            # A form without a phone or an e-mail is of no use to anybody.
            phone, email = rng.choice(((True, True), (True, False), (False, True)))
            return _Conversation(channel, person, self._lines(person, 1, contact=False), phone, email)
        length = rng.choice((2, 4, 5, 6, 8, 10))
        email = channel.kind in ("livechat", "custom") and rng.random() < 0.4
        return _Conversation(
            channel, person, self._lines(person, length, contact=channel.kind == "telegram"), gives_email=email
        )

    def _lines(self, person: Person, length: int, *, contact: bool) -> deque[tuple[Act, str]]:
        """What is said in a conversation: an opening, something in between, contact details perhaps, thanks."""
        rng, phrases = self._rng, _phrases(person)
        said = [rng.choice(phrases.openings)]
        said += [rng.choice(phrases.follow_ups) for _ in range(length - 2)]
        if length > 2:
            if rng.random() < 0.5:
                said.insert(rng.randint(1, len(said)), rng.choice(phrases.phone).format(person.written_phone))
            if rng.random() < 0.35:
                said.insert(rng.randint(1, len(said)), rng.choice(phrases.email).format(person.email))
        if length > 1:
            said.append(rng.choice(phrases.thanks))
        lines: deque[tuple[Act, str]] = deque((Act.WRITE, text) for text in said)
        if contact and rng.random() < 0.25:
            lines.insert(rng.randint(1, len(lines)), (Act.SHARE_CONTACT, ""))
        return lines


def _phrases(person: Person) -> Phrases:
    return PHRASES[person.country.language]

"""The stream: who writes what in which order, and what is sent twice. Everything follows from the seed.

Every text ends with a tag, letters that no other message of the stream has: by it a message is found again in any
side's history, whatever ids that side gives.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from bench.customers import TALKING_KINDS, Chat, make_chats
from bench.desk import channel_key
from loadgen.phrases import PHRASES
from loadgen.world import Act, Writing
from tracker.identifiers import IdentifierKind, phone_key

CHATS_PER_MESSAGE = 0.2
CUSTOMERS_PER_MESSAGE = 0.15
PHONE_SHARE = 0.15
EMAIL_SHARE = 0.05
REPEAT_SHARE = 0.01

AT_ONCE_SHARE = 0.1
"""Of the customers with two chats who write the first message of both at the same moment."""

PAUSE = 0.03
"""Mean time between two messages of a chat, as a share of the stream's length."""

_MARK = " ~"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Said:
    """A message. number: its place in the stream, from 0. gives: what identifies its customer in it, kind and key."""

    number: int
    chat: int
    writing: Writing
    gives: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Stream:
    """requests: the messages in the order in which they are sent, some of them twice."""

    seed: int
    chats: Sequence[Chat]
    messages: Sequence[Said]
    requests: Sequence[Said]

    @property
    def customers(self) -> int:
        """How many people write."""
        return len({chat.customer for chat in self.chats})

    def share_with(self, kind: IdentifierKind) -> float:
        """Of the messages that give a phone, or an e-mail."""
        return sum(any(given == kind for given, _ in said.gives) for said in self.messages) / len(self.messages)


def tag_of(number: int) -> str:
    """The tag of a message. Always five letters: up to 11,881,376 messages."""
    letters = ""
    for _ in range(5):
        number, rest = divmod(number, len(_LETTERS))
        letters = _LETTERS[rest] + letters
    return letters


def tag_in(text: str) -> str:
    """The tag at the end of a text, empty if there is none."""
    return text.rpartition(_MARK)[2] if _MARK in text else ""


def make_stream(seed: int, messages: int) -> Stream:
    """A stream of so many messages, repeats not counted. messages: at least 100."""
    if messages < 100:
        raise ValueError("a stream has at least 100 messages")
    rng = random.Random(seed)
    chats = make_chats(rng, round(messages * CUSTOMERS_PER_MESSAGE), round(messages * CHATS_PER_MESSAGE))
    order = _order(rng, chats, messages)
    given = _details(rng, chats, order)
    said = [_say(rng, number, chats[chat], given[number]) for number, chat in enumerate(order)]
    return Stream(seed, chats, said, _with_repeats(rng, said))


def _order(rng: random.Random, chats: Sequence[Chat], messages: int) -> list[int]:
    """The chat of each message, in the order of the stream. Every chat has at least one."""
    lengths = [1] * len(chats)
    for place in rng.choices(range(len(chats)), k=messages - len(chats)):
        lengths[place] += 1
    starts = [rng.random() * (1 - 4 * PAUSE) for _ in chats]
    for chat in chats:
        if chat.number != chat.customer and rng.random() < AT_ONCE_SHARE:
            starts[chat.number] = starts[chat.customer]
    times: list[tuple[float, int]] = []
    for place, (at, length) in enumerate(zip(starts, lengths, strict=True)):
        for _ in range(length):
            times.append((at, place))
            at += rng.expovariate(1 / PAUSE)
    return [place for _, place in sorted(times)]


def _details(rng: random.Random, chats: Sequence[Chat], order: Sequence[int]) -> list[set[IdentifierKind]]:
    """What each message gives: what its channel gives, what links two chats, and by chance up to the shares."""
    given: list[set[IdentifierKind]] = [set() for _ in order]
    begun: set[int] = set()
    for number, chat_number in enumerate(order):
        chat = chats[chat_number]
        if chat.kind == "whatsapp":
            given[number].add(IdentifierKind.PHONE)
        elif chat.kind == "webform":
            given[number].add(IdentifierKind.EMAIL)
        elif chat_number not in begun and chat.linked_by is not None:
            given[number].add(chat.linked_by)
        begun.add(chat_number)
    free = [number for number, chat in enumerate(order) if chats[chat].kind in TALKING_KINDS]
    rng.shuffle(free)
    for kind, share in ((IdentifierKind.PHONE, PHONE_SHARE), (IdentifierKind.EMAIL, EMAIL_SHARE)):
        missing = round(share * len(order)) - sum(kind in details for details in given)
        unspoken = [number for number in free if not given[number]]
        for number in unspoken[: max(0, missing)]:
            given[number].add(kind)
    return given


def _say(rng: random.Random, number: int, chat: Chat, details: set[IdentifierKind]) -> Said:
    person, phrases = chat.person, PHRASES[chat.person.country.language]
    values = {IdentifierKind.PHONE: person.written_phone, IdentifierKind.EMAIL: person.email}
    text = rng.choice(phrases.openings + phrases.follow_ups)
    in_fields = chat.kind == "webform" or (chat.kind in ("livechat", "custom") and rng.random() < 0.5)
    if details and not in_fields and chat.kind != "whatsapp":
        templates = {IdentifierKind.PHONE: phrases.phone, IdentifierKind.EMAIL: phrases.email}
        text = " ".join(rng.choice(templates[kind]).format(values[kind]) for kind in sorted(details))
    writing = Writing(
        channel=channel_key(chat.kind),
        number=number + 1,
        person=person,
        act=Act.WRITE,
        text=f"{text}{_MARK}{tag_of(number)}",
        gives_phone=in_fields and IdentifierKind.PHONE in details,
        gives_email=in_fields and IdentifierKind.EMAIL in details,
    )
    keys = {IdentifierKind.PHONE: phone_key(person.phone), IdentifierKind.EMAIL: person.email}
    return Said(number, chat.number, writing, frozenset((str(kind), keys[kind]) for kind in details))


def _with_repeats(rng: random.Random, said: Sequence[Said]) -> list[Said]:
    """Some are sent again: at once, or up to two hundred messages later."""
    places = [(float(one.number), one) for one in said]
    repeated = rng.sample(list(said), round(REPEAT_SHARE * len(said)))
    places += [(one.number + rng.choice((0.5, rng.uniform(1, 200))), one) for one in repeated]
    places.sort(key=lambda place: place[0])
    return [one for _, one in places]

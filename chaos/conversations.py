"""Who writes what over which channel, without end; everything follows from the seed.

A customer has one to four chats. By what he gives in them an oracle knows which of them must end on one card: his chats
of one channel have his id there in common, and a phone or an e-mail that he gives in two chats joins them.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

from chaos.poison import KILLS, RAISES
from chaos.record import Given, Message, Poison
from ingest.adapters.base import dump_slice
from loadgen.distinct_people import people
from loadgen.people import Person
from loadgen.phrases import PHRASES
from tracker.identifiers import IdentifierKind, phone_key

MOST_PEOPLE = 1_000_000
WAITING_CHATS = 12
"""Chats from which the next one to begin is drawn: a customer's chats begin together, or long after each other."""

SHUFFLED_SHARE = 0.12
"""Of the chats whose messages overtake each other on their way."""

DETAILS: Sequence[tuple[float, tuple[IdentifierKind, ...]]] = (
    (0.35, (IdentifierKind.PHONE,)),
    (0.25, (IdentifierKind.EMAIL,)),
    (0.2, (IdentifierKind.PHONE, IdentifierKind.EMAIL)),
    (0.2, ()),
)
"""What a chat gives, and in how many of them; where nothing is given, the customer's id alone tells who he is."""


@dataclass(frozen=True, slots=True)
class Planted:
    """How many messages of each kind of poison are sent: half of them alone, half amid innocent ones.

    What kills is found by halving a batch until it is alone, and is dead after three deaths more: each costs some ten
    workers.
    """

    raises: int = 4
    kills: int = 2
    unreadable: int = 5


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation. shuffled: its messages are sent in another order than they were written."""

    messages: Sequence[Message]
    shuffled: bool = False


class Conversations:
    """Chats without end, and the planted ones."""

    def __init__(self, seed: int, channels: Sequence[str]) -> None:
        """channels: keys."""
        self._rng = random.Random(seed)
        self._channels = channels
        self._people = enumerate(people(random.Random(seed + 1), MOST_PEOPLE))
        self._numbers = count(1)
        self._chat_numbers = count(1)

    def chats(self) -> Iterator[Chat]:
        """In the order in which they begin."""
        waiting: list[Chat] = []
        while True:
            while len(waiting) < WAITING_CHATS:
                waiting += self._next_customer()
            yield waiting.pop(self._rng.randrange(len(waiting)))

    def planted(self, planted: Planted) -> list[Chat]:
        """The chats of the poison; what cannot be read is a chat of one message."""
        made = [self._poisoned(Poison.RAISES, amid=bool(n % 2)) for n in range(planted.raises)]
        made += [self._poisoned(Poison.KILLS, amid=bool(n % 2)) for n in range(planted.kills)]
        made += [self._unreadable(is_json=bool(n % 2)) for n in range(planted.unreadable)]
        self._rng.shuffle(made)
        return made

    def _next_customer(self) -> list[Chat]:
        _, person = next(self._people)
        chats = self._rng.choices((1, 2, 3, 4), weights=(40, 35, 15, 10))[0]
        return [self._chat(person) for _ in range(chats)]

    def _chat(self, person: Person) -> Chat:
        rng, channel, chat = self._rng, self._rng.choice(self._channels), f"c-{next(self._chat_numbers)}"
        length = rng.randint(2, 9)
        (kinds,) = rng.choices([kinds for _, kinds in DETAILS], [share for share, _ in DETAILS])
        given_in = {kind: rng.randrange(length) for kind in kinds}
        messages = [
            self._message(person, channel, chat, [kind for kind in kinds if given_in[kind] == n]) for n in range(length)
        ]
        return Chat(messages, rng.random() < SHUFFLED_SHARE)

    def _message(self, person: Person, channel: str, chat: str, kinds: Sequence[IdentifierKind]) -> Message:
        rng, phrases = self._rng, PHRASES[person.country.language]
        values = {IdentifierKind.PHONE: person.written_phone, IdentifierKind.EMAIL: person.email}
        keys = {IdentifierKind.PHONE: phone_key(person.phone), IdentifierKind.EMAIL: person.email}
        templates = {IdentifierKind.PHONE: phrases.phone, IdentifierKind.EMAIL: phrases.email}
        text, fields = rng.choice(phrases.openings + phrases.follow_ups), {"evidence": "typed"}
        match rng.choice(("proven", "typed", "text")):
            case "text":
                text = " ".join([text, *(rng.choice(templates[kind]).format(values[kind]) for kind in kinds)])
            case evidence:
                fields = {"evidence": evidence, **{kind.value: values[kind] for kind in kinds}}
        return self._written(person, channel, chat, text, fields, [(str(kind), keys[kind]) for kind in kinds])

    def _written(
        self, person: Person, channel: str, chat: str, text: str, fields: dict[str, str], gives: Sequence[Given]
    ) -> Message:
        external_id, customer_id = f"m-{next(self._numbers)}", f"u-{person.code}"
        messenger = (IdentifierKind.MESSENGER.value, f"custom/{channel}/{customer_id}")
        body = {
            "id": external_id,
            "chat_id": chat,
            "customer_id": customer_id,
            "name": person.name,
            "text": text,
            **fields,
        }
        return Message(channel, external_id, chat, text, frozenset({messenger, *gives}), body)

    def _poisoned(self, poison: Poison, *, amid: bool) -> Chat:
        """amid: innocent messages come before and after it in its chat."""
        _, person = next(self._people)
        channel, chat = self._rng.choice(self._channels), f"c-{next(self._chat_numbers)}"
        text = RAISES if poison is Poison.RAISES else KILLS
        bad = replace(self._written(person, channel, chat, text, {}, ()), poison=poison)
        if not amid:
            return Chat([bad])
        around = [self._message(person, channel, chat, ()) for _ in range(3)]
        return Chat([around[0], bad, *around[1:]])

    def _unreadable(self, *, is_json: bool) -> Chat:
        """A body that is signed and breaks the protocol, or is no JSON at all."""
        external_id, channel = f"m-{next(self._numbers)}", self._rng.choice(self._channels)
        if is_json:
            body = {"id": external_id, "text": "whose chat is this?"}
            raw = dump_slice({"delivery": f"{delivery_id([external_id])}#0", "message": body})
            return Chat([Message(channel, external_id, "", "", body=body, poison=Poison.UNREADABLE, raw=raw)])
        raw = json.dumps({"id": external_id})[:-1].encode()
        return Chat([Message(channel, external_id, "", "", poison=Poison.UNREADABLE, raw=raw)])


def delivery_id(external_ids: Sequence[str]) -> str:
    """The `webhook-id` of the body that carries these messages, the same for each try."""
    return f"d-{external_ids[0]}"

"""Makes a stream: the same seed, profile, rate and length give the same bytes."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from loadgen.evaluation.said import Given
from loadgen.people import Person
from loadgen.phrases import PHRASES
from loadgen.streams.customers import Customers, Line, Talk
from loadgen.streams.desk import HOT, desk_of, kinds_of_channels
from loadgen.streams.profiles import PROFILES, planned_times
from loadgen.streams.stream import Header, Meaning, Request, Stream, Trouble
from loadgen.wire import body_of, chat_id, message_id
from loadgen.world import Act, Writing
from tracker.channels import Channel

WRITTEN_FROM = 1_767_600_000
"""Unix time of a stream's beginning, as its customers' messengers write it: 5 January 2026."""

ACTIVE_SECONDS = 3.0
"""How long a customer waits between two messages, on average."""

NUMBERS = 40
"""Bits of the first message's number: by chance two streams have none in common."""

SHARES = (
    (0.025, Trouble.GROUP),
    (0.01, Trouble.BOT),
    (0.03, Trouble.BURST),
    (0.02, Trouble.ALBUM),
    (0.03, Trouble.EDIT),
    (0.02, Trouble.LONG),
)
"""Of the moments at which somebody writes; where the channel does not know the like, it is an ordinary message."""

_LONG_LINES = 60
_LONGEST = 3500
_CUSTOMERS_KINDS = frozenset({"telegram", "whatsapp"})


def make_stream(
    seed: int, profile: str, rate: float, seconds: float, desk: int = 1, taken: set[object] | None = None
) -> Stream:
    """A stream for the desk of a seed. rate: messages per second on average. Raises KeyError for another profile.

    taken: ids of the people of other streams on this desk; those of this stream are added.
    """
    making = _Making(Header(seed, profile, rate, seconds, desk), taken)
    return Stream(making.header, sorted(making.requests(), key=lambda request: request.at))


@dataclass(frozen=True, slots=True)
class _Said:
    """A line of somebody, on its way to be a request."""

    at: float
    talk: Talk
    line: Line
    trouble: Trouble = Trouble.NONE
    about: int = 0


class _Making:
    def __init__(self, header: Header, taken: set[object] | None) -> None:
        self.header = header
        self._profile = PROFILES[header.profile]
        # Whatever differs makes other people and other ids, so that two streams can be played on one desk.
        self._rng = random.Random(repr(header))
        self._channels: dict[str, Channel] = {channel.key: channel for channel in desk_of(header.desk).channels}
        self._customers = Customers(self._rng, kinds_of_channels(), taken)
        self._numbers = count(self._rng.getrandbits(NUMBERS) + 1)
        self._active: list[Talk] = []
        self._extra = 0
        self._hot = self._customers.endless("load-telegram") if self._profile.hot_chat else None

    def requests(self) -> Iterator[Request]:
        for at in planned_times(self._rng, self._profile, self.header.rate, self.header.seconds):
            if self._extra:  # a burst or an album had its messages before; the rate stays what it is
                self._extra -= 1
                continue
            made = list(self._moment(at))
            self._extra += len(made) - 1
            for request in made:
                yield request
                yield from self._repeats(request)

    def _moment(self, at: float) -> Iterator[Request]:
        rng, profile = self._rng, self._profile
        if profile.poison and rng.random() < profile.poison:
            yield self._poison(at)
            return
        if self._hot is not None and rng.random() < profile.hot_chat:
            yield self._request(_Said(at, self._hot, self._customers.small_talk(self._hot.person)))
            return
        place = self._place()
        talk, trouble = self._active[place], self._trouble()
        match trouble:
            case Trouble.GROUP | Trouble.BOT if talk.kind in _CUSTOMERS_KINDS:
                yield self._nobody(at, trouble)
            case Trouble.ALBUM if talk.kind in _CUSTOMERS_KINDS:
                yield from self._album(at, talk)
            case Trouble.BURST:
                for number in range(min(len(talk.left), rng.randint(3, 5))):
                    yield self._request(_Said(at + 0.12 * number, talk, talk.left.popleft(), trouble))
            case Trouble.LONG:
                line = talk.left.popleft()
                yield self._request(_Said(at, talk, _longer(rng, line), trouble))
            case Trouble.EDIT if talk.kind in ("telegram", "custom"):
                yield from self._edited(at, talk)
            case _:
                yield self._request(_Said(at, talk, talk.left.popleft()))
        if not talk.left:
            self._active[place] = self._active[-1]
            self._active.pop()

    def _place(self) -> int:
        """Of the conversation that goes on; a new one where there are few."""
        rng = self._rng
        wanted = max(5.0, self.header.rate * ACTIVE_SECONDS)
        if not self._active or (len(self._active) < wanted and rng.random() < 0.4):
            hot = self._profile.hot_channel and rng.random() < self._profile.hot_channel
            self._active.append(self._customers.begin(HOT if hot else None))
        return rng.randrange(len(self._active))

    def _trouble(self) -> Trouble:
        chance = self._rng.random()
        for share, trouble in SHARES:
            if chance < share:
                return trouble
            chance -= share
        return Trouble.NONE

    def _album(self, at: float, talk: Talk) -> Iterator[Request]:
        first, line = next(self._numbers), talk.left.popleft()
        if line.act is not Act.WRITE:
            yield self._request(_Said(at, talk, line), first)
            return
        caption = Line(line.text, line.gives, line.phone, line.email, Act.SEND_PICTURE)
        yield self._request(_Said(at, talk, caption, Trouble.ALBUM, first), first)
        silent = tuple(given for given in line.gives if given.evidence == "proven")
        for number in range(1, self._rng.randint(2, 4)):
            picture = Line("", silent, act=Act.SEND_PICTURE)
            yield self._request(_Said(at + 0.02 * number, talk, picture, Trouble.ALBUM, first))

    def _edited(self, at: float, talk: Talk) -> Iterator[Request]:
        """A message, and some seconds later another text for it."""
        number, line = next(self._numbers), self._customers.small_talk(talk.person)
        yield self._request(_Said(at, talk, line), number)
        better = Line(f"{line.text} ✏️", act=Act.EDIT)
        yield self._request(_Said(at + self._rng.uniform(1.5, 4.0), talk, better, Trouble.EDIT, number))

    def _nobody(self, at: float, trouble: Trouble) -> Request:
        stranger = self._customers.stranger()
        act = Act.WRITE_IN_GROUP if trouble is Trouble.GROUP else Act.WRITE_AS_BOT
        line = self._customers.small_talk(stranger)
        return self._request(_Said(at, Talk(stranger, "load-telegram", "telegram"), Line(line.text, act=act), trouble))

    def _poison(self, at: float) -> Request:
        """What the providers' servers sign and nobody can read: without the ids that say which message it is."""
        key = self._rng.choice(("load-telegram", "load-custom"))
        number = next(self._numbers)
        body = json.dumps({"sent_by": f"openchannel load {number}", "messages": [{"text": "whose chat is this?"}]})
        meaning = Meaning(f"poison-{number}", "", "", "", "")
        return Request(at, key, f"msg_{number}", body.encode(), meaning, Trouble.POISON)

    def _request(self, said: _Said, number: int | None = None) -> Request:
        number = next(self._numbers) if number is None else number
        talk, line, person = said.talk, said.line, said.talk.person
        writing = Writing(talk.channel, number, person, line.act, line.text, line.phone, line.email, said.about)
        body = body_of(self._channels[talk.channel], writing, WRITTEN_FROM + said.at, 0)
        edits = message_id(talk.kind, said.about) if line.act is Act.EDIT else ""
        meaning = Meaning(
            # Telegram's edit has the id of what it edits, and no other.
            message=edits if edits and talk.kind == "telegram" else message_id(talk.kind, number),
            chat=chat_id(talk.kind, person),
            customer=person.code,
            name=_name(talk.kind, person),
            text=line.text,
            gives=_each_once(line.gives),
            edits=edits,
        )
        return Request(round(said.at, 6), talk.channel, f"msg_{number}", body, meaning, said.trouble)

    def _repeats(self, request: Request) -> Iterator[Request]:
        rng, profile = self._rng, self._profile
        if rng.random() >= profile.repeats:
            return
        at = request.at
        for _ in range(rng.randint(1, profile.most_repeats)):
            at = round(at + rng.uniform(0.3, 3.0), 6)
            again = Trouble.POISON if request.trouble is Trouble.POISON else Trouble.REPEAT
            yield Request(at, request.channel, request.delivery, request.body, request.meaning, again)


def _longer(rng: random.Random, line: Line) -> Line:
    """The same with a long tail that says nothing of the customer."""
    if line.act is not Act.WRITE:
        return line
    tails = [rng.choice(PHRASES[rng.choice(list(PHRASES))].openings) for _ in range(_LONG_LINES)]
    return Line("\n".join([line.text, *tails])[:_LONGEST], line.gives, line.phone, line.email, line.act)


def _name(kind: str, person: Person) -> str:
    return person.given if kind == "livechat" else person.name


def _each_once(given: tuple[Given, ...]) -> tuple[Given, ...]:
    return tuple(dict.fromkeys(given))

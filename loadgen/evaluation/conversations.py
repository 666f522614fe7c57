"""What a person does in one chat: over which channel, under which name, and what he gives there."""

import random
from dataclasses import dataclass, field

from loadgen.evaluation.population import SECONDS, Person, Phone
from loadgen.evaluation.said import Given

PLACEHOLDERS = ("+7 999 999 99 99", "0123456789", "11111111111", "test@test.ru", "asdf@mail.ru", "noreply@firm.example")
DAY = 24 * 3600

SHOPS = ("de", "br", "ru", "mx", "gb")
"""Countries of the company's own, over which people of all countries write too."""


@dataclass(frozen=True, slots=True)
class Reveal:
    """What is given at one moment. identity: by the channel. written, says: by the text.

    late: in the last message, otherwise anywhere.
    """

    identity: Given | None = None
    written: str = ""
    says: Given | None = None
    late: bool = False


@dataclass(slots=True)
class Conversation:
    """A chat. always: what the channel says with each message. heir: who writes its second half, and since when."""

    person: Person
    channel: str
    chat: str
    name: str
    start: int
    trap: str = ""
    always: tuple[Given, ...] = ()
    reveals: list[Reveal] = field(default_factory=list)
    heir: Person | None = None

    @property
    def kind(self) -> str:
        """Of its channel."""
        return self.channel.partition("/")[0]

    @property
    def at_home(self) -> bool:
        """Whether national numbers of the person's country are read here."""
        return self.channel.partition("/")[2].partition("-")[0] == self.person.country.region

    @property
    def least(self) -> int:
        """So many messages it needs."""
        return 2 if self.heir is not None or any(reveal.late for reveal in self.reveals) else 1


class Conversations:
    """Plans all chats. Everything random comes from `rng`."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._used: dict[tuple[str, str], Conversation] = {}

    def of(self, person: Person) -> list[Conversation]:
        """All chats of a person."""
        planned = [self._one(person) for _ in range(person.chats)]
        match person.hard:
            case "stranger" | "stranger_proves":
                self._by_a_stranger(planned[-1], person)
            case "two_proven":
                self._with_two_proofs(planned, person)
            case "second_phone":
                for conversation in planned[len(planned) // 2 :]:
                    conversation.trap = "second_phone"
            case "at_once" if len(planned) > 1:
                self._at_once(planned[:2], person)
        for conversation in planned:
            self._fill(conversation, person)
        return planned

    def hand_over(self, heir: Person) -> None:
        """The number's WhatsApp chats go on with whom the number is now."""
        former = heir.heir_of
        if former is not None:
            for conversation in self._used.values():
                if conversation.person is former and conversation.kind == "whatsapp":
                    conversation.heir, conversation.trap = heir, "recycled"
                    conversation.start = min(conversation.start, heir.heir_since - 1)

    def _one(self, person: Person) -> Conversation:
        rng = self._rng
        start = rng.randrange(SECONDS)
        kind = rng.choice(person.likes)
        for candidate in (kind, "livechat"):
            channel = f"{candidate}/{self._shop(person)}"
            chat = self._chat_id(candidate, person, start)
            if (channel, chat) not in self._used:
                break
        conversation = Conversation(person, channel, chat, self._name(person, candidate), start)
        if candidate == "whatsapp":
            conversation.always = (Given("phone", self._own_phone(person, start).whatsapp, "proven"),)
        self._used[channel, chat] = conversation
        return conversation

    def _shop(self, person: Person) -> str:
        if self._rng.random() < 0.12:
            return self._rng.choice(SHOPS)
        return person.country.region + ("-outlet" if self._rng.random() < 0.15 else "")

    def _chat_id(self, kind: str, person: Person, start: int) -> str:
        rng = self._rng
        match kind:
            case "whatsapp":
                return self._own_phone(person, start).whatsapp.removeprefix("+")
            case "telegram":
                return person.telegram_id
            case "instagram":
                return person.email.partition("@")[0]
            case _:
                return f"{kind}-{rng.getrandbits(64):016x}"

    def _name(self, person: Person, kind: str) -> str:
        chance = self._rng.random()
        if chance < 0.6:
            return person.name
        if chance < 0.8:
            return person.given
        if chance < 0.86:
            return person.name.upper()
        if chance < 0.93 or kind in ("whatsapp", "telegram", "instagram"):
            return f"{person.given} {person.family[0]}."
        return ""

    def _own_phone(self, person: Person, at: int) -> Phone:
        if person.heir_of is not None and at >= person.heir_since:
            return person.heir_of.phone
        return person.phone

    # What is given

    def _fill(self, conversation: Conversation, person: Person) -> None:
        """What people give by habit; the hard cases have given something already."""
        rng = self._rng
        if conversation.trap not in ("", "second_phone"):
            return
        match conversation.kind:
            case "whatsapp":
                self._perhaps(conversation, person, phone=0.08, email=0.15)
            case "livechat" if person.hard == "switchboard":
                self._perhaps(conversation, person, phone=0.95, email=0.35)
            case "telegram" if rng.random() < 0.35:
                shared = Given("phone", self._phone_of(conversation, person).e164, "proven")
                conversation.reveals.append(Reveal(identity=shared))
                self._perhaps(conversation, person, phone=0.1, email=0.2)
            case "livechat" if rng.random() < 0.15:
                conversation.always = (Given("email", person.email, "signed"),)
                self._perhaps(conversation, person, phone=0.4, email=0.0)
            case "custom" if rng.random() < 0.2:
                conversation.reveals.append(Reveal(identity=Given("email", person.email, "proven")))
                self._perhaps(conversation, person, phone=0.2, email=0.0)
            case "webform":
                self._fill_form(conversation, person)
            case "instagram":
                self._perhaps(conversation, person, phone=0.35, email=0.15)
            case _:
                self._perhaps(conversation, person, phone=0.5, email=0.35)
        if not conversation.reveals and not conversation.always:
            if rng.random() < 0.08:
                conversation.trap = "placeholder"
                conversation.reveals.append(Reveal(written=rng.choice(PLACEHOLDERS)))
            else:
                conversation.trap = conversation.trap or "never_identified"

    def _perhaps(self, conversation: Conversation, person: Person, *, phone: float, email: float) -> None:
        if self._rng.random() < phone:
            conversation.reveals.append(self._typed_phone(conversation, person))
        if self._rng.random() < email:
            conversation.reveals.append(self._typed_email(conversation, person))

    def _fill_form(self, conversation: Conversation, person: Person) -> None:
        """Forms have fields; the writings of the fields are of one word."""
        chance = self._rng.random()
        if chance < 0.75:
            reveal = self._typed_phone(conversation, person)
            if reveal.says is not None:
                written = reveal.written.replace(" ", "-") if chance < 0.5 else reveal.says.value
                conversation.always += (Given("phone", written, "typed"),)
        if chance > 0.35:
            reveal = self._typed_email(conversation, person)
            if reveal.says is not None:
                conversation.always += (Given("email", reveal.says.value, "typed"),)

    def _phone_of(self, conversation: Conversation, person: Person) -> Phone:
        if conversation.trap == "second_phone":
            return person.second_phone
        return self._own_phone(person, conversation.start)

    def _typed_phone(self, conversation: Conversation, person: Person) -> Reveal:
        rng = self._rng
        phone = self._phone_of(conversation, person)
        if person.gives is not None and rng.random() < 0.7:
            phone, conversation.trap = person.gives, person.hard
        elif rng.random() < 0.03:
            phone, conversation.trap = _mistyped(rng, phone), "typo"
        return self._write(conversation, phone)

    def _write(self, conversation: Conversation, phone: Phone, *, late: bool = False) -> Reveal:
        at_home = conversation.channel.partition("/")[2].partition("-")[0] == phone.country.region
        written = phone.country.write(self._rng, phone.national, at_home=at_home)
        return Reveal(written=written, says=Given("phone", phone.e164, "typed"), late=late)

    def _typed_email(self, conversation: Conversation, person: Person) -> Reveal:
        rng = self._rng
        email = person.email
        if rng.random() < 0.03:
            at = rng.randrange(1, email.index("@") - 1)
            email, conversation.trap = email[:at] + email[at + 1 :], "typo"
        written = email if rng.random() < 0.8 else email.title()
        return Reveal(written=written, says=Given("email", email, "typed"))

    # Hard cases

    def _by_a_stranger(self, conversation: Conversation, person: Person) -> None:
        """He types somebody else's number or address, and half of them prove their own later."""
        victim = person.victim
        assert victim is not None  # noqa: S101  every stranger has one
        conversation.trap = "stranger"
        if self._rng.random() < 0.6:
            conversation.reveals.append(self._write(conversation, victim.phone))
        else:
            conversation.reveals.append(Reveal(written=victim.email, says=Given("email", victim.email, "typed")))
        if person.hard == "stranger_proves" and not conversation.always:
            own = Given("phone", self._own_phone(person, conversation.start).e164, "proven")
            conversation.reveals.append(Reveal(identity=own, late=True))

    def _with_two_proofs(self, planned: list[Conversation], person: Person) -> None:
        """Two numbers that are both proven, and one chat that gives both: T8 keeps them apart, first come first."""
        for number, conversation in enumerate(planned):
            phone = (person.phone, person.second_phone)[number % 2]
            conversation.trap = "two_proven"
            if conversation.kind in ("webform", "livechat") or conversation.always:
                conversation.reveals.append(self._write(conversation, person.second_phone))
            else:
                conversation.reveals.append(Reveal(identity=Given("phone", phone.e164, "proven")))

    def _at_once(self, both: list[Conversation], person: Person) -> None:
        """Two first messages in the same second, with the same number."""
        for conversation in both:
            conversation.start, conversation.trap = both[0].start, "at_once"
            if not conversation.always:
                phone = self._own_phone(person, conversation.start)
                conversation.reveals.append(self._write(conversation, phone))


def _mistyped(rng: random.Random, phone: Phone) -> Phone:
    """One of the last digits is another."""
    at = rng.randrange(len(phone.national) - 4, len(phone.national))
    other = str((int(phone.national[at]) + rng.randrange(1, 10)) % 10)
    return Phone(phone.country, phone.national[:at] + other + phone.national[at + 1 :])

"""What was sent and what was answered, and when: all that the verdict knows of the load."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Poison(StrEnum):
    """What is wrong with a message: it is to be a dead letter, and nothing else is."""

    RAISES = "raises"
    KILLS = "kills"
    UNREADABLE = "unreadable"


Given = tuple[str, str]
"""An identifier as the cards show it: kind and key."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a customer wrote.

    channel: key. external_id: unique over all messages. chat: the external conversation, empty where nothing can be
    read. gives: all that identifies its customer, the messenger's id included. body: the message as a custom channel
    sends it. raw: of what cannot be read, the bytes as they are kept.
    """

    channel: str
    external_id: str
    chat: str
    text: str
    gives: frozenset[Given] = frozenset()
    body: Mapping[str, str] = field(default_factory=dict)
    poison: Poison | None = None
    raw: bytes = b""


@dataclass(slots=True)
class Sending:
    """A message's way. Times in seconds of one clock that only goes forward.

    first_sent: the beginning of the first try. answered: the end of the first try that was answered 2xx, None if none
    was. tries: how often it was sent in all.
    """

    message: Message
    first_sent: float
    answered: float | None = None
    tries: int = 0


class Record:
    """All messages that were sent. Written by the load's thread alone; read it when the load has stopped."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        """Of all tries; 0 is no answer."""
        self.repeats = 0
        """How often a message was answered 2xx that had been so before."""
        self.overtaken = 0
        """How often a message was sent before the one that precedes it in its chat."""
        self._sendings: dict[str, Sending] = {}

    @property
    def sendings(self) -> list[Sending]:
        """In the order of their first tries."""
        return list(self._sendings.values())

    @property
    def accepted(self) -> int:
        """How many messages were answered 2xx."""
        return sum(one.answered is not None for one in self._sendings.values())

    def sending(self, messages: Iterable[Message], now: float) -> None:
        """These messages are about to be sent, in one body."""
        for message in messages:
            sending = self._sendings.setdefault(message.external_id, Sending(message, now))
            sending.tries += 1

    def answered(self, messages: Iterable[Message], status: int, now: float) -> None:
        """A try has ended. status: 0 where no answer came."""
        self.statuses[status] += 1
        if not 200 <= status < 300:
            return
        for message in messages:
            sending = self._sendings[message.external_id]
            if sending.answered is None:
                sending.answered = now
            else:
                self.repeats += 1

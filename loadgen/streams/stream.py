"""A stream: requests with planned times, and what each of them means."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from loadgen.evaluation.said import Given


class Trouble(StrEnum):
    """What is not ordinary about a request; empty for an ordinary message."""

    NONE = ""
    REPEAT = "repeat"
    """The provider sends what it has sent before."""
    BURST = "burst"
    """One of several within a second."""
    ALBUM = "album"
    EDIT = "edit"
    LONG = "long"
    GROUP = "group"
    """Written into a group, which is no customer's chat (C5)."""
    BOT = "bot"
    POISON = "poison"
    """A body that is signed and that no adapter can read."""


MAKES_NOTHING = frozenset({Trouble.GROUP, Trouble.BOT})


@dataclass(frozen=True, slots=True)
class Meaning:
    """What is true of a request. message: the provider's id of what it writes; of poison a name of our own.

    chat: an id of the conversation, as the oracle tells them apart: the provider's, but for forms. customer: who really
    writes. name: what the channel calls him. gives: by what he may be known. edits: the id of the message whose text
    this one replaces, empty for a message of its own.
    """

    message: str
    chat: str
    customer: str
    name: str
    text: str
    gives: tuple[Given, ...] = ()
    edits: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A webhook call. at: seconds from the beginning. channel: key. delivery: the provider's id of the delivery."""

    at: float
    channel: str
    delivery: str
    body: bytes
    meaning: Meaning
    trouble: Trouble = Trouble.NONE


@dataclass(frozen=True, slots=True)
class Header:
    """How a stream was made. desk: the seed of its desk, whose channels it is written for (`loadgen.streams.desk`)."""

    seed: int
    profile: str
    rate: float
    seconds: float
    desk: int


@dataclass(frozen=True, slots=True)
class Stream:
    """requests: by planned time."""

    header: Header
    requests: Sequence[Request]

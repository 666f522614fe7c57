"""What was sent, as the verdict needs it: each message once, with when it was first sent and first answered."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loadgen.driving.driver import Sent
from loadgen.streams.stream import MAKES_NOTHING, Request, Stream, Trouble

Name = tuple[str, str, bool]
"""By which a message is known here and at the desk: the channel's key, the provider's id, and whether it is an edit."""


@dataclass(frozen=True, slots=True)
class Sending:
    """A message's way. Seconds since the beginning; answered: the first 2xx, None if none came."""

    request: Request
    first_sent: float
    answered: float | None

    @property
    def is_of_customer(self) -> bool:
        """Whether it is to stand in a history."""
        return self.request.trouble not in MAKES_NOTHING and not self.request.meaning.edits


@dataclass(frozen=True, slots=True)
class Truth:
    """readable: by name, in the order of their planned times. poison: by name of our own."""

    readable: Mapping[Name, Sending]
    poison: Mapping[Name, Sending]

    @property
    def messages(self) -> dict[Name, Sending]:
        """Those that are to stand in histories."""
        return {name: sending for name, sending in self.readable.items() if sending.is_of_customer}


def name_of(request: Request) -> Name:
    """By which it is known."""
    return request.channel, request.meaning.message, bool(request.meaning.edits)


def truth_of(stream: Stream, sent: Sent) -> Truth:
    """What was sent of a stream. What was never sent is left out."""
    kept: dict[Name, list[int]] = {}
    for number, request in enumerate(stream.requests):
        if not math.isnan(sent.first_sent[number]):
            kept.setdefault(name_of(request), []).append(number)
    sendings = {name: _sending(stream.requests, sent, numbers) for name, numbers in kept.items()}
    poison = {name for name, sending in sendings.items() if sending.request.trouble is Trouble.POISON}
    return Truth(
        {name: sending for name, sending in sendings.items() if name not in poison},
        {name: sending for name, sending in sendings.items() if name in poison},
    )


def _sending(requests: Sequence[Request], sent: Sent, numbers: Sequence[int]) -> Sending:
    taken = [sent.answered[number] for number in numbers if 200 <= sent.status[number] < 300]
    first = min(sent.first_sent[number] for number in numbers)
    return Sending(requests[numbers[0]], first, min(taken, default=None))

"""One trial: a stream is played on a desk, everything comes to its end, and what the desk shows is judged."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from loadgen.driving.api import DeskApi, LoadError
from loadgen.driving.background import Background
from loadgen.driving.sender import Sender
from loadgen.measuring.progress import Glance, progress_of
from loadgen.measuring.timeline import Sample, Usage, Way
from loadgen.operators import Acts, Operators
from loadgen.report_data import Drain, Verdict
from loadgen.reporting import Progress
from loadgen.streams.desk import LoadDesk
from loadgen.streams.stream import Stream
from loadgen.verdict.inbox import name_of_item
from loadgen.verdict.judge import judge
from loadgen.verdict.seen import Seen
from loadgen.verdict.truth import Truth, name_of, truth_of

LOOK_SECONDS = 0.5
DRAIN_LOOK_SECONDS = 0.1
"""Between two looks at a backlog: how long it took is known as finely as that."""

PATIENCE = 120.0
"""Seconds for which nothing may come to its end, or no look be answered, before a trial is given up."""

ONLINE_WITHIN = 30.0
OPERATORS_PACE = 2.0
"""Seconds between two looks of an operator, on average."""


@dataclass(frozen=True, slots=True)
class Target:
    """A running system. token: the service's.

    wait: lets so many seconds pass, and looks after what runs; raises KeyboardInterrupt to end it. usage: of its
    processes, empty where they run elsewhere. hold: stops the workers, or lets them go on; None where nobody can.
    """

    url: str
    token: str
    desk: LoadDesk
    wait: Callable[[float], None] = time.sleep
    usage: Callable[[], Usage] = Usage
    hold: Callable[[bool], None] | None = None


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a trial. ways: of each message that an item was made of, in the order of the stream.

    began: Unix time of the beginning. drain: of the backlog, where one was built.
    """

    stream: Stream
    began: float
    ways: Sequence[Way]
    answers: dict[str, int]
    samples: Sequence[Sample]
    verdict: Verdict
    drain: Drain | None = None


@dataclass(slots=True)
class _Looks:
    """What is looked at while a trial runs."""

    target: Target
    api: DeskApi
    ended_before: int
    show: Callable[[Progress], None]
    samples: list[Sample] = field(default_factory=list)
    glances: list[Glance] = field(default_factory=list)
    answered: float = field(default_factory=time.monotonic)

    def look(self, sender: Sender, phase: str) -> int | None:
        """One look; returns how many items are pending, None where the desk does not say.

        Raises LoadError when it has not said for PATIENCE.
        """
        at = time.time() - sender.began if sender.began else 0.0
        try:
            ledger, lags = self.api.ledger(), self.api.lags()
        except LoadError:
            # Where messages are answered 503 and sent again, a look may be refused too: it is left out.
            if time.monotonic() - self.answered > PATIENCE:
                raise
            return None
        self.answered = time.monotonic()
        ended = ledger["accepted"] - ledger["pending"] - self.ended_before
        self.samples.append(Sample(at, lags, self.target.usage()))
        self.glances.append(Glance(at, ended))
        self.show(progress_of(phase, sender, self.glances, lags))
        return ledger["pending"]

    def pending(self, sender: Sender) -> int:
        """How many items are pending, by the first look that is answered. Raises LoadError as `look`."""
        while (found := self.look(sender, "draining")) is None:
            self.target.wait(LOOK_SECONDS)
        return found


def play(target: Target, stream: Stream, show: Callable[[Progress], None], speed: float = 1.0) -> Played:
    """Play a stream in an open model: each request at its planned time, whatever the answers. Raises LoadError."""
    return _play(target, stream, show, speed)


def drain(target: Target, stream: Stream, show: Callable[[Progress], None]) -> Played:
    """Build a backlog, as fast as the answers come and with the workers held where that can be; then work it off."""
    if target.hold is not None:
        target.hold(True)
    try:
        return _play(target, stream, show, None)
    finally:
        if target.hold is not None:
            target.hold(False)


def _play(target: Target, stream: Stream, show: Callable[[Progress], None], speed: float | None) -> Played:
    sender = Sender(target.url, stream, target.desk, speed)
    with DeskApi(target.url, target.token) as api:
        before = api.mark()
        if before.ledger["pending"]:
            raise LoadError(f"the desk has {before.ledger['pending']} items to do: a test begins when it is at rest")
        looks = _Looks(target, api, before.ledger["accepted"], show)
        with _Crew(target, stream.header.seed) as crew:
            sender.start()
            try:
                _until_answered(target, sender, looks)
                backlog = _until_drained(target, sender, looks, held=speed is None)
            finally:
                sender.end()
        seen = api.seen(target.desk, before)
    if not seen.ledger["accepted"] and stream.requests:
        raise LoadError("the desk knew every message already: a stream counts once on a desk; take another seed")
    truth = truth_of(stream, sender.sent)
    return Played(
        stream=stream,
        began=sender.began,
        ways=_ways(truth, seen, sender, speed),
        answers=dict(sender.sent.answers),
        samples=looks.samples,
        verdict=judge(truth, crew.acts, seen),
        drain=backlog,
    )


def _until_answered(target: Target, sender: Sender, looks: _Looks) -> None:
    still, answered = time.monotonic(), -1
    while not sender.done:
        target.wait(LOOK_SECONDS)
        looks.look(sender, "sending")
        if sender.sent.finished != answered or _is_waiting(sender):
            still, answered = time.monotonic(), sender.sent.finished
        if time.monotonic() - still > PATIENCE:
            break  # what was never answered is found by the verdict
    if sender.failure is not None:
        raise LoadError(f"the sender broke off: {sender.failure!r}") from sender.failure


def _is_waiting(sender: Sender) -> bool:
    """Whether the next message is not due yet."""
    last = sender.due[-1] if sender.due else 0.0
    return not sender.began or time.time() - sender.began < last


def _until_drained(target: Target, sender: Sender, looks: _Looks, *, held: bool) -> Drain | None:
    backlog = looks.pending(sender)
    if held and target.hold is not None:
        target.hold(False)
    began = still = time.monotonic()
    least = pending = backlog
    while pending:
        target.wait(DRAIN_LOOK_SECONDS)
        pending = looks.pending(sender)
        if pending < least:
            least, still = pending, time.monotonic()
        if time.monotonic() - still > PATIENCE:
            break
    return Drain(backlog, time.monotonic() - began) if held else None


def _ways(truth: Truth, seen: Seen, sender: Sender, speed: float | None) -> list[Way]:
    """Planned times are those of the first request of each; without a plan, when it was first sent."""
    finished = {
        name_of_item(item): item.finished_at - sender.began for item in seen.items if item.finished_at is not None
    }
    return [
        Way(
            planned=sending.first_sent if speed is None else sending.request.at / speed,
            sent=sending.first_sent,
            answered=sending.answered,
            finished=finished.get(name_of(sending.request)),
        )
        for sending in truth.readable.values()
    ]


class _Crew:
    """The operators, all of them there before the first message, until the last is done."""

    def __init__(self, target: Target, seed: int) -> None:
        self._target = target
        self._operators = Operators(target.url, target.desk.operators, seed, OPERATORS_PACE)
        self._stop = asyncio.Event()
        self._background = Background("operators", lambda: self._operators.run(self._stop))

    @property
    def acts(self) -> Acts:
        """What they have done."""
        return self._operators.acts

    def __enter__(self) -> Self:
        self._background.start()
        deadline = time.monotonic() + ONLINE_WITHIN
        while not self._operators.all_online:
            if self._background.failure is not None or time.monotonic() > deadline:
                self._background.soon(self._stop.set)
                raise LoadError(
                    "the operators of the load desk cannot come online: was its file applied, with their tokens?"
                ) from self._background.failure
            self._target.wait(0.1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._background.soon(self._stop.set)
        self._background.join(15.0)
        if kind is None and self._background.failure is not None:
            raise LoadError("the operators broke off") from self._background.failure

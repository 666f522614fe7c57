"""What a running side is: where to send, its processes, whether it is done, and what it has made."""

import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from bench.oracle import ChatSeen, Effects
from bench.stream import tag_in
from runtime.child import ChildState
from runtime.supervisor import Supervisor


@dataclass(frozen=True, slots=True)
class Questions:
    """A side's own queries.

    pending: whether anything is not done. finished: Unix time at which each message was done, and its text.
    counts: accepted, done, and all else. history: chat and text, in the order that the side promises.
    chats: id, channel's key, live card. cards: ids of live leads. details: card, kind and key of phones and e-mails.
    dialogs: chat and operator. operators: ids.
    """

    pending: LiteralString
    finished: LiteralString
    counts: LiteralString
    history: LiteralString
    chats: LiteralString
    cards: LiteralString
    details: LiteralString
    dialogs: LiteralString
    operators: LiteralString


@dataclass(frozen=True, slots=True)
class Running:
    """A side that is up. name: its side's. tick: called often; keeps its operators' heartbeats going."""

    name: str
    url: str
    database_url: str
    broker_url: str | None
    supervisor: Supervisor
    questions: Questions
    tick: Callable[[], None] = lambda: None

    def wait(self, seconds: float) -> None:
        """Look after the side's processes for so long."""
        self.supervisor.wait(seconds)
        self.tick()

    def processes(self) -> dict[str, list[int]]:
        """Process ids by kind: `worker-1` and `worker-2` are of one kind."""
        found: dict[str, list[int]] = defaultdict(list)
        for status in self.supervisor.status():
            if status.pid is not None:
                found[status.name.partition("-")[0]].append(status.pid)
        return found

    def ended(self) -> list[str]:
        """Names of processes that did not run through."""
        return [s.name for s in self.supervisor.status() if s.restarts or s.state is not ChildState.READY]

    def rows(self, question: LiteralString) -> list[tuple[Any, ...]]:
        """What the database says."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(question).fetchall()

    def pending(self) -> bool:
        """Whether anything that was accepted is not done."""
        return bool(self.rows(self.questions.pending)[0][0])

    def finished(self) -> dict[str, float]:
        """Unix time, by this process's clock, at which each message was done, by tag."""
        ahead = self._clock_ahead()
        return {tag_in(text): at - ahead for at, text in self.rows(self.questions.finished)}

    def effects(self) -> Effects:
        """All that the side has made."""
        ((accepted, done, unfinished),) = self.rows(self.questions.counts)
        histories = _grouped((chat, tag_in(text)) for chat, text in self.rows(self.questions.history))
        dialogs = _grouped(self.rows(self.questions.dialogs))
        details = _grouped((card, (kind, key)) for card, kind, key in self.rows(self.questions.details))
        return Effects(
            accepted=accepted,
            done=done,
            unfinished=unfinished,
            chats=[
                ChatSeen(channel, tuple(histories[chat]), card, tuple(dialogs[chat]))
                for chat, channel, card in self.rows(self.questions.chats)
            ],
            cards={card: frozenset(details[card]) for (card,) in self.rows(self.questions.cards)},
            operators=[operator for (operator,) in self.rows(self.questions.operators)],
        )

    def _clock_ahead(self) -> float:
        """Seconds by which the database's clock is ahead of ours, from the quickest of some questions."""
        measured = []
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            for _ in range(10):
                asked = time.time()
                row = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
                took = time.time() - asked
                assert row is not None  # noqa: S101  a value
                measured.append((took, row[0] - asked - took / 2))
        return float(min(measured)[1])


@dataclass(frozen=True, slots=True)
class Side:
    """name: in results. start: a context in which it runs, in a folder, with secrets that follow from a seed."""

    name: str
    title: str
    start: Callable[[Path, int], AbstractContextManager[Running]]


def answers(url: str) -> bool:
    """Whether something answers 200 there."""
    try:
        with urllib.request.urlopen(url, timeout=1) as response:  # noqa: S310  our own http URL
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _grouped(rows: Iterable[tuple[Any, Any]]) -> defaultdict[Any, list[Any]]:
    found: defaultdict[Any, list[Any]] = defaultdict(list)
    for key, value in rows:
        found[key].append(value)
    return found

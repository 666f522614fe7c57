"""`flood`: very many messages of one chat are pending at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from bench.rounds import Besides
from bench.scale.beside import compare, judge
from bench.scale.hot_chat import one_chat
from bench.scale.part import Bench, Outcome, Part
from bench.scale.statements import statements
from bench.sides.side import Running
from bench.stream import Stream

MESSAGES = 100_000


def measure(bench: Bench) -> Outcome:
    """At half load, so that there is room for the flood; it is worked on for longer than the stream lasts."""
    messages = bench.sized(MESSAGES)

    def scene(running: Running, _folder: Path, stream: Stream, large: bool) -> Besides:
        one_chat(running, stream)

        @contextmanager
        def flooded() -> Iterator[None]:
            if large:
                _flood(running, messages)
            yield

        return flooded

    without, beside = compare(bench, scene, throughput=False)
    figures = {"messages": messages, "without": without.as_json(), "beside": beside.as_json()}
    return Outcome(figures, judge(without, beside))


def _flood(running: Running, messages: int) -> None:
    with psycopg.connect(running.database_url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute(statements("hot.sql")["flood"], {"n": messages})


PART = Part("flood", "100,000 messages of one chat are pending at once", measure)

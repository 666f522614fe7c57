"""`hot_chat`: one chat has a very long history and goes on writing."""

from pathlib import Path

import psycopg

from bench import desk
from bench.rounds import Besides, wait_until_done
from bench.scale.beside import compare, judge
from bench.scale.neighbour import Neighbour, person
from bench.scale.part import Bench, Outcome, Part
from bench.scale.statements import statements
from bench.sides.side import Running
from bench.stream import Stream
from tracker.channels import Channel

MESSAGES = 100_000
RATE = 20.0
"""Messages per second that go on coming into the chat, with its history and without."""


def custom_channel(stream: Stream) -> Channel:
    """The stream's channel over which the neighbour writes, too."""
    return next(channel for channel in desk.channels(stream.seed) if channel.kind == "custom")


def one_chat(running: Running, stream: Stream) -> Neighbour:
    """A neighbour who writes into one chat, which has its first message already."""
    customer = person(0)
    neighbour = Neighbour(running.url, custom_channel(stream), lambda _: customer)
    neighbour.write()
    wait_until_done(running)
    return neighbour


def measure(bench: Bench) -> Outcome:
    """In both cases a chat of the same desk is written to besides the stream; in one it has the history."""
    messages = bench.sized(MESSAGES)

    def scene(running: Running, _folder: Path, stream: Stream, large: bool) -> Besides:
        neighbour = one_chat(running, stream)
        if large:
            with psycopg.connect(running.database_url, autocommit=True, cursor_factory=psycopg.ClientCursor) as given:
                given.execute(statements("hot.sql")["history"], {"n": messages})
                given.execute("VACUUM (ANALYZE) messages")
        return lambda: neighbour.writing(RATE)

    without, beside = compare(bench, scene)
    figures = {
        "messages": messages,
        "written_per_second": RATE,
        "without": without.as_json(),
        "beside": beside.as_json(),
    }
    return Outcome(figures, judge(without, beside))


PART = Part("hot_chat", "one chat has 100,000 messages and goes on writing", measure)

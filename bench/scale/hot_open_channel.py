"""`hot_open_channel`: in one open channel very many dialogs wait, and more come."""

from dataclasses import replace
from pathlib import Path

import psycopg
from dotenv import dotenv_values

from bench.rounds import Besides
from bench.scale.beside import compare, judge
from bench.scale.hot_chat import custom_channel
from bench.scale.neighbour import Neighbour, person
from bench.scale.part import Bench, Outcome, Part
from bench.scale.statements import statements
from bench.sides.side import Running
from bench.stream import Stream
from cli.composition import MACHINE_FILE
from crm_store import desks
from crm_store.database import DatabaseOptions, Session
from crm_store.desks import RosterMember
from crm_store.secrets import SecretBox
from tracker.channels import Channel, OpenChannelSettings

WAITING = 100_000
OPERATORS = 10
RATE = 20.0
"""Customers per second who write to this open channel for the first time, with the waiting dialogs and without."""


def measure(bench: Bench) -> Outcome:
    """In both cases all operators of the other open channel are at their limit, and customers go on coming to it."""
    waiting = bench.sized(WAITING)

    def scene(running: Running, folder: Path, stream: Stream, large: bool) -> Besides:
        channel = replace(custom_channel(stream), key="hot-custom", name="Hot custom")
        place = _set_up(running, folder, channel)
        with psycopg.connect(running.database_url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
            connection.execute(statements("hot.sql")["online"])
            connection.execute(statements("hot.sql")["waiting"], {"place": place, "n": waiting if large else 0})
            connection.execute("VACUUM (ANALYZE) chats, dialogs")
            connection.execute("CHECKPOINT")  # so that writing them down is not measured
        return lambda: Neighbour(running.url, channel, person).writing(RATE)

    without, beside = compare(bench, scene)
    figures = {"waiting": waiting, "come_per_second": RATE, "without": without.as_json(), "beside": beside.as_json()}
    return Outcome(figures, judge(without, beside))


def _set_up(running: Running, folder: Path, channel: Channel) -> int:
    """Another open channel with its channel and operators; returns its id."""
    box = SecretBox(dotenv_values(folder / MACHINE_FILE, interpolate=False)["OPENCHANNEL_SECRET_KEY"] or "")
    session = Session(DatabaseOptions(running.database_url, "bench"))
    try:
        with session.transaction() as connection:
            place = desks.put_open_channel(connection, "Hot desk", OpenChannelSettings(max_dialogs=1))
            names = [f"Hot operator {number}" for number in range(1, OPERATORS + 1)]
            members = [RosterMember(operator_id=desks.put_operator(connection, name, None)) for name in names]
            desks.put_roster(connection, place, members)
            desks.put_channel(connection, replace(channel, open_channel_id=place), box)
    finally:
        session.close()
    return place


PART = Part("hot_open_channel", "in one open channel 100,000 dialogs wait", measure)

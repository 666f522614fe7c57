"""`openchannel simulate`: replays a recorded period under another configuration, and writes nothing."""

import os
import sys
from collections.abc import Collection
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from cli.composition import database_options, on_this_machine, secret_box
from cli.desks.plan import make_plan
from cli.desks.problems import DeskError
from cli.desks.reading import read_desk
from cli.desks.wishes import DeskWish
from cli.simulation.comparison import Comparison
from cli.simulation.configurations import Compared, compare
from cli.simulation.period import check_recorded, nothing_recorded, period_of
from cli.simulation.report import report
from cli.times import read_time
from config.settings import Settings, load_settings
from crm_store import administration, recordings
from crm_store.database import Connection, Session
from crm_store.recordings import Period
from tracker.distribution import PassedOver
from tracker.simulation import ActualPeriod, Configuration, Recording, Simulation

NEVER_THERE = ((0.0, PassedOver.OFFLINE),)
"""Of whom the log says nothing though it speaks of others: he has never been anything but offline."""

PATIENCE = 3600.0
"""Seconds that one query, or the simulation between two, may take; nobody waits for locks of this transaction."""


def simulate_command(
    file: Annotated[Path, typer.Argument(help="The other configuration: a desk in YAML, as `apply` reads it.")],
    since: Annotated[str, typer.Option("--from", metavar="T", help="Begin of the period, e.g. 2026-03-01T09:00Z.")],
    until: Annotated[str, typer.Option("--to", metavar="T", help="Its end; the last moment is not part of it.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Show what a recorded period would have been with another desk: who gets how much, and who waits how long.

    What the file does not name stays as it is now. Nothing is written. docs/simulation.md says what is assumed.
    """
    (begin, said), (end, also_said) = read_time("--from", since), read_time("--to", until)
    for line in filter(None, (said, also_said)):
        sys.stderr.write(f"{line}\n")
    period = period_of(begin, end)
    wish = read_desk(file, os.environ)
    settings = on_this_machine(load_settings())
    options = replace(
        database_options(settings, "simulate"), statement_timeout=PATIENCE, idle_in_transaction_timeout=PATIENCE
    )
    session = Session(options)
    try:
        with session.transaction() as connection:
            comparison = _compare(connection, settings, str(file), wish, period)
    finally:
        session.close()
    if as_json:
        sys.stdout.write(orjson.dumps(comparison.as_json(), option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        Console().print(report(comparison))


def _compare(connection: Connection, settings: Settings, source: str, wish: DeskWish, period: Period) -> Comparison:
    """Two simulations and the record, in one pass over the arrivals. Raises SettingsError and RefusedError."""
    recordings.read_only(connection)
    known = administration.read(connection)
    plan, problems = make_plan(wish, known, lambda: secret_box(settings))
    if problems:
        raise DeskError(source, problems)
    extent = recordings.extent(connection)
    check_recorded(period, extent)
    recording = recordings.read(connection, period)
    compared = compare(known, plan, recording.presence.keys())
    silent = _rostered(compared.now) - recording.presence.keys() if recording.presence else set()
    recording = replace(recording, presence={**recording.presence, **dict.fromkeys(silent, NEVER_THERE)})
    really = ActualPeriod(recording, (one.id for one in known.open_channels.values()))
    now, planned = Simulation(recording, compared.now), Simulation(recording, compared.planned)
    arrivals = recordings.arrivals(connection, period)
    first = next(arrivals, None)
    if first is None:
        raise nothing_recorded(period, extent)
    for arrival in chain([first], arrivals):
        for each in (really, now, planned):
            each.arrive(arrival)
    return Comparison(
        Path(source).name,
        period,
        compared.names,
        really.finish(),
        now.finish(),
        planned.finish(),
        tuple(_notes(recording, compared, silent)),
    )


def _rostered(configuration: Configuration) -> set[int]:
    return {one for desk in configuration.open_channels.values() for one in desk.roster}


def _notes(recording: Recording, compared: Compared, silent: Collection[int]) -> list[str]:
    notes = ["`simulated now` is the configuration that the database has now; it may have been another one then"]
    unknown = _rostered(compared.planned) - recording.presence.keys()
    if not recording.presence:
        notes.append("nobody's presence is recorded; everybody is taken to be available throughout")
    elif unknown:
        named = _named(compared, unknown)
        notes.append(f"no presence is recorded of {named}; taken to be there whenever anybody is")
    if silent:
        notes.append(f"no presence is recorded of {_named(compared, silent)}, on a roster already; taken to be offline")
    if recording.reaction is None:
        notes.append("nobody accepted a dialog in the period; the times to acceptance are made up")
    return notes


def _named(compared: Compared, operator_ids: Collection[int]) -> str:
    names = sorted(compared.names.operators.get(one, f"operator {one}") for one in operator_ids)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")

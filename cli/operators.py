"""`openchannel operators`: who there is and who is there, for administrators and scripts."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Annotated, TypeVar

import typer

from cli.apply import administrative_transaction
from cli.channels import table
from cli.composition import database_options, on_this_machine
from cli.desks.problems import nearest
from cli.refusals import RefusedError
from cli.times import read_time
from cli.tracker.opening import Json, actor, opened, show
from config.settings import Settings, SettingsError, load_settings
from console import presence
from console.acting import Asked
from console.dependencies import Dependencies
from console.security import Service
from crm_store import administration
from crm_store.administration import KnownOperator
from crm_store.database import Connection, Database
from crm_store.desks import HEARTBEAT_LIMIT
from crm_store.views import desks as views
from crm_store.views import snapshot
from crm_store.views.desks import OperatorView
from tracker.dialogs import ActRefusedError
from tracker.presence import Availability, Workday

operators = typer.Typer(name="operators", help="Look at operators, and say who is there.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The operator's name.")]
R = TypeVar("R")


class Turn(StrEnum):
    """Of a workday."""

    START = "start"
    PAUSE = "pause"
    END = "end"


_WORKDAYS = {Turn.START: Workday.STARTED, Turn.PAUSE: Workday.PAUSED, Turn.END: Workday.ENDED}

_SAID = {
    Availability.AVAILABLE: "may be given dialogs",
    Availability.ON_LEAVE: "is on leave",
    Availability.WORKDAY_NOT_STARTED: "has no workday now",
    Availability.WORKDAY_PAUSED: "has paused the workday",
    Availability.OFFLINE: "is offline",
    Availability.AWAY: "is away",
    Availability.DISMISSED: "is dismissed",
}


@operators.command("list")
def list_command(as_json: Json = False) -> None:
    """List the operators, without their tokens."""
    if as_json:
        with opened("operators list") as database, snapshot(database) as connection:
            show(views.operators(connection), list[OperatorView], "", as_json=True)
        return
    settings = on_this_machine(load_settings())
    with administrative_transaction(settings, "operators") as connection:
        known = administration.read(connection).operators.values()
    rows = [
        (
            one.name,
            one.role.value,
            one.availability.value,
            str(one.personal_limit or ""),
            "set" if one.token_hash else "none",
        )
        for one in known
    ]
    sys.stdout.write(table(("name", "role", "availability", "personal limit", "token"), rows))


@operators.command("online")
def online_command(name: Name) -> None:
    """An operator is there; what waits may be his."""
    _act(name, "online", presence.go_online)
    sys.stdout.write(
        f"{name} is online; without a heartbeat from his screen it ends after {HEARTBEAT_LIMIT:.0f} s (docs/api.md)\n"
    )


@operators.command("away")
def away_command(name: Name) -> None:
    """An operator is there, and wants nothing new; as `online`, it needs heartbeats."""
    _act(name, "away", presence.go_away)
    sys.stdout.write(f"{name} is away\n")


@operators.command("offline")
def offline_command(name: Name) -> None:
    """An operator is gone; what he has accepted stays his until its customer writes (D11)."""
    _act(name, "offline", presence.go_offline)
    sys.stdout.write(f"{name} is offline\n")


@operators.command("workday")
def workday_command(name: Name, turn: Annotated[Turn, typer.Argument(help="What happens to it.")]) -> None:
    """An operator whose time is tracked begins, pauses or ends his workday."""
    change = partial(presence.turn_workday, workday=_WORKDAYS[turn])
    shown, handed_back = _act(name, f"workday_{turn}", change)
    sys.stdout.write(f"{name} {_SAID[shown.availability]}{_gone_back(handed_back)}\n")


@operators.command("leave")
def leave_command(
    name: Name,
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="When it ends, e.g. 2031-05-20T09:00+02:00.")],
    from_: Annotated[str, typer.Option("--from", metavar="TIME", help="When it begins; now, if it is left out.")] = "",
) -> None:
    """An operator is on leave; a time without a zone is read as UTC."""
    end, said = read_time("--until", until)
    start, also_said = read_time("--from", from_) if from_ else (datetime.now(UTC), "")
    for line in filter(None, (also_said, said)):
        sys.stderr.write(f"{line}\n")
    if start >= end:
        raise SettingsError("--until must be after --from")
    leave, handed_back = _act(name, "give_leave", partial(presence.give_leave, from_at=start, until_at=end))
    sys.stdout.write(
        f"{name} is on leave from {leave.from_at:%Y-%m-%d %H:%M} to {leave.until_at:%Y-%m-%d %H:%M} UTC"
        f"{_gone_back(handed_back)}\n"
    )


@operators.command("dismiss")
def dismiss_command(name: Name) -> None:
    """An operator has left: he gets no more dialogs, and his token stops working."""
    settings = on_this_machine(load_settings())
    operator = _find(settings, name)
    if operator.dismissed:
        sys.stdout.write(f"{name} is dismissed already\n")
        return
    _, handed_back = _carry_out(settings, operator, "dismiss", presence.dismiss)
    sys.stdout.write(f"{name} is dismissed, and his token stops working{_gone_back(handed_back)}\n")


def _act(name: str, act: str, change: Callable[[Dependencies, Asked, int], R]) -> tuple[R, int]:
    """Do what the operator himself would do over HTTP, or his supervisor; also, how many dialogs went back."""
    settings = on_this_machine(load_settings())
    return _carry_out(settings, _find(settings, name), act, change)


def _carry_out(
    settings: Settings, operator: KnownOperator, act: str, change: Callable[[Dependencies, Asked, int], R]
) -> tuple[R, int]:
    """The backlogs that are due then are hinted by the clock."""
    asked = Asked(Service(), actor(), act, {"operator_id": operator.id})
    with Database(database_options(settings, "operators")) as database:
        needs = Dependencies(database, hint=lambda _: None, depths=dict, service_token_hash=b"")
        try:
            done = change(needs, asked, operator.id)
        except ActRefusedError as error:
            raise RefusedError(_refused(operator.name, error)) from error
    return done, asked.details.get("handed_back", 0)


def _refused(name: str, error: ActRefusedError) -> str:
    match error.reason:
        case "dismissed":
            return f"{name} was dismissed; `dismissed: false` in a desk's file takes him back"
        case "time_not_tracked":
            return f"{name}: time is not tracked; `time_tracking: true` in a desk's file begins it"
        case _:
            return f"{name}: {error}"


def _find(settings: Settings, name: str) -> KnownOperator:
    with administrative_transaction(settings, "operators") as connection:
        return _known(connection, name)


def _known(connection: Connection, name: str) -> KnownOperator:
    known = administration.read(connection).operators
    if name not in known:
        raise RefusedError(f'there is no operator "{name}"{nearest(name, known) or "; see openchannel operators list"}')
    return known[name]


def _gone_back(dialogs: int) -> str:
    if not dialogs:
        return ""
    return f"; {dialogs} {'dialog goes' if dialogs == 1 else 'dialogs go'} back to the backlog"

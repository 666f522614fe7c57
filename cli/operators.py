"""`openchannel operators`: who there is and who is there, for administrators and scripts."""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from cli.apply import administrative_transaction
from cli.channels import table
from cli.composition import database_options, on_this_machine
from cli.desks.problems import nearest
from config.settings import SettingsError, load_settings
from console import presence
from console.dependencies import Dependencies
from console.security import Operator
from crm_store import administration
from crm_store.administration import KnownOperator
from crm_store.database import Connection, Database
from crm_store.desks import HEARTBEAT_LIMIT
from crm_store.views.desks import OperatorView
from tracker.dialogs import ActRefusedError

operators = typer.Typer(name="operators", help="Look at operators, and say who is there.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The operator's name.")]


@operators.command("list")
def list_command() -> None:
    """List the operators, without their tokens."""
    settings = on_this_machine(load_settings())
    with administrative_transaction(settings, "operators") as connection:
        known = administration.read(connection).operators.values()
    rows = [
        (one.name, _state(one), str(one.personal_limit or ""), "set" if one.token_hash else "none") for one in known
    ]
    sys.stdout.write(table(("name", "state", "personal limit", "token"), rows))


@operators.command("online")
def online_command(name: Name) -> None:
    """An operator is there; what waits may be his."""
    _act(name, presence.go_online)
    sys.stdout.write(
        f"{name} is online; without a heartbeat from his screen it ends after {HEARTBEAT_LIMIT:.0f} s (docs/api.md)\n"
    )


@operators.command("offline")
def offline_command(name: Name) -> None:
    """An operator is gone; the dialogs that he has stay his."""
    _act(name, presence.go_offline)
    sys.stdout.write(f"{name} is offline\n")


@operators.command("dismiss")
def dismiss_command(name: Name) -> None:
    """An operator has left: he gets no more dialogs, and his token stops working."""
    settings = on_this_machine(load_settings())
    with administrative_transaction(settings, "operators") as connection:
        administration.take_turn(connection)
        operator = _find(connection, name)
        if operator.dismissed:
            sys.stdout.write(f"{name} is dismissed already\n")
            return
        administration.dismiss(connection, operator)
    sys.stdout.write(
        f"{name} is dismissed, and his token stops working. Open dialogs that he has stay his: "
        "handing them on is not built yet\n"
    )


def _act(name: str, act: Callable[[Dependencies, Operator], OperatorView]) -> None:
    """Do what the operator himself would do over HTTP. The backlog that he may serve is hinted by the clock."""
    settings = on_this_machine(load_settings())
    with administrative_transaction(settings, "operators") as connection:
        operator = _find(connection, name)
    with Database(database_options(settings, "operators")) as database:
        needs = Dependencies(database, hint=lambda _: None, depths=dict, service_token_hash=b"")
        try:
            act(needs, Operator(operator.id, operator.name))
        except ActRefusedError as error:
            raise SettingsError(_refused(name, error)) from error


def _refused(name: str, error: ActRefusedError) -> str:
    if error.reason == "dismissed":
        return f"{name} was dismissed; `dismissed: false` in a desk's file takes him back"
    return f"{name}: {error}"


def _find(connection: Connection, name: str) -> KnownOperator:
    known = administration.read(connection).operators
    if name not in known:
        raise SettingsError(
            f'there is no operator "{name}"{nearest(name, known) or "; see openchannel operators list"}'
        )
    return known[name]


def _state(operator: KnownOperator) -> str:
    if operator.dismissed:
        return "dismissed"
    return "online" if operator.present else "offline"

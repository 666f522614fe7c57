"""The `openchannel` command."""

import sys

import typer

from cli.alerts import alerts
from cli.apply import apply_command, export_command
from cli.backlogs.group import backlog
from cli.channels import channels
from cli.clock import clock_command
from cli.connect import connect_command
from cli.customers import customers
from cli.dead_letters.group import dead_letters
from cli.demo import demo_command
from cli.dialogs.group import dialogs
from cli.doctor import doctor_command
from cli.load.group import load
from cli.migrate import migrate_command
from cli.operators import operators
from cli.parse import parse_command
from cli.refusals import RefusedError
from cli.settings import settings_command
from cli.simulation.command import simulate_command
from cli.tracker.group import tracker
from cli.up import up_command
from cli.web import web_command
from cli.worker import worker_command
from config.settings import SettingsError
from crm_store.errors import CustomersMovedError, DatabaseAwayError, StoreError
from runtime.errors import RuntimeModeError

app = typer.Typer(
    name="openchannel",
    help="The desk between messengers and a CRM.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("up", help="Run everything on this machine, in the foreground.")(up_command)
app.command("demo", help="`up`, with a demo desk, synthetic customers and a live table.")(demo_command)
app.command("web", help="Webhooks, operators' API, health and metrics.")(web_command)
app.command("worker", help="One worker; start one per core.")(worker_command)
app.command("clock", help="Sweeper and timers; start at least one.")(clock_command)
app.command("apply", help="Make the desk what a file says.")(apply_command)
app.command("export", help="Write the desk as such a file.")(export_command)
app.command("simulate", help="Show what a recorded period would have been with another desk.")(simulate_command)
app.add_typer(channels, name="channels")
app.add_typer(operators, name="operators")
app.add_typer(dialogs, name="dialogs")
app.add_typer(backlog, name="backlog")
app.add_typer(dead_letters, name="dead-letters")
app.add_typer(tracker, name="tracker")
app.add_typer(customers, name="customers")
app.add_typer(alerts, name="alerts")
app.add_typer(load, name="load")
app.command("connect", help="Connect a channel, with its open channel and operators.")(connect_command)
app.command("doctor", help="Look for what is wrong, and say what to do.")(doctor_command)
app.command("settings", help="List every setting.")(settings_command)
app.command("migrate", help="Bring the database's schema up to date.")(migrate_command)
app.command("parse", help="Show what a channel's adapter reads in webhook bodies.")(parse_command)


def main() -> None:
    """Run the command; an error that the user can mend is one clear message, without a traceback.

    Exit 2: it was used or configured wrongly. Exit 1: it was refused, what was named is not there, or it failed.
    """
    try:
        app()
    except (SettingsError, RefusedError, StoreError, RuntimeModeError) as error:
        sys.stderr.write(f"{_said(error)}\n")
        sys.exit(2 if isinstance(error, SettingsError) else 1)


def _said(error: Exception) -> str:
    """One line where PostgreSQL is away: the driver's many, and where to look. It never has the password."""
    if not isinstance(error, DatabaseAwayError) or isinstance(error, CustomersMovedError):
        return str(error)
    return (
        f"PostgreSQL cannot do it now: {' '.join(str(error).split())}; "
        "OPENCHANNEL_DATABASE__URL says where it is, `openchannel doctor` what is wrong"
    )

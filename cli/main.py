"""The `openchannel` command."""

import sys
from importlib import import_module

import typer

from cli.refusals import RefusedError
from config.settings import SettingsError
from crm_store.errors import CustomersMovedError, DatabaseAwayError, StoreError
from runtime.errors import RuntimeModeError

COMMANDS: tuple[tuple[str, str, str | None], ...] = (
    ("up", "cli.up:up_command", "Run everything on this machine, in the foreground."),
    ("demo", "cli.demo:demo_command", "`up`, with a demo desk, synthetic customers and a live table."),
    ("web", "cli.web:web_command", "Webhooks, operators' API, health and metrics."),
    ("worker", "cli.worker:worker_command", "One worker; start one per core."),
    ("clock", "cli.clock:clock_command", "Sweeper and timers; start at least one."),
    ("apply", "cli.apply:apply_command", "Make the desk what a file says."),
    ("export", "cli.apply:export_command", "Write the desk as such a file."),
    ("simulate", "cli.simulation.command:simulate_command", "Show what a period would have been with another desk."),
    ("channels", "cli.channels:channels", None),
    ("operators", "cli.operators:operators", None),
    ("dialogs", "cli.dialogs.group:dialogs", None),
    ("backlog", "cli.backlogs.group:backlog", None),
    ("dead-letters", "cli.dead_letters.group:dead_letters", None),
    ("tracker", "cli.tracker.group:tracker", None),
    ("customers", "cli.customers:customers", None),
    ("alerts", "cli.alerts:alerts", None),
    ("load", "cli.load.group:load", None),
    ("connect", "cli.connect:connect_command", "Connect a channel, with its open channel and operators."),
    ("doctor", "cli.doctor:doctor_command", "Look for what is wrong, and say what to do."),
    ("settings", "cli.settings:settings_command", "List every setting."),
    ("migrate", "cli.migrate:migrate_command", "Bring the database's schema up to date."),
    ("parse", "cli.parse:parse_command", "Show what a channel's adapter reads in webhook bodies."),
)
"""Name, where it is, and what it does; a group of commands says that itself."""


def make_app(asked: str = "") -> typer.Typer:
    """The command line. asked: the command that is to run; no other is imported, which would take a second or two."""
    app = typer.Typer(name="openchannel", no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
    app.callback(help="The desk between messengers and a CRM.")(lambda: None)
    for name, place, help_text in [command for command in COMMANDS if command[0] == asked] or COMMANDS:
        module, _, attribute = place.partition(":")
        command = getattr(import_module(module), attribute)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name, help=help_text)(command)
    return app


def main() -> None:
    """Run the command; an error that the user can mend is one clear message, without a traceback.

    Exit 2: it was used or configured wrongly. Exit 1: it was refused, what was named is not there, or it failed.
    """
    try:
        make_app(*sys.argv[1:2])()
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

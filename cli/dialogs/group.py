"""The commands of `openchannel dialogs`."""

import typer

from cli.dialogs.explaining import why_command
from cli.dialogs.listing import list_command

dialogs = typer.Typer(name="dialogs", help="Who has which dialog, since when and why.", no_args_is_help=True)
dialogs.command("list", help="Dialogs, the newest first.")(list_command)
dialogs.command("why", help="Who got a dialog, by which rule, who was passed over, and what happened.")(why_command)

"""The commands of `openchannel dead-letters`."""

import typer

from cli.dead_letters.handling import discard_command, edit_command, export_command, restore_command
from cli.dead_letters.looking import groups_command, list_command, show_command, stats_command
from cli.dead_letters.replaying import replay_command, replays, resume_command, stop_command

dead_letters = typer.Typer(
    name="dead-letters",
    help="What could not be handled or delivered: why, and what to do with it.",
    no_args_is_help=True,
)
dead_letters.command("list", help="Letters, the latest deaths first.")(list_command)
dead_letters.command("groups", help="Letters by cause, the largest group first.")(groups_command)
dead_letters.command("stats", help="How many there are, where, of what, since when.")(stats_command)
dead_letters.command("show", help="Everything that is kept of a letter, and what to do.")(show_command)
dead_letters.command("edit", help="Change a message, or a slice that nobody could read.")(edit_command)
dead_letters.command("discard", help="Nobody needs them; `restore` takes it back.")(discard_command)
dead_letters.command("restore", help="Discarded letters are dead again.")(restore_command)
dead_letters.command("export", help="Write letters as lines of JSON.")(export_command)
dead_letters.command("replay", help="Put letters back where they died.")(replay_command)
dead_letters.command("stop", help="Stop a replay.")(stop_command)
dead_letters.command("resume", help="Go on with a replay that was stopped or has braked.")(resume_command)
dead_letters.add_typer(replays)

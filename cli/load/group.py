"""The commands of `openchannel load`."""

import typer

from cli.load.commands import desk_command, generate_command, replay_command, run_command

load = typer.Typer(
    name="load",
    help="Drive the webhooks as the world does, and hold what was done against the truth.",
    no_args_is_help=True,
)
load.command("run", help="Make a stream, play it, measure and judge.")(run_command)
load.command("generate", help="Write a stream to a file.")(generate_command)
load.command("replay", help="Play a file's stream, at its own or another speed.")(replay_command)
load.command("desk", help="Write the desk of load tests, for `openchannel apply`.")(desk_command)

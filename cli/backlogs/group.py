"""The commands of `openchannel backlog`."""

from typing import Annotated

import typer

from cli.backlogs.story import story_of
from cli.dialogs.naming import open_channel_id
from cli.dialogs.trees import print_tree
from cli.tracker.opening import Json, opened, show
from console.problems import unknown
from crm_store.views import backlogs, snapshot
from crm_store.views.backlogs import BacklogView

backlog = typer.Typer(name="backlog", help="What waits, and why nobody has it.", no_args_is_help=True)


@backlog.callback()
def _group() -> None:
    """Keeps `show` a command of its own; typer would run the only one of a group without its name."""


@backlog.command("show")
def show_command(
    open_channel: Annotated[str, typer.Argument(help="The open channel's name.")],
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many dialogs.")] = 20,
    as_json: Json = False,
) -> None:
    """What waits in an open channel, oldest first, and why nobody has it."""
    with opened("backlog show") as database, snapshot(database) as connection:
        place = open_channel_id(connection, open_channel)
        found = backlogs.read(connection, place, limit)
        if found is None:
            raise unknown("open_channel", place)
    if as_json:
        show(found, BacklogView, "", as_json=True)
    else:
        print_tree(story_of(found))

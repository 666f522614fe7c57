"""`openchannel dialogs why`: everything that was decided about a dialog, and what is so now (D12)."""

from typing import Annotated

import typer

from cli.dialogs.story import story_of
from cli.dialogs.trees import print_tree
from cli.tracker.opening import LARGEST_ID, Json, opened, show
from console.problems import unknown
from crm_store.views import backlogs, snapshot
from crm_store.views.backlogs import DialogNow


def why_command(
    dialog: Annotated[int, typer.Argument(min=1, max=LARGEST_ID, help="The dialog's id.")], as_json: Json = False
) -> None:
    """Who got a dialog, by which rule, who was passed over, and what happened."""
    with opened("dialogs why") as database, snapshot(database) as connection:
        found = backlogs.of_dialog(connection, dialog)
        if found is None:
            raise unknown("dialog", dialog)
    if as_json:
        show(found, DialogNow, "", as_json=True)
    else:
        print_tree(story_of(found))

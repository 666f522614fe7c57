"""`openchannel dialogs list`."""

import sys
from typing import Annotated

import typer

from cli.channels import table
from cli.dialogs.naming import open_channel_id, operator_id
from cli.dialogs.words import STATUSES
from cli.tracker.opening import Json, opened, show, shown
from cli.tracker.words import at
from crm_store.views import dialogs, snapshot
from crm_store.views.dialogs import DialogSummary
from tracker.dialogs import DialogStatus


def list_command(
    status: Annotated[list[DialogStatus] | None, typer.Option("--status", help="May be given several times.")] = None,
    operator: Annotated[str, typer.Option("--operator", metavar="NAME", help="Who has them.")] = "",
    open_channel: Annotated[str, typer.Option("--open-channel", metavar="NAME", help="Where they are.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many.")] = 50,
    as_json: Json = False,
) -> None:
    """Dialogs, the newest first."""
    with opened("dialogs list") as database, snapshot(database) as connection:
        found = dialogs.page(
            connection,
            limit + 1,
            statuses=status or None,
            operator_id=operator_id(connection, operator) if operator else None,
            open_channel_ids=[open_channel_id(connection, open_channel)] if open_channel else None,
        )
    more, found = len(found) > limit, found[:limit]
    if as_json:
        show(found, list[DialogSummary], "", as_json=True)
        return
    headings = ("id", "status", "open channel", "customer", "operator", "made")
    sys.stdout.write(table(headings, [_row(dialog) for dialog in found]))
    if more:
        sys.stdout.write(f"and more; --limit {limit * 2} shows them\n")


def _row(dialog: DialogSummary) -> tuple[str, ...]:
    marks = [
        mark
        for mark, is_set in (
            ("pinned", dialog.pinned),
            ("spam", dialog.spam),
            ("unanswered", dialog.unanswered_at is not None),
            ("above a limit", dialog.over_limit),
        )
        if is_set
    ]
    return (
        str(dialog.id),
        ", ".join([STATUSES[dialog.status], *marks]),
        shown(dialog.open_channel.name),
        shown(dialog.customer),
        shown(dialog.operator.name) if dialog.operator else "",
        at(dialog.created_at),
    )

"""`openchannel apply` and `openchannel export`: desks as files."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from cli.composition import database_options, on_this_machine, secret_box
from cli.desks.difference import describe
from cli.desks.exporting import export_desk
from cli.desks.plan import Plan
from cli.desks.reading import read_desk
from cli.desks.writing import carry_out, plan_desk
from cli.instructions import token_lines, webhook_instructions
from config.settings import Settings, load_settings
from crm_store import administration
from crm_store.database import Connection, Session


def apply_command(
    file: Annotated[Path, typer.Argument(help="The desk, in YAML; docs/desks.md says what may stand in it.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and write nothing.")] = False,
) -> None:
    """Make the desk what the file says. What the file does not name stays as it is."""
    wish = read_desk(file, os.environ)
    settings = on_this_machine(load_settings())
    with administrative_transaction(settings, "apply") as connection:
        plan, known = plan_desk(connection, str(file), wish, lambda: secret_box(settings))
        if plan.changes and not dry_run:
            carry_out(connection, plan, known)
    sys.stdout.write(describe(plan.changes) or "nothing to change\n")
    if plan.changes and dry_run:
        sys.stdout.write("nothing was written: this was a dry run\n")
    elif plan.changes:
        sys.stdout.write("".join(f"{line}\n" for line in _shown_once(settings, plan)))


def export_command() -> None:
    """Write the desk as it is to the standard output, without secrets."""
    settings = on_this_machine(load_settings())
    with administrative_transaction(settings, "export") as connection:
        administration.take_turn(connection)
        known = administration.read(connection)
    sys.stdout.write(export_desk(known))


@contextmanager
def administrative_transaction(settings: Settings, command: str) -> Iterator[Connection]:
    """One transaction on a connection of its own. Raises SettingsError and StoreError."""
    session = Session(database_options(settings, command))
    try:
        with session.transaction() as connection:
            yield connection
    finally:
        session.close()


def _shown_once(settings: Settings, plan: Plan) -> Iterator[str]:
    yield from token_lines(plan.tokens)
    for key, secret in plan.secrets.items():
        yield from webhook_instructions(settings, plan.channels[key].row.kind, key, secret)

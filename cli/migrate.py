"""Bring the schema up to date."""

import sys

from cli.composition import database_options, process_settings
from crm_store.errors import translated
from crm_store.migrations import migrate


def migrate_command() -> None:
    """Apply what is not applied yet, and say what it was."""
    settings = process_settings("migrate")
    with translated():
        applied = migrate(database_options(settings, "migrate").url)
    sys.stdout.write("".join(f"applied {name}\n" for name in applied) or "nothing to apply\n")

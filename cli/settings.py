"""`openchannel settings`: every setting, its default and its meaning, as the table of docs/settings.md."""

import sys

from config.settings import describe_settings


def settings_command() -> None:
    """List the settings, in Markdown."""
    sys.stdout.write(settings_table())


def settings_table() -> str:
    """The table."""
    rows = [f"| `{name}` | {default} | {meaning} |" for name, default, meaning in describe_settings()]
    return "\n".join(["| variable | default | meaning |", "| --- | --- | --- |", *rows, ""])

"""docs/settings.md says what is true now."""

from pathlib import Path

import pytest

from cli.settings import settings_table

pytestmark = pytest.mark.unit


def test_the_page_holds_the_table_as_the_command_prints_it() -> None:
    """Run `openchannel settings` and paste its output when this fails."""
    page = Path(__file__).parents[2] / "docs" / "settings.md"
    assert page.read_text(encoding="utf-8").endswith(settings_table())

"""The system of a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.system import System


@pytest.fixture
def system(tmp_path: Path, database_url: str, broker_url: str) -> Iterator[System]:
    """Web, clock and two workers on fresh databases."""
    with System(tmp_path, database_url, broker_url) as running:
        yield running

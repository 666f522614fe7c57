"""Looking at processes from outside, and waiting for what they do."""

import time
from collections.abc import Callable
from pathlib import Path

import psycopg


def alive(pid: int) -> bool:
    """Whether this process runs; one that is dead and not yet collected does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def wait_for(condition: Callable[[], bool], seconds: float = 15) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def answer(url: str, query: str) -> object:
    """The first column of the first row."""
    with psycopg.connect(url, connect_timeout=5) as connection:
        row = connection.execute(query).fetchone()
        return row[0] if row else None

"""The cyclic garbage collector, for processes that make many objects and few cycles."""

import gc

NEW_CONTAINERS = 50_000
"""After so many more than were freed, the youngest are looked through; Python's own 700 come several times a batch."""


def calm_collector() -> None:
    """Call it once everything is imported: what is there by then is never looked through again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_CONTAINERS, 20, 20)

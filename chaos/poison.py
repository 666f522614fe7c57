"""Texts that break whoever works on them."""

RAISES = "poison that raises"
"""The step that reads it raises, each time."""

KILLS = "poison that kills"
"""The process that reads it dies, each time."""

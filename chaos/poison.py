"""Messages that a step cannot do: one raises, one kills its worker. What workers do with them: `chaos.poisoned`."""

RAISES = "poison that raises"
"""A message with this in its text raises in bind_chat, each time."""

KILLS = "poison that kills"
"""A message with this in its text kills the worker in bind_chat, each time."""

"""`openchannel dead-letters`: what could not be handled, why, and what to do with it."""

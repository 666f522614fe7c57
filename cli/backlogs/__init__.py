"""`openchannel backlog`: what waits, and why nobody has it."""

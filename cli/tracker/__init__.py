"""`openchannel tracker`: what the chat tracker knows and why, and what persons decide about it."""

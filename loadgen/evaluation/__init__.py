"""How well the chat tracker knows customers again: a world that knows the truth, an oracle, and measures."""

"""From what was sent and seen to figures."""

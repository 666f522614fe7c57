"""What a command that was used rightly may end with, and yet exit 1."""


class RefusedError(Exception):
    """The rules do not allow it, or what was named is not there. The message is one line for people."""

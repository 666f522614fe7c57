"""The whole system in real processes, as a stranger meets it: over HTTP and the command line."""

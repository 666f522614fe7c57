"""The `openchannel` command: one module per group, and the composition roots of all processes."""

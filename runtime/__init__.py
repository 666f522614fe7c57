"""One-machine mode: a supervisor, and PostgreSQL and Valkey of its own; no root, no Docker, no system services."""

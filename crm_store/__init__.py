"""PostgreSQL, and the only place of psycopg: SQL by name, one module per aggregate, rows as frozen dataclasses."""

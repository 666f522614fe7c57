"""The operators' HTTP API: look-ups, operators' acts, health and metrics. Routes translate; `operations` acts."""

"""Webhooks: verify the raw bytes, parse, commit to the inbox, answer, publish."""

"""Streams of webhooks from a seed: what is sent when, and what each request means to whoever knows the truth."""

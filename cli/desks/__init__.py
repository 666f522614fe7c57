"""Desks as files: reading them, comparing them with what is there, and writing what differs."""

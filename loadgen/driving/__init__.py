"""Sends requests at their planned times, whatever the answers, and notes when each was answered."""

"""The naive side: Celery as it comes, one task per step and message, each with its own commit."""

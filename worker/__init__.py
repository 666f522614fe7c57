"""The pipeline: Celery app, step tasks, delivery, and the clock."""

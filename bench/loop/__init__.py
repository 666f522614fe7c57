"""The side without a queue: PostgreSQL's table is the queue, and each message is one transaction."""

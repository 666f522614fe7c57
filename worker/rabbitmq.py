"""What RabbitMQ needs that Redis does not: quorum queues, and an end to waiting for its answers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

TLS_SCHEME = "amqps"
_SCHEMES = frozenset({"amqp", TLS_SCHEME, "pyamqp"})

QUORUM_QUEUE: Mapping[str, str] = {"x-queue-type": "quorum"}
"""Replicated on a cluster, and on disk; RabbitMQ hands out again what a dead worker had not acknowledged."""

DISTANCE = 0.02
"""Seconds between two tasks of one web process at least: there no task takes others along."""

PATIENCE = 2.0
"""Seconds for one answer. RabbitMQ gives none to who publishes while it is short of memory or disk."""


def is_rabbitmq(broker_url: str) -> bool:
    """Whether this is the URL of RabbitMQ, or the URLs of several with `;` between them."""
    return urlsplit(broker_url).scheme in _SCHEMES


def transport_options(broker_url: str) -> dict[str, Any]:
    """For kombu."""
    return {
        # Else a hint that RabbitMQ refuses would be gone without a word.
        "confirm_publish": True,
        # Each node once. kombu would try for seconds, and whoever hints must go on: the sweeper is there.
        "max_retries": broker_url.count(";"),
    }


def connected(connection: Any) -> Any:
    """kombu's connection to RabbitMQ, now that it stands: each node is tried once. Raises OperationalError."""
    return connection.ensure_connection(max_retries=connection.transport_options["max_retries"])


@contextmanager
def impatient(connection: Any) -> Iterator[None]:
    """Wait for each answer over kombu's connection no longer than PATIENCE. Raises OperationalError and TimeoutError.

    A connection with which something went wrong is thrown away: kombu would say goodbye, and wait for ever for the
    answer. On Redis nothing is done, because its transport has time-outs of its own.
    """
    if connection.transport.driver_type != "amqp":
        yield
        return
    try:
        with connected(connection).connection.transport.having_timeout(PATIENCE):
            yield
    except Exception:
        connection.collect()
        raise

"""kombu's transports for Redis and Sentinel, with one client per channel.

kombu makes a client anew for every command that it sends, which costs more than the command.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis


class _OneClient:
    """Of a channel: lends the same client as long as the channel's pool of connections is the same."""

    _lent: Any = None

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        """See kombu. Clients are safe for use by several threads; each command takes a connection of the pool."""
        if client is None:
            pool = self.pool  # type: ignore[attr-defined]
            if self._lent is None or self._lent.connection_pool is not pool:
                self._lent = self._create_client()  # type: ignore[attr-defined]
            client = self._lent
        yield client


class _Channel(_OneClient, redis.Channel):
    pass


class _SentinelChannel(_OneClient, redis.SentinelChannel):
    pass


class Transport(redis.Transport):
    """`redis://` and `rediss://`."""

    Channel = _Channel


class SentinelTransport(redis.SentinelTransport):
    """`sentinel://`."""

    Channel = _SentinelChannel


def use_these() -> None:
    """From now on, for every connection of this process."""
    TRANSPORT_ALIASES.update(
        {
            "redis": f"{__name__}:{Transport.__name__}",
            "rediss": f"{__name__}:{Transport.__name__}",
            "sentinel": f"{__name__}:{SentinelTransport.__name__}",
        }
    )

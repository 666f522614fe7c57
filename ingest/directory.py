"""The channels by the key in their webhooks' URLs, kept in memory."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

import structlog

from crm_store.errors import DatabaseAwayError
from tracker.channels import Channel

log = structlog.get_logger(__name__)

MAX_AGE = 5.0
"""Seconds after which the channels are read again."""

MISS_INTERVAL = 1.0
"""Seconds between two reads because of unknown keys: a stranger who guesses keys costs no query each."""


def channel_of_account(channels: Iterable[Channel], origin: Channel, account_id: str) -> Channel | None:
    """The channel of another account of the same provider, if a secret of `origin` proves its webhooks too.

    Meta sends the events of several accounts of one app in one body. Without the common secret, whoever has one
    channel's secret could write into another channel.
    """
    for channel in channels:
        of_account = (channel.kind, channel.account_id) == (origin.kind, account_id)
        if of_account and channel.active and set(channel.secrets) & set(origin.secrets):
            return channel
    return None


class ChannelDirectory:
    """Reads all channels at once, now and then. With PostgreSQL away it goes on with what it has."""

    def __init__(self, read: Callable[[], Sequence[Channel]]) -> None:
        """read: blocking, and called by one thread at a time; raises DatabaseAwayError."""
        self._read = read
        self._by_key: dict[str, Channel] = {}
        self._by_account: dict[tuple[str, str], list[Channel]] = {}
        self._read_at: float | None = None
        self._reading = asyncio.Lock()

    async def find(self, key: str) -> Channel | None:
        """The active channel with this key. Raises DatabaseAwayError if the channels were never read."""
        await self._refresh(MAX_AGE)
        if key not in self._by_key:
            await self._refresh(MISS_INTERVAL)
        channel = self._by_key.get(key)
        return channel if channel is not None and channel.active else None

    def of_account(self, origin: Channel, account_id: str) -> Channel | None:
        """See `channel_of_account`."""
        return channel_of_account(self._by_account.get((origin.kind, account_id), ()), origin, account_id)

    async def _refresh(self, max_age: float) -> None:
        if self._is_fresh(max_age):
            return
        async with self._reading:
            if self._is_fresh(max_age):
                return
            try:
                channels = await asyncio.to_thread(self._read)
            except DatabaseAwayError:
                if self._read_at is None:
                    raise
                log.warning("channels_not_read_again")
                self._read_at = time.monotonic()
                return
            self._by_key = {channel.key: channel for channel in channels}
            self._by_account = {}
            for channel in channels:
                self._by_account.setdefault((channel.kind, channel.account_id), []).append(channel)
            self._read_at = time.monotonic()

    def _is_fresh(self, max_age: float) -> bool:
        return self._read_at is not None and time.monotonic() - self._read_at <= max_age

"""The channel kinds that there are."""

from collections.abc import Mapping
from types import MappingProxyType

from ingest.adapters.base import Adapter
from ingest.adapters.custom import Custom
from ingest.adapters.livechat import LiveChat
from ingest.adapters.telegram import Telegram
from ingest.adapters.webform import WebForm
from ingest.adapters.whatsapp import WhatsApp

_ALL: tuple[Adapter, ...] = (Telegram(), WhatsApp(), LiveChat(), WebForm(), Custom())

ADAPTERS: Mapping[str, Adapter] = MappingProxyType({adapter.kind: adapter for adapter in _ALL})
"""By kind of channel."""


class UnknownKindError(LookupError):
    """There is no adapter for a kind of channel."""

    reason = "unknown_kind"


def adapter_for(kind: str) -> Adapter:
    """The adapter of a kind. Raises UnknownKindError, which names those that there are."""
    try:
        return ADAPTERS[kind]
    except KeyError:
        raise UnknownKindError(f"no channel kind {kind!r}; there are {', '.join(sorted(ADAPTERS))}") from None

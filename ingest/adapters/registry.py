"""The channel kinds that there are: those of this package, and those that other packages add by entry point."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points

import structlog

from ingest.adapters.base import Adapter
from ingest.adapters.custom import Custom
from ingest.adapters.instagram import Instagram
from ingest.adapters.line import Line
from ingest.adapters.livechat import LiveChat
from ingest.adapters.messenger import Messenger
from ingest.adapters.telegram import Telegram
from ingest.adapters.twilio import Twilio
from ingest.adapters.viber import Viber
from ingest.adapters.vk import Vk
from ingest.adapters.webform import WebForm
from ingest.adapters.whatsapp import WhatsApp

log = structlog.get_logger(__name__)

GROUP = "openchannel.adapters"
"""The group of entry points. A point is named like the kind, and refers to the adapter's class."""

BUILT_IN: tuple[Adapter, ...] = (
    Telegram(),
    WhatsApp(),
    Messenger(),
    Instagram(),
    Viber(),
    Line(),
    Twilio(),
    Vk(),
    LiveChat(),
    WebForm(),
    Custom(),
)
"""Always there, whatever the metadata of the installation says; they are declared in GROUP for others to see."""


class UnknownKindError(LookupError):
    """There is no adapter for a kind of channel."""

    reason = "unknown_kind"


def adapter_for(kind: str) -> Adapter:
    """The adapter of a kind. Raises UnknownKindError, which names those that there are."""
    try:
        return ADAPTERS[kind]
    except KeyError:
        raise UnknownKindError(f"no channel kind {kind!r}; there are {', '.join(sorted(ADAPTERS))}") from None


def discover() -> Mapping[str, Adapter]:
    """The adapters by kind: ours, then those of other packages. Never raises.

    What cannot be loaded, or has a kind that is taken, is logged and left out: the other channels go on.
    """
    found = {adapter.kind: adapter for adapter in BUILT_IN}
    own = {(adapter.kind, f"{type(adapter).__module__}:{type(adapter).__qualname__}") for adapter in BUILT_IN}
    for point in _points():
        if (point.name, point.value) in own:
            continue
        if point.name in found:
            log.error("adapter_kind_taken", kind=point.name, adapter=point.value)
        elif (adapter := _load(point)) is not None:
            found[point.name] = adapter
    return found


def _points() -> Iterable[EntryPoint]:
    try:
        return entry_points(group=GROUP)
    except Exception:  # one package with a broken list of entry points breaks the look-up for all
        log.exception("adapters_not_discovered")
        return ()


def _load(point: EntryPoint) -> Adapter | None:
    try:
        adapter: object = point.load()()
        if isinstance(adapter, Adapter) and adapter.kind == point.name:
            return adapter
    except (Exception, SystemExit):  # whatever it is, it loses only this kind
        log.exception("adapter_not_loaded", kind=point.name, adapter=point.value)
        return None
    log.error("adapter_unfit", kind=point.name, adapter=point.value, hint="see ingest.adapters.base.Adapter")
    return None


class _Registered(Mapping[str, Adapter]):
    """Looks for adapters when it is first asked: importing this module runs no code of other packages."""

    def __getitem__(self, kind: str) -> Adapter:
        return self._found[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    @cached_property
    def _found(self) -> Mapping[str, Adapter]:
        return discover()


ADAPTERS: Mapping[str, Adapter] = _Registered()
"""By kind of channel."""

"""Reading again what was kept of an item, as its adapter reads today: for letters that died before the first step."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import orjson

from crm_store.inbox import NewItem
from crm_store.put_back import KeptItem
from crm_store.secrets import SecretBox, SecretKeyError
from ingest.adapters.base import Adapter, ParsedEvent, ParseError, WebhookRequest, load_json, parse, parse_slice
from ingest.adapters.registry import adapter_for
from ingest.directory import channel_of_account
from ingest.items import UNKNOWN_ACCOUNT, as_item, item_of_account, unread
from tracker.channels import Channel
from tracker.messages import InboundMessage


class NoChannelError(LookupError):
    """The channel by which it came is gone."""

    reason = "no_channel"


class Rereader:
    """Reads kept items with the channels as they are now."""

    def __init__(self, channels: Iterable[Channel], box: SecretBox) -> None:
        self._channels: Mapping[int, Channel] = {channel.id: channel for channel in channels}
        self._box = box

    def read(self, kept: KeptItem) -> Sequence[NewItem]:
        """The items that it makes now: one, or those of a body that can be cut; what is still unreadable is `dead`.

        None at all says that there is no event in the body. Raises what keeps it from being read: no channel, no
        adapter, a secret key with which the channel's secrets cannot be opened.
        """
        channel = self._channels.get(kept.channel_id)
        if channel is None:
            raise NoChannelError(f"channel {kept.channel_id} is gone")
        if channel.unreadable:
            raise SecretKeyError("the secrets of its channel cannot be opened with this process's secret key")
        headers = orjson.dumps(dict(kept.headers)).decode()
        if kept.message is not None:
            return [self._edited(kept, InboundMessage.model_validate_json(kept.message), channel, headers)]
        adapter = adapter_for(channel.kind)
        return [
            item_of_account(adapter, event, channel, headers, kept.received_at, self._of_account, self._box)
            for event in self._events(adapter, kept, channel)
        ]

    def _edited(self, kept: KeptItem, message: InboundMessage, channel: Channel, headers: str) -> NewItem:
        """As a person left it: not read once more, whichever channel it belongs to."""
        event = ParsedEvent(kept.raw, message)
        if message.account_id and channel.account_id and message.account_id != channel.account_id:
            other = self._of_account(channel, message.account_id)
            if other is None:
                event = replace(event, message=None, error=f"no channel is connected to account {message.account_id}")
                return unread(event, channel, headers, kept.received_at, self._box, UNKNOWN_ACCOUNT)
            channel, event = other, replace(event, message=message.model_copy(update={"channel": other.key}))
        return as_item(event, channel, headers, kept.received_at, self._box)

    def _events(self, adapter: Adapter, kept: KeptItem, channel: Channel) -> list[ParsedEvent]:
        if not kept.whole_body:
            try:
                event = load_json(kept.raw)
            except ParseError:
                pass  # no slice then: those are JSON
            else:
                return [parse_slice(adapter, event, channel, kept.received_at)]
        request = WebhookRequest("POST", "", kept.headers, {}, kept.raw, kept.received_at)
        return parse(adapter, request, channel)

    def _of_account(self, origin: Channel, account_id: str) -> Channel | None:
        return channel_of_account(self._channels.values(), origin, account_id)

"""Meta's Messenger Platform, which carries Messenger and Instagram.

https://developers.facebook.com/docs/messenger-platform/webhooks

A slice is `{"entry"}` (the id of the entry's page or account) with one of `messaging`, `standby` (an event between a
customer and the account) or `change` (with `time`: all else that happens to a page), or it is what was not understood.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from ingest.adapters.base import Slice, WebhookRequest, load_json
from ingest.adapters.envelope import Envelope, on_standby
from ingest.adapters.meta import MetaWebhook
from ingest.adapters.meta_messaging_content import attachments_of, kind_of, referral_of
from ingest.adapters.reading import (
    Json,
    an_object,
    fingerprint,
    instant_in_milliseconds,
    mapping,
    missing,
    required,
    text,
)
from tracker.channels import Channel
from tracker.identifiers import Identifier, messenger
from tracker.messages import CUSTOMER_KINDS, InboundMessage, MessageKind

_PARTS = ("messaging", "standby")


class MetaMessaging(MetaWebhook):
    """Batches of several pages or accounts; a person's id is the page's own, so the page is the namespace (T2)."""

    def slices(self, request: WebhookRequest) -> Iterable[Slice]:
        """One per event; a receipt for several messages is cut into one for each."""
        entries = an_object(load_json(request.body), "body").get("entry")
        for entry in entries if isinstance(entries, list) else missing("entry"):
            cut = list(_cut(mapping(entry)))
            yield from cut or [{"not_understood": entry}]

    def normalise(self, event: Slice, channel: Channel, received_at: datetime) -> InboundMessage:
        """Raises ParseError for an event that lacks its ids."""
        whole = an_object(event, "event")
        account_id = text(whole.get("entry"))
        for part in _PARTS:
            if part in whole:
                item = an_object(whole[part], part)
                return _Event(channel, account_id, item, part == "standby", received_at).read()
        # Comments, mentions and what else is public makes no customer (C5).
        envelope = Envelope(channel, account_id, fingerprint(whole), received_at)
        field = text(mapping(whole.get("change")).get("field"))
        return envelope.message(MessageKind.IGNORED, "", text=field)


def _cut(entry: Json) -> Iterator[Json]:
    context = {"entry": text(entry.get("id"))}
    for part in _PARTS:
        items = entry.get(part, [])
        if not isinstance(items, list):
            yield {**context, "not_understood": {part: items}}
            continue
        for item in items:
            yield from ({**context, part: one} for one in _each_receipt(item))
    changes = entry.get("changes", [])
    for change in changes if isinstance(changes, list) else [changes]:
        yield {**context, **_change(entry, change)}


def _each_receipt(item: object) -> Iterator[object]:
    delivery = mapping(mapping(item).get("delivery"))
    message_ids = delivery.get("mids")
    if not isinstance(message_ids, list) or len(message_ids) < 2:
        yield item
        return
    for message_id in message_ids:
        yield {**mapping(item), "delivery": {**delivery, "mids": [message_id]}}


def _change(entry: Json, change: object) -> Json:
    """Instagram sends some events, those of its test button too, as a change that is named after their field."""
    value = mapping(mapping(change).get("value"))
    if "sender" in value and "recipient" in value:
        return {"standby" if mapping(change).get("field") == "standby" else "messaging": value}
    # The time tells apart two changes that have the same words and no id.
    return {"time": entry.get("time"), "change": change}


class _Event:
    """An event between a customer and an account.

    An echo goes from the account to the customer; all else that says who has sent it comes from the customer, unless
    the sender is the account that the entry is about.
    """

    def __init__(self, channel: Channel, entry_id: str, item: Json, standby: bool, received_at: datetime) -> None:
        sender, recipient = (text(mapping(item.get(side)).get("id")) for side in ("sender", "recipient"))
        echo = mapping(item.get("message")).get("is_echo") is True
        self.is_ours = echo or (sender == entry_id and bool(recipient) and recipient != sender)
        self.account_id, self.customer_id = (sender, recipient) if self.is_ours else (recipient or entry_id, sender)
        self.item = item
        self.channel = channel
        self._standby = standby
        self._received_at = received_at

    def read(self) -> InboundMessage:
        field = next((name for name in _READERS if name in self.item), "")
        if field:
            return _READERS[field](self, an_object(self.item[field], field))
        others = [name for name in self.item if name not in {"sender", "recipient", "timestamp"}]
        return self.message(MessageKind.SYSTEM, text=" ".join(others))

    def message(
        self,
        kind: MessageKind,
        message_id: str = "",
        *details: str,
        target: str = "",
        reply_to: str = "",
        referral: str = "",
        text: str = "",
        content: Json | None = None,
    ) -> InboundMessage:
        """message_id: empty where the platform gives none; then the event's bytes are its key.

        details: what else makes a key, where an event is about a message that has a key of its own.
        """
        if self.is_ours and kind in CUSTOMER_KINDS:
            kind = MessageKind.ECHO
        if self._standby:
            kind = on_standby(kind)
        key = ":".join((self.account_id, message_id or fingerprint(self.item), *details))
        return Envelope(self.channel, self.account_id, key, self._received_at).message(
            kind,
            message_id,
            chat_id=self.customer_id,
            customer_id=self.customer_id,
            text=text,
            attachments=attachments_of(content or {}),
            identifiers=[self._sender()] if kind in CUSTOMER_KINDS else (),
            sent_at=instant_in_milliseconds(self.item.get("timestamp")),
            reply_to=reply_to,
            target=target,
            referral=referral,
        )

    def _sender(self) -> Identifier:
        return messenger(f"{self.channel.kind}/{self.account_id}", self.customer_id)


def _read_message(event: _Event, message: Json) -> InboundMessage:
    message_id = required(message, "mid")
    if message.get("is_deleted") is True:
        return event.message(MessageKind.DELETE, message_id, "deleted", target=message_id)
    return event.message(
        kind_of(message),
        message_id,
        text=text(message.get("text")),
        content=message,
        reply_to=text(mapping(message.get("reply_to")).get("mid")),
        referral=referral_of(mapping(message.get("referral"))),
    )


def _read_edit(event: _Event, edit: Json) -> InboundMessage:
    message_id, count = required(edit, "mid"), text(edit.get("num_edit"))
    return event.message(MessageKind.EDIT, message_id, "edit", count, target=message_id, text=text(edit.get("text")))


def _read_postback(event: _Event, postback: Json) -> InboundMessage:
    return event.message(
        MessageKind.BUTTON,
        text(postback.get("mid")),
        text=text(postback.get("title")),
        referral=referral_of(mapping(postback.get("referral"))),
    )


def _read_reaction(event: _Event, reaction: Json) -> InboundMessage:
    emoji = text(reaction.get("emoji")) or text(reaction.get("reaction"))
    taken_back = reaction.get("action") == "unreact"
    return event.message(MessageKind.REACTION, target=required(reaction, "mid"), text="" if taken_back else emoji)


def _read_seen(event: _Event, read: Json) -> InboundMessage:
    return event.message(MessageKind.STATUS, target=text(read.get("mid")), text="read")


def _read_delivery(event: _Event, delivery: Json) -> InboundMessage:
    message_ids = delivery.get("mids")
    target = text(message_ids[0]) if isinstance(message_ids, list) and message_ids else ""
    return event.message(MessageKind.STATUS, target=target, text="delivered")


def _read_referral(event: _Event, referral: Json) -> InboundMessage:
    return event.message(MessageKind.REFERRAL, referral=referral_of(referral))


def _read_optin(event: _Event, optin: Json) -> InboundMessage:
    return event.message(MessageKind.LIFECYCLE, text=f"optin {text(optin.get('type'))}".rstrip())


_READERS: Mapping[str, Callable[[_Event, Json], InboundMessage]] = {
    "message": _read_message,
    "message_edit": _read_edit,
    "postback": _read_postback,
    "reaction": _read_reaction,
    "read": _read_seen,
    "delivery": _read_delivery,
    "referral": _read_referral,
    "optin": _read_optin,
}

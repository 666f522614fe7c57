"""VK communities (Callback API, https://dev.vk.com/api/callback/getting-started)."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import ClassVar

from ingest.adapters.base import (
    AdapterDefaults,
    ParseError,
    Reply,
    SignatureError,
    Slice,
    WebhookRequest,
    dump_slice,
    load_json,
)
from ingest.adapters.envelope import Envelope
from ingest.adapters.reading import Json, an_object, fingerprint, instant, integer, mapping, mappings, required, text
from ingest.adapters.signatures import check_token, secrets_of
from ingest.adapters.vk_content import attachments_of, kind_of_content
from tracker.channels import Channel
from tracker.identifiers import messenger
from tracker.messages import CUSTOMER_KINDS, InboundMessage, MessageKind

FIRST_GROUP = 2_000_000_000
"""A `peer_id` above it is a conversation of several people."""

_CONFIRMATION = "confirmation"


class Vk(AdapterDefaults):
    """One event per request, proved by the field `secret` in it."""

    kind: ClassVar[str] = "vk"
    content_types: ClassVar[frozenset[str]] = frozenset({"application/json"})

    def handshake(self, request: WebhookRequest, channel: Channel) -> Reply | None:
        """Answer VK's question for the community's confirmation string.

        VK asks before a secret key may be set, so the question may come without one, but never with a wrong one.
        """
        # Few requests are the question; the others are read once less.
        if _CONFIRMATION.encode() not in request.body:
            return None
        body = _body(request)
        if body.get("type") != _CONFIRMATION:
            return None
        if "secret" in body:
            _check_secret(body, channel)
        confirmation, group_id = text(channel.config.get("confirmation")), text(body.get("group_id"))
        if not confirmation or (channel.account_id and group_id != channel.account_id):
            raise SignatureError("the channel has no confirmation string for this community")
        return Reply(body=confirmation)

    def verify(self, request: WebhookRequest, channel: Channel) -> None:
        """`secret` is one of the channel's secrets."""
        _check_secret(_body(request), channel)

    def slices(self, request: WebhookRequest) -> Iterable[Slice]:
        """The event, without the secret, which is kept encrypted only."""
        event = an_object(load_json(request.body), "event")
        return [{name: value for name, value in event.items() if name != "secret"}]

    def normalise(self, event: Slice, channel: Channel, received_at: datetime) -> InboundMessage:
        """An event of a kind that is not known is ignored. Raises ParseError for one that lacks its ids."""
        whole = an_object(event, "event")
        name = required(whole, "type")
        content = mapping(whole.get("object"))
        envelope = Envelope(channel, text(whole.get("group_id")), _key(name, whole), received_at)
        if name not in _READERS:
            kind = MessageKind.SYSTEM if name == _CONFIRMATION else MessageKind.IGNORED
            return envelope.message(kind, "", text=name)
        return _READERS[name](envelope, content)

    def accepted(self, _request: WebhookRequest, _channel: Channel) -> Reply:
        """Exactly `ok`; VK sends again until it gets that."""
        return Reply(body="ok")


def _body(request: WebhookRequest) -> Json:
    try:
        return an_object(load_json(request.body), "event")
    except ParseError as error:
        raise SignatureError("the body is no JSON object, so it carries no secret") from error


def _check_secret(body: Json, channel: Channel) -> None:
    given = body.get("secret")
    if not isinstance(given, str) or not given:
        raise SignatureError("secret is missing")
    check_token(given, secrets_of(channel))


def _key(name: str, event: Json) -> str:
    """`event_id`, which events of old API versions lack; then where the message stands in its conversation."""
    message = _message(mapping(event.get("object")))
    peer_id, place = text(message.get("peer_id")), text(message.get("conversation_message_id"))
    if event_id := text(event.get("event_id")):
        return event_id
    return f"{name}:{peer_id}:{place}" if name == "message_new" and peer_id and place else fingerprint(event)


def _message(content: Json) -> Json:
    """The message, which stands alone in events of API versions before 5.103."""
    return mapping(content.get("message")) or content


def _read_message(envelope: Envelope, content: Json) -> InboundMessage:
    message = _message(content)
    kind = _kind_of_sender(envelope, message) or kind_of_content(message)
    return _describe(envelope, message, kind)


def _read_own(envelope: Envelope, content: Json) -> InboundMessage:
    message = _message(content)
    return _describe(envelope, message, _group(message.get("peer_id")) or MessageKind.ECHO)


def _read_edit(envelope: Envelope, content: Json) -> InboundMessage:
    message = _message(content)
    return _describe(envelope, message, _kind_of_sender(envelope, message) or MessageKind.EDIT)


def _describe(envelope: Envelope, message: Json, kind: MessageKind) -> InboundMessage:
    peer_id, sender_id, message_id = required(message, "peer_id"), text(message.get("from_id")), _message_id(message)
    written = text(message.get("text"))
    passed_on = mappings(message.get("fwd_messages"))
    is_forward = bool(passed_on) and not written
    return envelope.message(
        kind,
        message_id,
        chat_id=peer_id,
        customer_id=peer_id if kind is MessageKind.ECHO else sender_id,
        text="\n".join(text(one.get("text")) for one in passed_on) if is_forward else written,
        attachments=attachments_of(message),
        identifiers=[messenger(f"vk/{_community(envelope)}", sender_id)] if kind in CUSTOMER_KINDS else (),
        sent_at=instant(message.get("update_time") if kind is MessageKind.EDIT else message.get("date")),
        reply_to=_message_id_or_none(mapping(message.get("reply_message"))),
        target=message_id if kind is MessageKind.EDIT else "",
        referral=text(message.get("ref")) or text(message.get("ref_source")),
        forwarded=is_forward,
    )


def _read_click(envelope: Envelope, click: Json) -> InboundMessage:
    group, user_id, payload = _group(click.get("peer_id")), required(click, "user_id"), click.get("payload")
    return envelope.message(
        group or MessageKind.BUTTON,
        text(click.get("event_id")),
        chat_id=required(click, "peer_id"),
        customer_id=user_id,
        text=text(payload) or (dump_slice(payload).decode() if payload else ""),
        identifiers=() if group else [messenger(f"vk/{_community(envelope)}", user_id)],
        reply_to=text(click.get("conversation_message_id")),
    )


def _read_reaction(envelope: Envelope, reaction: Json) -> InboundMessage:
    return envelope.message(
        _group(reaction.get("peer_id")) or MessageKind.REACTION,
        "",
        chat_id=required(reaction, "peer_id"),
        customer_id=text(reaction.get("reacted_id")),
        text=text(reaction.get("reaction_id")),
        target=required(reaction, "cmid"),
    )


def _read_seen(envelope: Envelope, seen: Json) -> InboundMessage:
    target = text(seen.get("read_message_id")) or text(seen.get("conversation_message_id"))
    return envelope.message(
        MessageKind.STATUS,
        "",
        chat_id=text(seen.get("peer_id")),
        customer_id=text(seen.get("from_id")),
        text="read",
        target=target,
    )


def _read_permission(what: str, envelope: Envelope, content: Json) -> InboundMessage:
    user_id = text(content.get("user_id"))
    return envelope.message(
        MessageKind.LIFECYCLE,
        "",
        chat_id=user_id,
        customer_id=user_id,
        text=what,
        referral=text(content.get("key")),
    )


_READERS: Mapping[str, Callable[[Envelope, Json], InboundMessage]] = {
    "message_new": _read_message,
    "message_reply": _read_own,
    "message_edit": _read_edit,
    "message_event": _read_click,
    "message_reaction_event": _read_reaction,
    "message_read": _read_seen,
    "message_allow": partial(_read_permission, "allowed"),
    "message_deny": partial(_read_permission, "denied"),
}


def _group(peer_id: object) -> MessageKind | None:
    peer = integer(peer_id)
    return MessageKind.GROUP if peer is not None and peer > FIRST_GROUP else None


def _kind_of_sender(envelope: Envelope, message: Json) -> MessageKind | None:
    """The kind of what no customer has sent, None for what one has (C5)."""
    if group := _group(message.get("peer_id")):
        return group
    sender = integer(message.get("from_id")) or 0
    if message.get("out") in (1, True) or str(-sender) == envelope.account_id:
        return MessageKind.ECHO
    # Below zero is a community, which is no person.
    return MessageKind.AUTOMATIC if sender < 0 else None


def _community(envelope: Envelope) -> str:
    """What a user's id is remembered within (T2)."""
    return envelope.account_id or envelope.channel.account_id or envelope.channel.key


def _message_id(message: Json) -> str:
    return _message_id_or_none(message) or required(message, "conversation_message_id")


def _message_id_or_none(message: Json) -> str:
    """The community's own id, or, where that is 0 as in conversations of several people, the conversation's."""
    own = text(message.get("id"))
    return own if own not in ("", "0") else text(message.get("conversation_message_id"))
